"""A server that speaks OpenAI's protocol on a real socket, with the faults that servers have.

The model's name says what it does; see `reply`.
"""

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

KEY = "the-key"
WORDS = ("One", " two", " three", " vier,", " 五")
PREFILL = 0.05  # seconds that `plain` thinks before its first word
USAGE = {"prompt_tokens": 7, "completion_tokens": 11, "total_tokens": 18}


class State:
    def __init__(self) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.stopped = threading.Event()


def chunk(model: str, text: str | None = None, end: bool = False, **more: Any) -> str:
    choice = {
        "index": 0,
        "delta": {"content": text} if text else {},
        "finish_reason": "stop" if end else None,
    }
    body = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [choice]}
    return f"data: {json.dumps(body | more)}\n\n"


async def reply(model: str, state: State) -> AsyncIterator[str]:
    """`plain` sends usage, `no-usage` doesn't; `cut` stops in mid-air; `garbage` sends half a JSON text;

    `fault` reports an error inside the stream; `endless` goes on until the client hangs up; `silent` says
    nothing for long.
    """
    if model == "silent":
        await asyncio.sleep(5)
    if model == "endless":
        try:
            while True:
                yield chunk(model, "on ")
                await asyncio.sleep(0.01)
        finally:
            state.stopped.set()
    if model == "plain":
        await asyncio.sleep(PREFILL)
    for word in WORDS:
        yield chunk(model, word)
        await asyncio.sleep(0.005)
        if model == "cut":
            return
        if model == "garbage":
            yield "data: {half a json\n\n"
        if model == "fault":
            yield f"data: {json.dumps({'error': {'message': 'out of memory', 'code': 500}})}\n\n"
    yield chunk(model, end=True)
    if model == "plain":
        yield chunk(model, usage=USAGE, choices=[])
    yield "data: [DONE]\n\n"


def refuse(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "error"}}, status)


def build(state: State) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await request.json()
        state.requests.append(body)
        state.keys.append(request.headers.get("authorization", ""))
        model = body["model"]
        if model == "locked" and state.keys[-1] != f"Bearer {KEY}":
            return refuse(401, "Incorrect API key provided")
        if model == "echo":
            return refuse(401, f"Incorrect API key provided: {state.keys[-1]}")
        if model == "unknown":
            return refuse(404, "The model `unknown` does not exist")
        if model == "busy":
            return refuse(429, "Rate limit reached")
        if model == "strict" and "top_k" in body:
            return refuse(400, "Unrecognized request argument supplied: top_k")
        if model == "page":
            return PlainTextResponse("<html>welcome</html>", media_type="text/html")
        return StreamingResponse(reply(model, state), media_type="text/event-stream")

    @app.post("/v1/embeddings")
    async def embeddings(request: Request) -> Response:
        body = await request.json()
        state.requests.append(body)
        if body["model"] == "echo":
            return refuse(401, f"Incorrect API key provided: {request.headers.get('authorization')}")
        if body["model"] == "unknown":
            return refuse(404, "The model `unknown` does not exist")
        data = [
            {"object": "embedding", "index": index, "embedding": vector(text)}
            for index, text in enumerate(body["input"])
        ]
        if body["model"] == "shuffled":
            data.reverse()
        if body["model"] == "short":
            data.pop()
        if body["model"] == "zero":
            data[0]["embedding"] = [0.0] * 4
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})

    return app


def vector(text: str) -> list[float]:
    """Four numbers that belong to the text; not of length 1."""
    return [float(byte) + 1.0 for byte in hashlib.sha256(text.encode()).digest()[:4]]


@contextmanager
def serving() -> Iterator[State]:
    """The server on a free port of the loopback, in a thread."""
    state = State()
    server = uvicorn.Server(uvicorn.Config(build(state), port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the test server did not start")
        threading.Event().wait(0.01)
    state.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    try:
        yield state
    finally:
        server.should_exit = True
        thread.join(timeout=10)
