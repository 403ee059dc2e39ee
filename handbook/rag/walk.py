"""Which files of a folder are documents: in a fixed order, without what is hidden, ignored or no document.

What is left out is counted by its reason, and said: a folder of which half is not searched should not look
whole. `.gitignore` and `.handbookignore` are obeyed in the folder where they stand and below (patterns as in
gitignore(5), without its escapes). A link is followed only if asked, and no folder is entered twice, so loops
end.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import fnmatch
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePath

from handbook.errors import HandbookError
from handbook.rag.formats.faults import FILE, size
from handbook.rag.ingest import SUFFIXES

IGNORES = (".gitignore", ".handbookignore")
NEVER = ("node_modules", "__pycache__", "venv", "site-packages")
DEEPEST = 60  # folders within folders
MOST = 5_000_000  # files
RULES = 256 << 10  # bytes of an ignore file


@dataclass(frozen=True, slots=True)
class File:
    """A document on disk. size: bytes; modified: nanoseconds since the epoch."""

    path: str
    size: int
    modified: int


@dataclass
class Skipped:
    """What was not taken: how many by reason, and a line for each that a person would want to know of.
    unread: folders of which nobody can say what they hold."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def note(self, reason: str, line: str = "") -> None:
        self.counts[reason] += 1
        if line and len(self.lines) < 1000:
            self.lines.append(line)

    def __str__(self) -> str:
        return ", ".join(f"{count:,} {reason}" for reason, count in self.counts.most_common())


def walk(
    folder: str | Path, skipped: Skipped | None = None, hidden: bool = False, links: bool = False
) -> Iterator[File]:
    """The documents of a folder (or the one that `folder` names), ordered by name within each folder, files
    before folders.

    Args:
        skipped: is filled with what is left out.
        hidden: also what begins with a dot.
        links: follow links to files and folders, also out of the folder.
    Raises HandbookError where there is no such folder, or where it can't be read.
    """
    skipped = Skipped() if skipped is None else skipped
    root = Path(folder).absolute()
    try:
        status = root.stat()
        if stat.S_ISREG(status.st_mode):
            yield File(str(root), status.st_size, status.st_mtime_ns)
            return
        next(root.iterdir(), None)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HandbookError(
            f"{folder} can't be read: {reason}.", "Name a folder or a file that is there."
        ) from error
    yield from _Walk(skipped, hidden, links).folder(root)


class _Walk:
    def __init__(self, skipped: Skipped, hidden: bool, links: bool) -> None:
        self._skipped, self._hidden, self._links = skipped, hidden, links
        self._entered: set[tuple[int, int]] = set()
        self._taken: set[tuple[int, int]] = set()  # of files reached through links
        self._count = 0

    def folder(self, root: Path) -> Iterator[File]:
        """Depth first, by a stack of our own: a tree as deep as the disk allows overflows nothing."""
        stack: list[tuple[str, int, tuple[Rules, ...]]] = [(str(root), 0, ())]
        while stack:
            path, depth, rules = stack.pop()
            try:
                status = Path(path).stat()
                if (key := (status.st_dev, status.st_ino)) in self._entered:
                    self._skipped.note("folders that were already read", f"{path}: a loop, or a second way")
                    continue
                self._entered.add(key)
                with os.scandir(path) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                self._skipped.note("folders that can't be read", f"{path}: {error.strerror}")
                self._skipped.unread.append(path)
                continue
            rules = (*rules, *self._rules(path, entries))
            folders: list[str] = []
            for entry in entries:
                file, is_folder = self._look(entry, rules)
                if is_folder:
                    if depth < DEEPEST:
                        folders.append(entry.path)
                    else:
                        self._skipped.note(
                            "folders that are too deep", f"{entry.path}: below {DEEPEST} others"
                        )
                if file is not None:
                    self._count += 1
                    if self._count > MOST:
                        raise HandbookError(
                            f"There are more than {MOST:,} documents.", "Take them folder by folder."
                        )
                    yield file
            stack += [(folder, depth + 1, rules) for folder in reversed(folders)]

    def _look(self, entry: "os.DirEntry[str]", rules: "Sequence[Rules]") -> tuple[File | None, bool]:
        """The entry's file, or whether it is a folder to go into; notes why it is neither."""
        try:
            entry.name.encode("utf-8")
        except UnicodeEncodeError:
            self._skipped.note("names that are no text", f"{entry.path!a}: its name is no UTF-8")
            return None, False
        try:
            link = entry.is_symlink()
            if link and not self._links:
                self._skipped.note("links", f"{entry.path}: a link, not followed")
                return None, False
            status = entry.stat()
        except OSError as error:
            reason = "links to nothing" if link else "unreadable"
            self._skipped.note(reason, f"{entry.path}: {error.strerror}")
            return None, False
        is_folder = stat.S_ISDIR(status.st_mode)
        if entry.name.startswith(".") and not self._hidden:
            if entry.name not in IGNORES:
                self._skipped.note("hidden")
        elif (is_folder and entry.name in NEVER) or ignored(entry.path, is_folder, rules):
            self._skipped.note("ignored")
        elif is_folder:
            return None, True
        elif not stat.S_ISREG(status.st_mode):
            self._skipped.note("no files", f"{entry.path}: a pipe, a socket or a device")
        elif PurePath(entry.name).suffix.lower() not in SUFFIXES:
            self._skipped.note("of other kinds")
        elif status.st_size > FILE:
            self._skipped.note("too large", f"{entry.path}: {size(status.st_size)}, read are {size(FILE)}")
        elif not status.st_size:
            self._skipped.note("empty")
        elif self._links and (status.st_dev, status.st_ino) in self._taken:
            self._skipped.note("files that were already read")
        else:
            if self._links:
                self._taken.add((status.st_dev, status.st_ino))
            return File(entry.path, status.st_size, status.st_mtime_ns), False
        return None, False

    def _rules(self, path: str, entries: "Sequence[os.DirEntry[str]]") -> "list[Rules]":
        found = []
        for entry in entries:
            if entry.name in IGNORES and entry.is_file(follow_symlinks=False):
                try:
                    with Path(entry.path).open(encoding="utf-8", errors="replace") as file:
                        found.append(Rules.read(path, file.read(RULES)))
                except OSError as error:
                    self._skipped.note("ignore files that can't be read", f"{entry.path}: {error.strerror}")
        return found


Pattern = tuple["re.Pattern[str] | None", ...]  # a name each; None is any number of folders


@dataclass(frozen=True)
class Rules:
    """An ignore file: its folder, and its patterns in order. The last that matches decides."""

    folder: str
    patterns: tuple[tuple[Pattern, bool, bool], ...]  # what it matches, whether it takes back, folders alone

    @classmethod
    def read(cls, folder: str, text: str) -> "Rules":
        patterns = []
        for line in text.splitlines():
            line = line.rstrip()
            if not line or line.startswith("#"):
                continue
            back = line.startswith("!")
            line = line[back:]
            only = line.endswith("/")
            if line := line.rstrip("/"):
                patterns.append((pattern(line), back, only))
        return cls(folder, tuple(patterns))


def ignored(path: str, is_folder: bool, rules: Sequence[Rules]) -> bool:
    """Whether ignore files leave a path out; those in inner folders have the last word."""
    for rule in reversed(rules):
        below = path[len(rule.folder) :].lstrip("/\\").replace("\\", "/").split("/")
        for line, back, only in reversed(rule.patterns):
            if (is_folder or not only) and matches(line, below):
                return not back
    return False


@lru_cache(maxsize=4096)
def pattern(line: str) -> Pattern:
    """A line of gitignore(5), a part a name. fnmatch's expressions don't go back, so none takes long."""
    names = [name for name in line.split("/") if name]
    parts = tuple(None if name == "**" else re.compile(fnmatch.translate(name)) for name in names)
    return parts if "/" in line else (None, *parts)


def matches(line: Pattern, names: Sequence[str]) -> bool:
    """Whether a pattern matches a path from its first name to its last: as an automaton, in linear time."""

    def with_none(places: set[int]) -> set[int]:
        for place in sorted(places):
            while place < len(line) and line[place] is None:
                place += 1
                places.add(place)
        return places

    places = with_none({0})
    for name in names:
        after = set()
        for place in places:
            if place < len(line):
                part = line[place]
                if part is None:
                    after.add(place)
                elif part.match(name):
                    after.add(place + 1)
        places = with_none(after)
    return len(line) in places
