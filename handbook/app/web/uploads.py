"""Documents that a browser sent: kept below the data folder, a folder a corpus, under names that are safe.

A name from a browser is data: only its last part counts, without what a file system or a terminal could take
for something else. A file of the same name is replaced, which an ingestion sees as a change.
"""

import contextlib
import re
import shutil
import unicodedata
import uuid
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import UploadFile

from handbook.errors import HandbookError

LONGEST = 120  # bytes of a name; file systems take 255, and a suffix is added while it is written
_ODD = re.compile(r'[\x00-\x1f\x7f<>:"|?*]+')
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def kinds() -> list[str]:
    """The suffixes of what can be read."""
    from handbook.rag.ingest import SUFFIXES

    return sorted(SUFFIXES)


def safe_name(name: str) -> str:
    """The name that a file is kept under."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    shown = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    clean = _ODD.sub("-", shown).strip(" -").rstrip(".")
    stem, dot, suffix = clean.rpartition(".")
    if not dot:
        stem, suffix = clean, ""
    while len(stem.encode()) > LONGEST:
        stem = stem[:-1]
    stem = stem.strip(" .-") or "document"
    if stem.partition(".")[0].lower() in _DEVICES:
        stem = f"{stem}-document"
    return f"{stem}.{suffix}" if suffix else stem


def checked(files: Sequence[UploadFile]) -> list[str]:
    """The names that files are kept under. Raises HandbookError where one is no document by its name, or two
    have one name; nothing is kept then."""
    names = [safe_name(each.filename or "") for each in files]
    known = kinds()
    strange = [name for name in names if Path(name).suffix.lower() not in known]
    if strange:
        raise HandbookError(
            f"{_listed(strange)} can't be read as documents.",
            f"These can: {', '.join(known)}. Nothing was added.",
        )
    lower = [name.lower() for name in names]
    twice = sorted({name for name in names if lower.count(name.lower()) > 1})
    if twice:
        raise HandbookError(
            f"Two of the files are called {_listed(twice)}.", "Rename one of them. Nothing was added."
        )
    return names


def keep(files: Sequence[UploadFile], folder: Path) -> list[Path]:
    """Write the files into a folder, each whole or not at all, and return where they are.

    Raises HandbookError (see `checked`), DiskFull.
    """
    from handbook.rag.store import clear_disk_errors

    names = checked(files)
    kept = []
    with clear_disk_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        for each, name in zip(files, names, strict=True):
            part = folder / f".{uuid.uuid4().hex}.part"
            try:
                each.file.seek(0)
                with part.open("wb") as out:
                    shutil.copyfileobj(each.file, out, 1 << 20)
                part.replace(folder / name)
            finally:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
            kept.append(folder / name)
    return kept


def _listed(names: Sequence[str]) -> str:
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")
