"""create_app: the middleware, the rooms, and what happens at the start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

from handbook.app.web import assets, faults, prepare
from handbook.app.web.rooms import ROOMS, lab
from handbook.app.web.security import Guard
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import Tokens
from handbook.app.web.traces import Traces
from handbook.settings import Settings

if TYPE_CHECKING:
    from handbook.app.web.grading import Graders
    from handbook.app.web.judging import Judges
    from handbook.chat import Chat
    from handbook.embed import Embedder


class Handbook(FastAPI):
    """A FastAPI app inside the guard, which is outermost so that even an unexpected error has its headers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._guard = Guard(super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guard(scope, receive, send)


def create_app(
    settings: Settings,
    *,
    chat: "Chat | None" = None,
    embedder: "Embedder | None" = None,
    judges: "Judges | None" = None,
    background: bool = True,
    graders: "Graders | None" = None,
) -> FastAPI:
    """The whole app. Nothing is opened or loaded yet.

    chat, embedder, judges, graders: used instead of what the settings name. background: whether missing
    models are brought, the index is built, the judge's worker is started and the grader is loaded before
    somebody needs them.
    """
    shelf = Shelf(settings, chat, embedder, judges, background, graders)
    labs = lab.LiveLabs(shelf)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if background:
            prepare.begin(shelf)
        try:
            yield
        finally:
            await labs.close()
            await asyncio.to_thread(shelf.close)  # what is being ingested comes to rest first

    app = Handbook(title="The GenAI Lead Handbook", lifespan=lifespan, openapi_url=None)
    app.state.shelf = shelf
    app.state.tokens = Tokens()
    app.state.traces = Traces()
    app.add_middleware(GZipMiddleware, minimum_size=700, compresslevel=8)
    faults.install(app)
    for room in ROOMS:
        app.include_router(room.router)
    app.mount(lab.LIVE, labs)
    app.mount("/static", assets.Assets(directory=assets.STATIC))
    return app
