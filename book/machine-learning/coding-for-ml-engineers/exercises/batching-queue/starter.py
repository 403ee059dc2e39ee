"""Batches out of single calls, with asyncio."""

from collections.abc import Awaitable, Callable
from typing import Any


class BatchingQueue:
    def __init__(self, handler: Callable[[list[Any]], Awaitable[list[Any]]], size: int, wait: float) -> None:
        self.handler, self.size, self.wait = handler, size, wait

    async def submit(self, item: Any) -> Any:
        raise NotImplementedError("wait with others, then for the own result")

    async def close(self) -> None:
        raise NotImplementedError("send the rest, await what is on its way")
