"""The loss curve as a file: one JSON object a line, one line a step."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handbook.errors import DiskFull
from handbook.train.loop import Point
from handbook.train.whole import written_whole


def as_row(point: Point) -> dict[str, Any]:
    """A line of metrics.jsonl: step, the losses by name, rate, norm, seconds, tokens."""
    return {
        "step": point.step,
        **point.losses,
        "rate": point.rate,
        "norm": point.norm,
        "seconds": round(point.seconds, 4),
        "tokens": point.tokens,
    }


@contextmanager
def write_metrics(folder: Path | None, done: Sequence[Point]) -> Iterator[Callable[[Point], None]]:
    """Write metrics.jsonl anew with the steps that are done, then yields what appends a step.

    A run that was killed had written steps that its checkpoint doesn't hold; they are trained again, so their
    lines go. Without a folder nothing is written. Raises DiskFull.
    """
    if folder is None:
        yield lambda point: None
        return
    path = folder / "metrics.jsonl"
    with written_whole(path) as whole:
        whole.writelines(f"{json.dumps(as_row(point))}\n".encode() for point in done)
    try:
        with path.open("a", encoding="utf-8", buffering=1) as file:

            def append(point: Point) -> None:
                file.write(f"{json.dumps(as_row(point))}\n")

            yield append
    except OSError as error:
        raise DiskFull(
            f"{path} cannot be written: {error.strerror}.", "Make room, or choose another folder."
        ) from error
