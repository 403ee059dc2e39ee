"""uvicorn, with an end in two parts: first nothing new is taken in, then, when all is answered, the socket
closes. Meanwhile /health and new requests are answered with 503, so that whoever balances load sees it.

Book: inference-ops/llm-serving-optimization
"""

import asyncio
import socket
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from handbook.engine.server import Server


class Listening(uvicorn.Server):
    """Serves until it is told to end.

    drain: seconds that those who are being answered have after the first signal; a second one cuts them off,
    a third one waits for nothing.
    """

    def __init__(self, app: "Server", drain: float = 30.0) -> None:
        options = {"log_level": "warning", "access_log": False, "server_header": False}
        super().__init__(uvicorn.Config(app, timeout_graceful_shutdown=5, **options))  # type: ignore[arg-type]
        self.desk, self.patience = app.desk, drain
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signals = 0
        self._draining: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._loop is None or self._signals > 2:
            super().handle_exit(sig, frame)
            return
        self.desk.draining = True
        self._loop.call_soon_threadsafe(self._begin, self.patience if self._signals == 1 else 0.0)

    def _begin(self, seconds: float) -> None:
        self._draining.append(asyncio.create_task(self._drain(seconds)))

    async def _drain(self, seconds: float) -> None:
        await self.desk.drain(seconds)
        self.should_exit = True
