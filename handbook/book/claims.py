"""Measured numbers: what a claim says, which function measures it, what must hold, what was found."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbook.book import bounds, tables

if TYPE_CHECKING:
    from handbook.book.faults import Faults

ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
NEEDS = ("models", "text", "sets", "retrieval", "code", "cells")
FIELDS = ("value", "low", "high")
MEASURED = {
    "value": float,
    "low": float,
    "high": float,
    "samples": int,
    "small": bool,
    "machine": str,
    "date": str,
    "command": str,
}
REQUIRED = {"id": str, "says": str, "text": str, "unit": str, "lab": str, "bound": str}
OPTIONAL = {"exact": bool, "needs": list, "measured": dict}


@dataclass(frozen=True, slots=True)
class Measured:
    """A recorded measurement: median of `samples`, lowest, highest; small: with the lab's small settings."""

    value: float
    low: float
    high: float
    samples: int
    small: bool
    machine: str
    date: str
    command: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence with a number. chapter: `part/slug`. lab: top-level function of the chapter's lab.py."""

    id: str
    chapter: str
    says: str
    text: str
    unit: str
    lab: str
    bound: str
    exact: bool
    needs: tuple[str, ...]
    measured: Measured | None
    line: int

    @property
    def shown(self) -> str | None:
        """How the recorded value reads in prose; None while nothing is recorded."""
        return format(self.text, self.measured) if self.measured else None

    def holds(self, value: float) -> bool:
        """Whether a value satisfies the bound."""
        return bounds.parse(self.bound).holds(value)


def format(text: str, measured: Measured) -> str:
    """Fill `{value:.0f} times`. Only value, low and high may be named. Raises ValueError."""
    parts = []
    for literal, name, spec, conversion in string.Formatter().parse(text):
        parts.append(literal)
        if name is None:
            continue
        if name not in FIELDS or conversion or "{" in (spec or ""):
            raise ValueError(f"{{{name}}} is not one of {{value}}, {{low}}, {{high}} with a plain format")
        parts.append(getattr(measured, name).__format__(spec or ""))
    return "".join(parts)


def _measured(
    table: Mapping[str, Any], file: Path, line: int, id: str, bound: bounds.Bound, faults: Faults
) -> Measured | None:
    if not tables.check(table, MEASURED, {}, file, line, f"The measurement of claim {id}", faults):
        return None
    values = {key: kind(table[key]) for key, kind in MEASURED.items()}
    measured = Measured(**values)
    if not measured.low <= measured.value <= measured.high:
        faults.add(
            "broken-claim",
            file,
            line,
            f"Claim {id} records the value {measured.value:g} outside its own interval "
            f"{measured.low:g} to {measured.high:g}.",
            "Measure it again: handbook verify --write.",
        )
    if not bound.holds(measured.value):
        faults.add(
            "broken-claim",
            file,
            line,
            f"Claim {id} must be {bound.text}, and {measured.value:g} is recorded.",
            "Correct the sentence and the bound, or the code; then handbook verify --write.",
        )
    return measured


def _claim(table: Mapping[str, Any], chapter: str, file: Path, line: int, faults: Faults) -> Claim | None:
    id = table.get("id", "?")
    if not tables.check(table, REQUIRED, OPTIONAL, file, line, f"Claim {id}", faults):
        return None
    if not ID.fullmatch(id):
        faults.add("bad-id", file, line, f"The claim id {id!r} is not lower-case words joined by hyphens.")
        return None
    try:
        bound = bounds.parse(table["bound"])
    except ValueError as error:
        faults.add("bad-bound", file, line, f"The bound of claim {id} is not understood: {error}.")
        return None
    for need in table.get("needs", []):
        if need not in NEEDS:
            faults.add(
                "unknown-need", file, line, f"Claim {id} needs {need!r}.", f"Known: {', '.join(NEEDS)}."
            )
    try:
        format(table["text"], Measured(1.0, 1.0, 1.0, 1, True, "", "", ""))
    except ValueError as error:
        faults.add("bad-text", file, line, f"The text of claim {id} cannot be filled in: {error}.")
        return None
    measured = None
    if "measured" in table:
        measured = _measured(table["measured"], file, line, id, bound, faults)
    else:
        faults.add(
            "unmeasured-claim",
            file,
            line,
            f"Claim {id} was never measured.",
            f"handbook verify {chapter} --write.",
        )
    return Claim(
        id=id,
        chapter=chapter,
        says=table["says"],
        text=table["text"],
        unit=table["unit"],
        lab=table["lab"],
        bound=bound.text,
        exact=table.get("exact", False),
        needs=tuple(table.get("needs", ())),
        measured=measured,
        line=line,
    )


def load_claims(file: Path, chapter: str, faults: Faults) -> tuple[Claim, ...]:
    """Read claims.toml. Faulty claims are left out and reported."""
    table, text = tables.read(file, faults)
    tables.unknown(table, ("claim",), file, text, faults)
    lines = tables.array_lines(text, "claim")
    claims = []
    entries = table.get("claim", [])
    for entry, line in zip(entries, lines + [1] * len(entries), strict=False):
        claim = _claim(entry, chapter, file, line, faults)
        if claim:
            claims.append(claim)
    return tuple(claims)
