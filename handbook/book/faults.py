"""Collecting faults: every reader adds to one list and goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from handbook.book.nouns import Fault


@dataclass
class Faults:
    """The list, and the folder that file names are relative to (the one that holds `book/`)."""

    base: Path
    found: list[Fault] = field(default_factory=list)

    def name(self, file: Path) -> str:
        return file.relative_to(self.base).as_posix() if file.is_relative_to(self.base) else str(file)

    def add(self, kind: str, file: Path, line: int, what: str, remedy: str = "") -> None:
        self.found.append(Fault(self.name(file), max(1, line), what, remedy, kind))

    def read(self, file: Path) -> str | None:
        """The text of a file, or None and a fault when it is not UTF-8 or cannot be read."""
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = file.read_bytes()[: error.start].count(b"\n") + 1
            self.add("unreadable", file, line, "This file is not UTF-8 text.", "Save it as UTF-8.")
        except OSError as error:
            self.add(
                "unreadable",
                file,
                1,
                f"This file cannot be read: {error.strerror}.",
                "Check its permissions.",
            )
        return None

    def sorted(self) -> tuple[Fault, ...]:
        return tuple(sorted(set(self.found)))
