"""An OpenAI-compatible server over one engine: chat, completions, embeddings, models, figures.

    app = create_server(Served(Engine(loaded)))

What may be asked is `protocol`, what is answered `replies`; `answering` leads from one to the other, `desk`
to the engine's thread, and `guard` stands outside. A client that hangs up, streaming or not, is noticed while
it waits, and its pages are free at once.

Book: inference-ops/llm-serving-optimization
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import time
from typing import Any, Protocol

import numpy as np
from fastapi import FastAPI, Request
from numpy.typing import NDArray
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from handbook.engine.answering import answer, draining, unknown
from handbook.engine.described import document
from handbook.engine.desk import Desk
from handbook.engine.fields import Body
from handbook.engine.guard import BODY_LIMIT, Guard, body_of
from handbook.engine.protocol import ChatBody, EmbeddingsBody, TextBody
from handbook.engine.reading import read
from handbook.engine.refused import Refused
from handbook.engine.served import Served
from handbook.errors import HandbookError

EMBEDDING = 16  # requests for embeddings at once; they take turns


class Embeds(Protocol):
    """What makes embeddings. Raises ValueError for texts that it can't take whole."""

    @property
    def name(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
        """[N] texts -> rows [N, D], and the tokens that they have together."""
        ...


class Server(FastAPI):
    """The app inside its guard. desk: for draining it."""

    def __init__(self, desk: Desk, key: str | None, loopback: bool, **options: Any) -> None:
        super().__init__(**options)
        self.desk = desk
        self.document: Callable[[], dict[str, Any]] = dict
        self._guard = Guard(super().__call__, key, loopback)

    def openapi(self) -> dict[str, Any]:
        return self.document()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guard(scope, receive, send)


def create_server(
    served: Served,
    *,
    embedder: Embeds | None = None,
    key: str | None = None,
    loopback: bool = True,
    body_limit: int = BODY_LIMIT,
) -> Server:
    """The server's app. key: what clients must show. loopback: it listens there only, see `Guard`."""
    desk = Desk(served)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.drain(0)
        desk.compiler.shutdown(wait=False, cancel_futures=True)

    app = Server(
        desk, key, loopback, title="The handbook's engine", lifespan=lifespan, docs_url=None, redoc_url=None
    )
    _faults(app)
    _reading(app, desk, embedder)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await answer(request, desk, read(ChatBody, await body_of(request, body_limit)))

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        return await answer(request, desk, read(TextBody, await body_of(request, body_limit)))

    making = 0

    @app.post("/v1/embeddings")
    async def embeddings(request: Request) -> Response:
        nonlocal making
        body = read(EmbeddingsBody, await body_of(request, body_limit))
        if embedder is None or body.model != embedder.name:
            raise unknown(body.model, embedder.name if embedder else "none for embeddings")
        if desk.draining:
            raise draining()
        if making >= EMBEDDING:
            raise Refused(
                429, "Too many embeddings are being made.", "queue_full", headers={"Retry-After": "1"}
            )
        making += 1
        try:
            return JSONResponse(await run_in_threadpool(embedded, embedder, body))
        finally:
            making -= 1

    return app


def _reading(app: Server, desk: Desk, embedder: Embeds | None) -> None:
    """What can be looked at: health, figures, models."""
    engine = desk.served.engine
    base, made = engine.loaded.name, int(time())

    def cards() -> dict[str, dict[str, Any]]:
        """What can be asked now; adapters come and go."""
        parents: dict[str, dict[str, str]] = {name: {"parent": base} for name in engine.adapters}
        parents = {base: {}, **parents, **({embedder.name: {}} if embedder else {})}
        return {
            name: {"id": name, "object": "model", "created": made, "owned_by": "handbook", **more}
            for name, more in parents.items()
        }

    def described() -> dict[str, Any]:
        names = [base, *engine.adapters]
        others = [embedder.name] if embedder else []
        models: dict[type[Body], list[str]] = {ChatBody: names, TextBody: names, EmbeddingsBody: others}
        return document(models, list(cards()), engine.loaded.config.vocab_size, engine.limits.running)

    app.document = described

    @app.get("/health")
    async def health() -> Response:
        word = "draining" if desk.draining else "ok" if desk.served.alive else "the engine has stopped"
        return JSONResponse({"status": word}, 200 if word == "ok" else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(desk.metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @app.get("/v1/models")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": list(cards().values())})

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        if name not in (found := cards()):
            raise unknown(name, *found)
        return JSONResponse(found[name])


def _faults(app: Server) -> None:
    """Every error in OpenAI's form; what went wrong inside stands in the log only."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return error.response

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        what = "There is no such path" if error.status_code == 404 else str(error.detail)
        message = f"{what}: {request.method} {request.url.path[:200]}."
        return Refused(error.status_code, message, headers=error.headers).response

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return Refused(
            500, f"The server made a mistake ({type(error).__name__}); its log says more."
        ).response


def embedded(embedder: Embeds, body: EmbeddingsBody) -> dict[str, Any]:
    """The vectors, as numbers or as base64 of little-endian fp32. Raises Refused."""
    try:
        rows, tokens = embedder.embed([str(text) for text in body.input])
    except ValueError as error:
        raise Refused(400, f"{error}", "context_length_exceeded", "input") from None
    except HandbookError as error:
        raise Refused(503, str(error)) from None

    def written(row: NDArray[np.float32]) -> list[float] | str:
        return (
            b64encode(row.astype("<f4").tobytes()).decode()
            if body.encoding_format == "base64"
            else row.tolist()
        )

    data = [{"object": "embedding", "index": n, "embedding": written(row)} for n, row in enumerate(rows)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": embedder.name, "usage": usage}
