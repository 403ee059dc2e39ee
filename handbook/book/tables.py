"""TOML with line numbers good enough for a fault: the file, the table, the key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handbook.book.faults import Faults

_WHERE = re.compile(r"\(at line (\d+), column \d+\)")


@lru_cache(maxsize=256)
def _loaded(text: str) -> dict[str, Any]:
    """Most files are as they were when the book is read again."""
    return tomllib.loads(text)


def read(file: Path, faults: Faults) -> tuple[dict[str, Any], str]:
    """The parsed file and its text; empty and a fault where it does not parse."""
    text = faults.read(file)
    if text is None:
        return {}, ""
    try:
        return deepcopy(_loaded(text)), text
    except tomllib.TOMLDecodeError as error:
        found = _WHERE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        faults.add("syntax", file, line, f"This is not valid TOML: {_WHERE.sub('', str(error)).strip()}.")
        return {}, text


def array_lines(text: str, name: str) -> list[int]:
    """Line of each `[[name]]`."""
    pattern = re.compile(rf"^\s*\[\[\s*{re.escape(name)}\s*\]\]", re.MULTILINE)
    return [text[: match.start()].count("\n") + 1 + match[0].count("\n") for match in pattern.finditer(text)]


def key_line(text: str, key: str, after: int = 1) -> int:
    """Line of the first `key =` at or after a line; that line itself where there is none."""
    pattern = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    lines = text.splitlines()
    return next((i for i, line in enumerate(lines[after - 1 :], after) if pattern.match(line)), after)


def unknown(table: Mapping[str, Any], known: Iterable[str], file: Path, text: str, faults: Faults) -> None:
    for key in table:
        if key not in known:
            faults.add(
                "unknown-key", file, key_line(text, key), f"Unknown key {key}.", f"Known: {', '.join(known)}."
            )


def _fits(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def check(
    table: Mapping[str, Any],
    required: Mapping[str, type],
    optional: Mapping[str, type],
    file: Path,
    line: int,
    subject: str,
    faults: Faults,
) -> bool:
    """Whether every required key is there with its type; each miss and each unknown key is a fault."""
    good = True
    known = {**required, **optional}
    for key, value in table.items():
        if key not in known:
            faults.add(
                "unknown-key",
                file,
                line,
                f"{subject} has the unknown key {key}.",
                f"Known: {', '.join(known)}.",
            )
        elif not _fits(value, known[key]):
            expected = known[key].__name__
            faults.add(
                "bad-value", file, line, f"{subject}: {key} should be of type {expected}, got {value!r}."
            )
            good = False
        elif key in required and isinstance(value, str) and not value.strip():
            faults.add("missing-key", file, line, f"{subject}: {key} is empty.")
            good = False
    for key in required:
        if key not in table:
            faults.add("missing-key", file, line, f"{subject} has no {key}.")
            good = False
    return good
