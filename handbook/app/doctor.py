"""What this machine has, what is missing, and the remedy: `handbook doctor` and the page under the hood."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handbook import __version__
from handbook.errors import HandbookError
from handbook.hardware.probe import probe
from handbook.settings import Settings, settings_file

PACKAGES = ("torch", "lancedb", "marimo", "fastapi", "sqlalchemy", "tokenizers", "numpy")
ROOM_WANTED = 1_000_000_000  # bytes: both models, the index and some air


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that is not there. `needed`: the handbook does not work fully without it."""

    what: str
    remedy: str
    needed: bool


def examine(settings: Settings) -> dict[str, Any]:
    """Everything, in the shape of `handbook doctor --json` (docs/json.md)."""
    missing: list[Missing] = []
    report: dict[str, Any] = {
        "version": __version__,
        "machine": probe().to_dict(),
        "packages": _packages(missing),
        "models": model_rows(settings, missing),
        "data": _data_folder(settings.data, missing),
        "database": _database(settings, missing),
        "book": _book(settings, missing),
        "frontend": _frontend(missing),
        "compiler": _compiler(missing),
        "judge": _judge(settings, missing),
        "settings_file": {"path": str(settings_file()), "exists": settings_file().is_file()},
        "missing": [{"what": item.what, "remedy": item.remedy, "needed": item.needed} for item in missing],
    }
    report["ok"] = not any(item.needed for item in missing)
    return report


def _packages(missing: list[Missing]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
            missing.append(Missing(f"The package {name}.", f"pip install {name}", needed=True))
    return found


def model_rows(settings: Settings, missing: list[Missing] | None = None) -> list[dict[str, Any]]:
    """One row a model of the catalogue: name, kind, bytes, licence, found, path, in_use, fault."""
    from handbook.model.weights.catalog import CATALOG, find

    rows = []
    for name, packaged in CATALOG.items():
        fault, path = None, None
        try:
            path = find(name, settings)
        except HandbookError as error:
            fault = str(error)
        in_use = name in (settings.model, settings.embedder)
        rows.append(
            {
                "name": name,
                "title": packaged.title,
                "kind": packaged.kind,
                "bytes": packaged.size,
                "license": packaged.license,
                "found": path is not None,
                "path": str(path) if path else None,
                "in_use": in_use,
                "fault": fault,
            }
        )
        if path is None and in_use and missing is not None:
            what = fault or f"The model {name} ({packaged.size / 1e6:.0f} MB)."
            missing.append(Missing(what, f"handbook models get {name}", needed=True))
    return rows


def _data_folder(folder: Path, missing: list[Missing]) -> dict[str, Any]:
    standing = folder
    while not standing.exists() and standing != standing.parent:
        standing = standing.parent
    try:
        with tempfile.TemporaryFile(dir=standing):
            writable = True
    except OSError:
        writable = False
        remedy = "Set HANDBOOK_DATA to a folder that you can write to."
        missing.append(Missing(f"Permission to write to {folder}.", remedy, needed=True))
    free = shutil.disk_usage(standing).free
    if free < ROOM_WANTED:
        what = f"Room on the disk of {folder}: {free / 1e9:.1f} GB free, {ROOM_WANTED / 1e9:.0f} GB wanted."
        missing.append(Missing(what, "Free some space, or set HANDBOOK_DATA to another disk.", needed=False))
    return {"path": str(folder), "exists": folder.is_dir(), "writable": writable, "free_bytes": free}


def _database(settings: Settings, missing: list[Missing]) -> dict[str, Any]:
    """A SQLite file that is not there yet is fine and is not made by looking."""
    from sqlalchemy import make_url

    from handbook.database import open_database

    try:
        if settings.database_url is None and not (settings.data / "handbook.db").exists():
            return {"url": settings.database, "ok": True, "exists": False, "fault": None}
        database = open_database(settings)
    except HandbookError as error:
        missing.append(Missing(f"A usable database: {error.what}", error.remedy, needed=True))
        return {"url": _hidden(make_url, settings.database), "ok": False, "exists": True, "fault": error.what}
    database.close()
    return {"url": database.url, "ok": True, "exists": True, "fault": None}


def _hidden(make_url: Any, url: str) -> str:
    try:
        from handbook.database.store import without_secrets

        return without_secrets(make_url(url))
    except Exception:  # whatever can't be parsed is not shown
        return "(not a URL)"


def _book(settings: Settings, missing: list[Missing]) -> Mapping[str, Any]:
    from handbook.book.load import open_book

    book = open_book(settings.book)
    if book.faults:
        what = f"A sound book: {len(book.faults)} faults in {book.root}."
        missing.append(Missing(what, "handbook book check", needed=False))
    return {"path": str(book.root), "chapters": len(book.chapters), "faults": len(book.faults)}


def _frontend(missing: list[Missing]) -> dict[str, Any]:
    folder = Path(__file__).parent / "static" / "vendor"
    built = folder.is_dir() and any(folder.iterdir())
    if not built:
        remedy = "Reinstall with a connection to the npm registry: pip install -e . (or pip install .)"
        missing.append(Missing("The front-end files (math, editor, fonts).", remedy, needed=True))
    return {"path": str(folder), "built": built}


def _judge(settings: Settings, missing: list[Missing]) -> dict[str, Any]:
    """What holds the submissions that the judge runs. Tried for real, in a tenth of a second."""
    from handbook.practice.sandbox.opened import isolation_of, needs_consent

    try:
        isolation = isolation_of(settings)
    except HandbookError as error:
        missing.append(Missing(f"The judge of exercises: {error.what}", error.remedy, needed=False))
        return {"isolation": None, "layers": [], "open": []}
    if needs_consent(isolation):
        what = f"Isolation of exercises. Not contained: {'; '.join(isolation.open)}."
        remedy = "Allow user namespaces or install bubblewrap; until then run only code that you trust."
        missing.append(Missing(what, remedy, needed=False))
    return {"isolation": isolation.name, "layers": list(isolation.layers), "open": list(isolation.open)}


def _compiler(missing: list[Missing]) -> str | None:
    """A C compiler's path. Nothing needs one; it is looked for because people ask."""
    for name in ("cc", "gcc", "clang", "cl"):
        found = shutil.which(name)
        if found:
            return found
    remedy = "Nothing to do: no part of this version compiles anything."
    missing.append(Missing("A C compiler, which is not needed.", remedy, needed=False))
    return None
