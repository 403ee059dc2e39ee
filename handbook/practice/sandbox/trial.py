"""A `main` that runs the source that comes over its channel: for trying what a sandbox holds, and for tests.

The source ends by a newline-terminated line of JSON on the channel: {"value": ...} or {"error": ...}.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import json
import socket
from typing import Any

MOST = 1 << 20  # bytes of source


def main(descriptor: int) -> None:
    """Read source up to the end of the stream's sending half, run it, send `answer` of its namespace."""
    channel, source = socket.socket(fileno=descriptor), bytearray()
    while (chunk := channel.recv(1 << 16)) and len(source) <= MOST:
        source.extend(chunk)
    space: dict[str, Any] = {"__name__": "submission", "channel": channel}
    try:
        exec(compile(bytes(source), "submission.py", "exec"), space)
        said = {"value": space.get("answer")}
    except BaseException as error:
        said = {"error": type(error).__name__, "message": str(error)[:500]}
    channel.sendall(json.dumps(said, default=repr).encode() + b"\n")


def both(first: int, second: int) -> None:
    """Say on each channel which one it is."""
    for descriptor, word in ((first, b"first"), (second, b"second")):
        with socket.socket(fileno=descriptor) as channel:
            channel.sendall(word)


def nothing() -> None:
    """For timing: a cell that is made and ends."""
