"""What a long training in a terminal needs: a folder to itself, a Ctrl-C that loses nothing."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from handbook.errors import HandbookError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two trainings don't write into one folder."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise HandbookError(
            f"Another handbook is training into {folder}.",
            "Wait for it, or choose another folder with --out.",
        ) from None
    except OSError as error:
        raise HandbookError(
            f"{folder} cannot be written: {error.strerror}.", "Choose another folder with --out."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Ctrl-C, or SIGTERM, asks to stop after the step at hand; a second one stops at once, at the last
    checkpoint."""
    asked = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
