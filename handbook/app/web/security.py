"""Who may ask, and the headers of every answer.

The app listens on loopback, but a page of any site can make the reader's browser send requests there. So:
the Host must be a loopback name with our own port (which stops DNS rebinding), whatever changes state and
every websocket must come from our own origin, other sites may link to a page but load nothing, and bodies
are limited. The content security policy lets a page load nothing from anywhere else. The lab's frame alone
has a laxer one, because marimo needs inline code and evaluation; it names no other host either.
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handbook.app.web import faults

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
BODY_LIMIT = 1_000_000  # bytes
LONG_BODY_LIMIT = 50_000_000
LONG_BODIES = ("/about/import", "/engine/live/open", "/export/import")
UPLOAD_LIMIT = 256_000_000  # of all documents that are sent at once
UPLOADS = re.compile(r"/corpora(?:/[a-z0-9-]+/add)?")
LAB = re.compile(r"/book/[a-z0-9-]+/[a-z0-9-]+/lab/live(?:/|$)")

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
    )
)
LAB_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "media-src 'self' data: blob:",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "base-uri 'self'",
    )
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def host_allowed(host: str, server_port: int | None) -> bool:
    """Whether a Host header names a loopback address and the port that this connection really came in on."""
    name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "80")
    return name.lower() in LOOPBACK and (server_port is None or port == str(server_port))


def origin_allowed(headers: Headers, websocket: bool = False) -> bool:
    """Whether a request that may change state comes from our own pages.

    Browsers send Origin with every websocket and every unsafe request; a program that sends neither Origin
    nor Sec-Fetch-Site is no browser that could be tricked, and the one-time token still stands in its way.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    if origin is None:
        return not websocket
    return origin == f"http://{headers.get('host', '')}"


def reading_allowed(headers: Headers) -> bool:
    """Whether a request that changes nothing may be answered: our own pages, a program, or a visit in a tab.

    What another site's page loads (a picture, a script, a fetch, a frame, an event stream) is refused: it
    could not read the answer, but asking the book or starting a lab would still cost work.
    """
    if headers.get("sec-fetch-site") == "none":  # typed, or from a bookmark
        return True
    if headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document":
        return True
    return origin_allowed(headers)


def limit_of(path: str) -> int:
    """Bytes that a request's body may have."""
    if UPLOADS.fullmatch(path):
        return UPLOAD_LIMIT
    return LONG_BODY_LIMIT if path in LONG_BODIES else BODY_LIMIT


class Guard:
    """The outermost layer: refuses what must not come in, puts the headers on everything that goes out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        server = scope.get("server")
        allowed_host = host_allowed(headers.get("host", ""), server[1] if server else None)
        if scope["type"] == "websocket":
            if allowed_host and origin_allowed(headers, websocket=True):
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        send = with_headers(send, LAB_POLICY if LAB.match(scope["path"]) else POLICY)
        if not allowed_host:
            await faults.plain(scope, receive, send, 421, *faults.WRONG_HOST)
        elif not (reading_allowed if scope["method"] in SAFE_METHODS else origin_allowed)(headers):
            await faults.plain(scope, receive, send, 403, *faults.WRONG_ORIGIN)
        else:
            await self._limited(scope, receive, send, headers)

    async def _limited(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        limit = limit_of(scope["path"])
        declared = headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > limit:
            await faults.plain(scope, receive, send, 413, *faults.TOO_LARGE)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise faults.TooLarge(faults.TOO_LARGE[0], faults.TOO_LARGE[2])
            return message

        await self.app(scope, counted, send)


def with_headers(send: Send, policy: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name in {name for name in headers if name.startswith("access-control-")}:
                del headers[name]  # marimo would let every site read the lab
            headers["Content-Security-Policy"] = policy
            for name, value in HEADERS.items():
                headers[name] = value
            if "cache-control" not in headers:
                headers["Cache-Control"] = "private, no-cache"
        await send(message)

    return sending
