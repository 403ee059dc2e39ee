"""Reading the fields of a YAML mapping, each miss with its line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from handbook.book.faults import Faults
from handbook.book.yaml_nodes import Value

_WORDS = {"true": True, "false": False}


@dataclass
class Fields:
    """A mapping under reading. `subject` starts every fault; `good` turns false at the first of them."""

    value: Value
    file: Path
    subject: str
    faults: Faults
    good: bool = True

    def fault(self, kind: str, line: int, what: str, remedy: str = "") -> None:
        self.faults.add(kind, self.file, line, f"{self.subject}: {what}", remedy)
        self.good = False

    def known(self, *keys: str) -> bool:
        """Report unknown and repeated keys. False where this is no mapping at all."""
        if self.value.table is None:
            self.fault("bad-value", self.value.line, f"expected a mapping, got a {self.value.kind}.")
            return False
        for key in self.value.repeated:
            self.fault("duplicate-id", self.value.line, f"the key {key} is given twice.")
        for key, child in self.value.table.items():
            if key not in keys:
                line = child.line
                self.faults.add(
                    "unknown-key",
                    self.file,
                    line,
                    f"{self.subject}: unknown key {key}.",
                    f"Known: {', '.join(keys)}.",
                )
        return True

    def get(self, key: str) -> Value | None:
        return (self.value.table or {}).get(key)

    def line(self, key: str) -> int:
        found = self.get(key)
        return found.line if found else self.value.line

    def text(self, key: str, required: bool = True) -> str:
        found = self.get(key)
        if found is None:
            if required:
                self.fault("missing-key", self.value.line, f"{key} is missing.")
            return ""
        if found.scalar is None:
            self.fault("bad-value", found.line, f"{key} should be text, got a {found.kind}.")
            return ""
        if required and not found.scalar.strip():
            self.fault("missing-key", found.line, f"{key} is empty.")
        return found.scalar.strip()

    def choice(self, key: str, choices: Iterable[str]) -> str:
        text = self.text(key)
        if text and text not in choices:
            self.fault("bad-choice", self.line(key), f"{key} is {text!r}.", f"One of: {', '.join(choices)}.")
        return text

    def number(self, key: str, default: float) -> float:
        text = self.text(key, required=False)
        if not text:
            return default
        try:
            number = float(text)
        except ValueError:
            self.fault("bad-value", self.line(key), f"{key} should be a number, got {text!r}.")
            return default
        if not 0 < number < float("inf"):
            self.fault("bad-value", self.line(key), f"{key} should be above 0, got {text}.")
        return number

    def flag(self, key: str) -> bool:
        text = self.text(key, required=False).lower()
        if text and text not in _WORDS:
            self.fault("bad-value", self.line(key), f"{key} should be true or false, got {text!r}.")
        return _WORDS.get(text, False)

    def many(self, key: str) -> tuple[Value, ...]:
        """The items of a list; a fault where it is something else. Empty where it is missing."""
        found = self.get(key)
        if found is None:
            return ()
        if found.items is None:
            self.fault("bad-value", found.line, f"{key} should be a list, got {found.kind}.")
            return ()
        return found.items
