"""What a submission may read: the standard library, NumPy, torch and what they import; nothing else.

Listed package by package from what is installed, so that a cell sees neither the handbook nor the rest of
the person's environment.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
import sys
import sysconfig
from pathlib import Path

WANTED = ("numpy", "torch")
INSTALLED = ("site-packages", "dist-packages")  # folders of packages within that of the standard library
SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
)


@functools.cache
def standard() -> tuple[Path, ...]:
    """Folders of the standard library, without the packages that are installed within them."""
    names = ("stdlib", "platstdlib")
    # resolve() follows the virtual environment's links to where the interpreter was installed
    return tuple(dict.fromkeys(Path(sysconfig.get_path(name)).resolve() for name in names))


@functools.cache
def search_path() -> tuple[str, ...]:
    """`sys.path` of a cell: the standard library and the folders that hold the packages."""
    own = standard()
    folders = [*own, *(folder / "lib-dynload" for folder in own)]
    return tuple(dict.fromkeys(map(str, [*folders, *_sites()])))


def _sites() -> list[Path]:
    found = []
    for name in WANTED:
        try:
            found.append(Path(str(importlib.metadata.distribution(name).locate_file(""))).resolve())
        except importlib.metadata.PackageNotFoundError:
            continue
    return list(dict.fromkeys(found))


@functools.cache
def packages() -> tuple[Path, ...]:
    """Files and folders in site-packages of NumPy, torch and everything that they require, transitively."""
    seen: set[str] = set()
    paths: dict[Path, None] = {}
    todo = list(WANTED)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an optional one, or one for another platform
        site = Path(str(found.locate_file(""))).resolve()
        for file in found.files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not top.endswith(".pth"):
                paths[site / top] = None
        for wanted in found.requires or ():
            if "extra ==" not in wanted:
                todo.append(re.split(r"[^A-Za-z0-9._-]", wanted, maxsplit=1)[0])
    return tuple(path for path in paths if path.exists())


@functools.cache
def modules() -> tuple[str, ...]:
    """Names that can be imported at the top: those of the standard library and of `packages`."""
    names = (path.name.partition(".")[0] for path in packages() if path.suffix not in (".dist-info", ".libs"))
    own = (path.name.partition(".")[0] for folder in standard() for path in folder.glob("_*.py"))
    return tuple(sorted({*sys.stdlib_module_names, *names, *own}))


@functools.cache
def readable() -> tuple[str, ...]:
    """What a cell may read: files and folders, as real paths; not the whole of site-packages."""
    system = [Path(path) for path in SYSTEM if Path(path).exists()]
    shared = Path(sys.base_prefix) / "lib"
    libpython = [path.resolve() for path in shared.glob("libpython*.so*")]
    inside = [child for folder in standard() for child in _modules_in(folder)]
    chosen = [*system, *libpython, *inside, *packages()]
    return tuple(dict.fromkeys(str(path) for path in chosen))


def _modules_in(folder: Path) -> list[Path]:
    """What lies in a folder of the standard library, without the packages that were installed there."""
    return [child for child in folder.iterdir() if child.name not in INSTALLED]


def _pieces(folder: Path) -> list[Path]:
    """A folder of the standard library: whole, or in pieces where packages that cells need lie within it,
    so that it cannot be hidden with the others beside them."""
    return _modules_in(folder) if any(folder in package.parents for package in packages()) else [folder]


def shown() -> tuple[str, ...]:
    """What a cell with a root of its own finds there: `readable` in few pieces, see `hidden`."""
    system = [path for path in SYSTEM if Path(path).exists()]
    shared = (Path(sys.base_prefix) / "lib").glob("libpython*.so*")
    own = [str(piece) for folder in standard() for piece in _pieces(folder)]
    places = (*own, *map(str, packages()), *(str(path.resolve()) for path in shared))
    return tuple(dict.fromkeys((*system, *places)))


def hidden() -> tuple[str, ...]:
    """Folders within `shown` that stay empty there: other packages, in the interpreter and the system's."""
    folders = [str(folder / name) for folder in standard() for name in INSTALLED]
    own = [path for path in folders if not any(str(each).startswith(path + "/") for each in packages())]
    return (*own, "/usr/lib/python3/dist-packages")


def interpreter() -> str:
    """The interpreter itself, not the virtual environment's link to it."""
    return str(Path(getattr(sys, "_base_executable", "") or sys.executable).resolve())
