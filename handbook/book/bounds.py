"""Bounds of claims: `>= 3`, `<= 1e-5`, `== 23040`, `2..9`, joined by `and`. Nothing is evaluated."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

_NUMBER = r"[-+]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COMPARE = re.compile(rf"(>=|<=|==|>|<)\s*({_NUMBER})")
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})")
RELATIVE = 1e-6  # how far two runs of an exact claim may differ: the last digits of a float sum


def same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=0.0)


_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": same,
}


@dataclass(frozen=True, slots=True)
class Bound:
    """What a value must satisfy on any machine. `text` is how it was written."""

    text: str
    clauses: tuple[tuple[str, float], ...]

    def holds(self, value: float) -> bool:
        """False for NaN, which compares false with everything."""
        return all(_OPERATORS[op](value, limit) for op, limit in self.clauses)


def parse(text: str) -> Bound:
    """Read a bound. Raises ValueError that says what is not understood."""
    clauses: list[tuple[str, float]] = []
    for piece in text.split(" and "):
        part = piece.strip()
        if match := _COMPARE.fullmatch(part):
            clauses.append((match[1], float(match[2])))
        elif match := _RANGE.fullmatch(part):
            low, high = float(match[1]), float(match[2])
            if low > high:
                raise ValueError(f"the range {part} is empty")
            clauses += [(">=", low), ("<=", high)]
        else:
            raise ValueError(f"{part!r} is neither a comparison (>= 3) nor a range (2..9)")
    return Bound(text, tuple(clauses))
