# Fault: begins a batch when the one before it is done.
# Rejected by: test_slow_batch_holds_up_nobody

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Waiting = tuple[Any, "asyncio.Future[Any]", float]  # item, result, when it must leave


class BatchingQueue:
    """Raises ValueError for a size below 1 or a negative wait."""

    def __init__(self, handler: Callable[[list[Any]], Awaitable[list[Any]]], size: int, wait: float) -> None:
        if size < 1 or wait < 0:
            raise ValueError(f"Expected a size of 1 or more and a wait of 0 or more, got {size} and {wait}.")
        self._handler, self._size, self._wait = handler, size, wait
        self._waiting: list[Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly
        self._closed = False
        self._one = asyncio.Lock()

    async def submit(self, item: Any) -> Any:
        """The item's own result, or its own failure. Raises RuntimeError after close."""
        if self._closed:
            raise RuntimeError("The queue is closed.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((item, future, loop.time() + self._wait))
        self._arm()
        try:
            return await future
        finally:
            self._arm()  # whoever was cancelled leaves its place

    async def close(self) -> None:
        """Returns when every batch is done."""
        self._closed = True
        self._send()
        await asyncio.gather(*self._running)

    def _arm(self) -> None:
        """Sends a full batch, else sets the timer to the oldest of those that still wait."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting = [entry for entry in self._waiting if not entry[1].done()]
        if len(self._waiting) >= self._size:
            self._send()
        elif self._waiting:
            self._timer = asyncio.get_running_loop().call_at(self._waiting[0][2], self._send)

    def _send(self) -> None:
        batch = [entry for entry in self._waiting if not entry[1].done()]
        self._waiting = []
        if batch:
            task = asyncio.ensure_future(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, batch: list[Waiting]) -> None:
        """Never raises: what the handler raises is each caller's result."""
        results: list[Any]
        try:
            async with self._one:
                results = list(await self._handler([item for item, _, _ in batch]))
            if len(results) != len(batch):
                raise RuntimeError(f"Expected {len(batch)} results, got {len(results)}.")
        except Exception as error:
            results = [error] * len(batch)
        for (_, future, _), result in zip(batch, results, strict=True):
            if future.done():  # its caller was cancelled on the way
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
