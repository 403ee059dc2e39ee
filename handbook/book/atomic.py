"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from handbook.errors import BookError, DiskFull


def write(path: Path, text: str) -> None:
    """Replace a file in one step, keeping its permissions.

    Raises DiskFull or BookError; the old file then stands.
    """
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError as error:
        if name:
            with contextlib.suppress(OSError):
                Path(name).unlink()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"No room left to write {path}.", "Free some space; the file is as it was."
            ) from error
        raise BookError(
            f"{path} cannot be written: {error.strerror}.", "Check the folder's permissions."
        ) from error
