"""A file written whole or not at all: beside its place, then moved over it."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from handbook.errors import DiskFull


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Yields a file to write; what stood at `path` before is replaced when the block ends, in one step.

    Raises DiskFull where it can't be written; what stood before then stands. A kill leaves at most a hidden
    file beside it.
    """
    scratch = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
        scratch = ""
    except OSError as error:
        raise DiskFull(
            f"{path} cannot be written: {error.strerror or error}.",
            "Make room, or choose a folder that can be written; what stood there before is untouched.",
        ) from error
    finally:
        if scratch:
            with contextlib.suppress(OSError):
                Path(scratch).unlink()
