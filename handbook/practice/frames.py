"""Frames over a socket: a header of JSON and raw bytes, each with its length in front, and limits on both.

Whoever sits at the other end may be hostile: nothing is read beyond the limits, and JSON is only parsed.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

HEADER = struct.Struct("<4sII")  # mark, bytes of JSON, raw bytes
MARK = b"hbk1"
JSON_MOST = 48 << 20
RAW_MOST = 64 << 20
CHUNK = 1 << 16


class Ended(BaseException):
    """The other end is gone. Not an Exception, so that no test takes it for the submission's."""


class Garbled(BaseException):
    """What came is no message: forged, cut, or too large."""


class NotPlain(Exception):
    """A value that cannot be sent: too large, too deep, in itself, or of a type that stays where it is."""


class Channel:
    """Frames over a connected stream socket, one reader and one writer at a time.

    most: bytes of JSON that are read in one message; raw: bytes that may follow it.
    """

    def __init__(self, sock: socket.socket, most: int = JSON_MOST, raw: int = RAW_MOST) -> None:
        self.sock, self.most, self.raw = sock, most, raw
        self._buffer = bytearray()
        self._until: float | None = None

    @classmethod
    def of(cls, fd: int) -> Channel:
        """Of an inherited file descriptor, which no child of this process will inherit in turn."""
        sock = socket.socket(fileno=fd)
        sock.set_inheritable(False)
        return cls(sock)

    @property
    def waiting(self) -> bool:
        """Whether something of the next message is here already, which select would not see."""
        return bool(self._buffer)

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()

    def send(self, message: Any, raw: list[bytes | memoryview] | None = None) -> None:
        """Raises NotPlain before anything is sent; Ended when nobody reads."""
        text = json.dumps(message, separators=(",", ":")).encode()
        size = sum(len(part) for part in raw) if raw else 0
        if len(text) > JSON_MOST or size > RAW_MOST:
            raise NotPlain(f"a message of {(len(text) + size) >> 20} MiB, more than {RAW_MOST >> 20} MiB")
        head = HEADER.pack(MARK, len(text), size) + text
        try:
            if size < CHUNK:
                self.sock.sendall(b"".join((head, *raw)) if raw else head)
                return
            self.sock.sendall(head)
            for part in raw or ():
                self.sock.sendall(part)
        except OSError as error:
            raise Ended(str(error)) from None

    def recv(self, within: float | None = None) -> tuple[Any, memoryview]:
        """(message, raw bytes). Raises Ended, Garbled; TimeoutError if it is not whole `within` seconds,
        however little of it comes at a time."""
        if within is None:
            self._until = None
            return self._message()
        self._until = time.monotonic() + within
        try:
            return self._message()
        finally:
            self.sock.settimeout(within)

    def _message(self) -> tuple[Any, memoryview]:
        mark, length, size = HEADER.unpack(self._take(HEADER.size))
        if mark != MARK or length > self.most or size > self.raw:
            raise Garbled("a frame that no peer of ours writes")
        text = self._take(length)
        raw = self._take(size) if size else b""
        try:
            return json.loads(text), memoryview(raw)
        except (ValueError, RecursionError) as error:
            raise Garbled(f"a message that does not parse ({type(error).__name__})") from None

    def _take(self, count: int) -> bytes | bytearray:
        buffer = self._buffer
        while len(buffer) < count:
            rest = count - len(buffer)
            if rest > CHUNK:
                return self._large(count)
            chunk = self._read(CHUNK)
            buffer += chunk
        taken = bytes(buffer[:count])
        del buffer[:count]
        return taken

    def _read(self, most: int) -> bytes:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("a message that does not end")
            self.sock.settimeout(left)
        try:
            chunk = self.sock.recv(most)
        except TimeoutError:
            raise
        except OSError as error:
            raise Ended(str(error)) from None
        if not chunk:
            raise Ended("end of the stream")
        return chunk

    def _large(self, count: int) -> bytearray:
        """Memory grows with what came, not with what was announced."""
        whole = bytearray(self._buffer)
        self._buffer.clear()
        while len(whole) < count:
            whole += self._read(min(count - len(whole), 1 << 20))
        return whole
