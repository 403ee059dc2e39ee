"""Compiles kernels.cpp for this machine's processor, once, and loads it.

The library lies in the data folder under a name that is the hash of source, flags, compiler and processor;
libraries that another source made there long ago are removed.
The folder belongs to this user alone, and nothing is loaded that another user could have put there: it would
run as this user. Without a compiler, or where it fails, `load` says why, and torch computes.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from functools import lru_cache
from pathlib import Path

from handbook.engine.kernels.abi import Library, declare
from handbook.hardware.probe import probe
from handbook.settings import load as load_settings

SOURCE = Path(__file__).with_name("kernels.cpp")
KEPT = 14 * 86_400  # seconds that a library stays which nobody loads
NATIVE = "-mcpu=native" if platform.machine().lower() in ("arm64", "aarch64") else "-march=native"
# No a * b + c becomes one instruction unasked: a number next to a rounding's edge would fall on either side.
FLAGS = ("-O3", NATIVE, "-ffp-contract=off", "-std=c++17", "-shared", "-fPIC", "-pthread", "-w")
COMPILERS = ("g++", "c++", "clang++")
SECONDS = 300
log = logging.getLogger(__name__)


class NoKernels(Exception):
    """There are no kernels here; the message is the reason, in one line."""


@lru_cache(maxsize=1)
def load() -> "Library | str":
    """The kernels, or one line that says why there are none. Compiles at the first call on a machine."""
    try:
        return load_from(load_settings().data / "kernels")
    except NoKernels as error:
        return str(error)


def built() -> bool:
    """Whether `load` would find them compiled, so that it takes no time."""
    try:
        return (load_settings().data / "kernels" / library_name(SOURCE)).is_file()
    except (NoKernels, OSError):
        return False


def load_from(folder: Path) -> Library:
    """The kernels, built in `folder` where they aren't yet. Raises NoKernels."""
    return declare(load_source(SOURCE, folder))


def load_source(source: Path, folder: Path, more: tuple[str, ...] = ()) -> ctypes.CDLL:
    """A library of this source, which may include headers beside it and beside ours. Raises NoKernels."""
    if not hasattr(os, "getuid"):
        raise NoKernels("kernels are built on Linux and macOS only")
    path = folder / library_name(source, more)
    try:
        private(folder)
        if not path.exists():
            compile_to(path, find_compiler(), source, more)
        library = open_library(path)
        os.utime(path)
        clear(folder)
        return library
    except OSError as error:
        raise NoKernels(f"kernels could not be loaded: {error}") from error


def library_name(source: Path, more: tuple[str, ...] = ()) -> str:
    """What the library of this source is called on this machine. Raises NoKernels without a compiler."""
    headers = {path for place in (source.parent, SOURCE.parent) for path in place.glob("*.h")}
    text = b"".join(path.read_bytes() for path in (source, *sorted(headers)))
    return f"{fingerprint(text + ' '.join(more).encode(), find_compiler())}.so"


def find_compiler() -> str:
    """Where the system's C++ compiler is. Raises NoKernels."""
    for name in (os.environ.get("CXX"), *COMPILERS):
        if name and (found := shutil.which(name)):
            return found
    raise NoKernels(f"no C++ compiler here (looked for {', '.join(COMPILERS)})")


def flags() -> tuple[str, ...]:
    """Ours, then those of CXXFLAGS, which win: `-march=x86-64-v3` builds for a processor with AVX2 only."""
    return (*FLAGS, *shlex.split(os.environ.get("CXXFLAGS", "")))


def fingerprint(source: bytes, compiler: str) -> str:
    """A name for what comes of this source here: changes with source, flags, compiler and processor."""
    machine = probe()
    built = Path(compiler).stat()
    parts = (compiler, built.st_size, built.st_mtime_ns, flags(), machine.cpu, machine.isa, machine.os)
    return hashlib.sha256(repr(parts).encode() + source).hexdigest()[:32]


def private(folder: Path) -> None:
    """Make the folder, for this user alone. Raises NoKernels where it is open to others, or theirs."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NoKernels(f"{folder} is open to other users: remove it, or make it yours alone (chmod 700)")


def clear(folder: Path) -> None:
    """Remove libraries that were not loaded for `KEPT` seconds, and what a broken build left."""
    for path in folder.iterdir():
        if path.suffix in (".so", ".part") and time.time() - path.lstat().st_mtime > KEPT:
            path.unlink(missing_ok=True)


def compile_to(path: Path, compiler: str, source: Path = SOURCE, more: tuple[str, ...] = ()) -> None:
    """Build beside it, then rename, so that nobody ever loads half a library. Raises NoKernels."""
    log.warning("compiling %s for this processor with %s, once: ten seconds or more", source.name, compiler)
    handle, name = tempfile.mkstemp(suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        command = [compiler, *flags(), *more, str(source), "-o", name]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        if done.returncode:
            lines = done.stderr.decode(errors="replace").splitlines()
            told = next((line for line in lines if "error" in line), f"exit status {done.returncode}")
            raise NoKernels(f"{Path(compiler).name} could not compile the kernels: {told.strip()[:200]}")
        part.chmod(0o700)
        part.replace(path)
    except subprocess.TimeoutExpired:
        raise NoKernels(f"{Path(compiler).name} took more than {SECONDS} s") from None
    finally:
        part.unlink(missing_ok=True)


def open_library(path: Path) -> ctypes.CDLL:
    """Load a library that is this user's own, and that nobody else can write. Raises NoKernels, OSError."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise NoKernels(f"{path} could have been written by another user: remove it")
    return ctypes.CDLL(str(path))
