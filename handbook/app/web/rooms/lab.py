"""A chapter's lab: the marimo notebook, in run mode, served by this app under the chapter's own address.

marimo is imported at the first visit of a lab, not at the start. The notebook shows in a frame whose content
security policy is laxer than the pages' (marimo needs inline code), but names no other host.
"""

import asyncio
import inspect
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handbook.app.web.pages import THEME_COOKIE, shelf_of, show
from handbook.app.web.rooms.chapter import find
from handbook.app.web.shelf import Shelf

router = APIRouter()
LIVE = "/book/{part}/{slug}/lab/live"


@router.get("/book/{part}/{slug}/lab")
def page(request: Request, part: str, slug: str) -> Response:
    shelf = shelf_of(request)
    chapter = find(shelf.book, part, slug)
    if chapter.lab is None:
        raise HTTPException(404)
    return show(request, "lab.html", {"book": shelf.book, "chapter": chapter})


class LiveLabs:
    """Routes to one marimo app per lab, made at its first request and made anew when the notebook changes."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._apps: dict[str, tuple[int, ASGIApp]] = {}
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chapter = self.shelf.book.chapters.get(scope["path_params"]["slug"])
        if chapter is None or chapter.part != scope["path_params"]["part"] or chapter.lab is None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await PlainTextResponse("There is no such lab.", 404)(scope, receive, send)
            return
        app = await self._app(chapter.path, str(chapter.lab), chapter.lab.stat().st_mtime_ns)
        theme = HTTPConnection(scope).cookies.get(THEME_COOKIE)
        if scope["type"] == "http" and scope["path"].endswith("/live/") and theme in ("light", "dark"):
            # What the browser keeps may have other colours: no "not modified" for this page.
            headers = [each for each in scope["headers"] if each[0] != b"if-none-match"]
            scope, send = {**scope, "headers": headers}, _in_colours(send, theme)
        await app(scope, receive, send)

    async def _app(self, path: str, file: str, mtime: int) -> ASGIApp:
        async with self._making:
            made = self._apps.get(path)
            if made is None or made[0] != mtime:
                app: ASGIApp = await asyncio.to_thread(_make, file)
                self._apps[path] = (mtime, app)
                if made is not None:
                    await _stop(made[1])
                return app
            return made[1]

    async def close(self) -> None:
        """End the kernels of all labs: one that waits for its reader keeps the whole process from ending."""
        async with self._making:
            while self._apps:
                await _stop(self._apps.popitem()[1][1])


def _in_colours(send: Send, theme: str) -> Send:
    """Writes the reader's choice of colours into the notebook's page; without one it follows the system.

    The attribute is the one by which marimo takes a host's colours over its own setting, and it watches it:
    `theme.js` changes it when the choice changes, without loading the lab anew.
    """

    page = False

    async def sending(message: Message) -> None:
        nonlocal page
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            page = headers.get("content-type", "").startswith("text/html")
            if page:
                del headers["content-length"]
                del headers["etag"]
        elif page and message["type"] == "http.response.body":
            body = message.get("body", b"")
            attribute = f'<body data-vscode-theme-kind="vscode-{theme}"'.encode()
            message = {**message, "body": body.replace(b"<body", attribute, 1)}
        await send(message)

    return sending


async def _stop(app: Any) -> None:
    """Close a marimo app's sessions. It would at the end of its lifespan, but a mounted app has none."""
    for route in app.routes:
        done = route.app.state.session_manager.shutdown()
        if inspect.isawaitable(done):  # a plain function in older versions
            await done


def _make(file: str) -> Any:
    import marimo

    return marimo.create_asgi_app(quiet=True, include_code=True).with_app(path="", root=file).build()
