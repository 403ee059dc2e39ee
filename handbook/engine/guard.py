"""Who may ask, and how much: the outermost layer of the server.

On loopback there need be no key, and a web page can make its reader's browser send requests there. So the
Host must name loopback (which stops DNS rebinding), and what a page of another origin sends is refused. No
header ever lets another origin read an answer.
"""

import asyncio
import hmac
import re

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from handbook.engine.refused import Refused

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
OPEN = ("/health",)  # what needs no key
BODY_LIMIT = 4 << 20  # bytes
PATIENCE = 30.0  # seconds for a body to come in
CLOSE = {"Connection": "close"}


class Guard:
    """key: what clients must show; None for nothing. loopback: only names of this machine are answered."""

    def __init__(self, app: ASGIApp, key: str | None, loopback: bool) -> None:
        self.app, self.key, self.loopback = app, key, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif (refused := self._fault(Headers(scope=scope), scope["path"])) is not None:
            await refused.response(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _fault(self, headers: Headers, path: str) -> Refused | None:
        host = headers.get("host", "")
        if self.loopback and re.sub(r":\d*$", "", host).lower() not in LOOPBACK:
            return Refused(
                421, "The Host header does not name this machine's loopback address.", "wrong_host"
            )
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return Refused(403, "Pages of other origins are not answered.", "wrong_origin")
        if self.key is not None and path not in OPEN:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            same = hmac.compare_digest(given.strip().encode("latin-1"), self.key.encode())
            if scheme.lower() != "bearer" or not same:
                said = "Wrong API key." if given else "An API key is needed: Authorization: Bearer KEY."
                return Refused(401, said, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        return None


async def body_of(request: Request, limit: int = BODY_LIMIT, patience: float = PATIENCE) -> bytes:
    """The body. Raises Refused for one that is too large, or does not come.

    What is too large is read on for a while, and forgotten: a client that is still sending when the
    connection closes may never see the answer.
    """
    too_large = Refused(413, f"The body is larger than {limit:,} bytes.", "body_too_large", headers=CLOSE)
    if "expect" in request.headers and int(request.headers.get("content-length", 0)) > limit:
        raise too_large  # it sends nothing before it is told to
    kept, seen = bytearray(), 0
    try:
        async with asyncio.timeout(patience):
            async for part in request.stream():
                seen += len(part)
                if seen > 8 * limit:
                    break
                kept += part if seen <= limit else b""
    except TimeoutError:
        if seen <= limit:
            raise Refused(408, f"The body did not come in {patience:g} s.", headers=CLOSE) from None
    except ClientDisconnect:
        raise Refused(400, "The client hung up.") from None  # nobody reads it
    if seen > limit:
        raise too_large
    return bytes(kept)
