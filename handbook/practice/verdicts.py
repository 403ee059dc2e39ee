"""What the judge says, as plain data: a verdict for every test, what was contained, and how time grows.

Nothing here is computed by the submission. Texts are cut and cleaned, so that a page, a terminal and a
database take them as they are.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FORMAT = "handbook.judge/1"
LONGEST = 2000  # characters of one text
State = Literal["passed", "failed", "error", "not_run"]
IncidentKind = Literal[
    "time",
    "memory",
    "processes",
    "output",
    "files",
    "network",
    "signals",
    "exit",
    "environment",
    "value",
    "protocol",
    "threads",
]


def cut(said: object, most: int = LONGEST) -> str:
    """Any text, made fit to show: at most so many characters, no half characters, no control characters."""
    text = str(said)
    text = text if len(text) <= most else text[: most - 3] + "..."
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c >= " " or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where what came is not what was expected. expected and got: the whole values as text, cut.

    first: index of the first element that differs, with its two values; differing of `of` elements do;
    worst: the largest absolute difference, None where it is no finite number. peer: the library that the
    expected value comes from, such as "torch 2.13".
    """

    what: str
    expected: str
    got: str
    expected_shape: tuple[int, ...] | None = None
    got_shape: tuple[int, ...] | None = None
    expected_dtype: str = ""
    got_dtype: str = ""
    tolerance: str = ""
    first: tuple[int, ...] | None = None
    first_expected: str = ""
    first_got: str = ""
    differing: int = 0
    of: int = 0
    worst: float | None = None
    peer: str = ""

    def __post_init__(self) -> None:
        for field in ("what", "expected", "got", "tolerance", "first_expected", "first_got", "peer"):
            object.__setattr__(self, field, cut(getattr(self, field)))
        if self.worst is not None and not math.isfinite(self.worst):
            object.__setattr__(self, "worst", None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one test. says: the first line of its docstring, or its name in words. message: "" where it passed.

    wall, cpu: seconds, cpu of the submission's process; memory: bytes that it held at most beyond its base.
    line: of the submission, where an error was raised there. state: failed where what came was not what was
    expected, error where something was raised, not_run where the judge never came to it.
    """

    name: str
    hidden: bool
    state: State
    message: str = ""
    difference: Difference | None = None
    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    output: str = ""
    line: int | None = None
    says: str = ""

    @property
    def passed(self) -> bool:
        return self.state == "passed"


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that the sandbox or the judge stopped, in words."""

    kind: IncidentKind
    what: str


@dataclass(frozen=True, slots=True)
class Isolation:
    """What held the submission. layers: by name, outermost first; open: what is NOT contained, in words."""

    name: Literal["worker", "bubblewrap", "process"]
    layers: tuple[str, ...] = ()
    contained: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Growth:
    """Time over the size of the input. exponent: slope in log-log with its interval low to high, or None.

    sizes and seconds: what was measured (CPU time). meets: whether it grows no faster than expected; None
    where too little was measured to say, which `note` explains.
    """

    looks_like: str
    exponent: float | None
    low: float | None
    high: float | None
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    expected: str
    meets: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All verdicts of one submission. broken: why no test began, "" where one did.

    wall: seconds from the request to the last verdict; cpu: of the submission's process; memory: its peak in
    bytes beyond its base. output: what it printed, first 64 KiB.
    """

    exercise: str
    verdicts: tuple[Verdict, ...]
    incidents: tuple[Incident, ...]
    output: str
    wall: float
    cpu: float
    memory: int
    isolation: Isolation
    growth: Growth | None = None
    broken: str = ""
    timed_out: bool = False

    @property
    def passed(self) -> bool:
        """All tests passed, and the time does not clearly grow faster than the exercise asks."""
        slow = self.growth is not None and self.growth.meets is False
        return bool(self.verdicts) and not slow and all(verdict.passed for verdict in self.verdicts)

    def asdict(self) -> dict[str, Any]:
        """Plain data for JSON, with the schema's name and `passed`."""
        return {"schema": FORMAT, "passed": self.passed, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """What `asdict` made. Raises ValueError for another schema, TypeError, KeyError for missing keys."""
        if data.get("schema") != FORMAT:
            raise ValueError(f"Expected a report of schema {FORMAT}, got {data.get('schema')!r}.")
        values = {key: value for key, value in data.items() if key not in ("schema", "passed")}
        values["verdicts"] = tuple(_verdict(verdict) for verdict in data["verdicts"])
        values["incidents"] = tuple(Incident(**incident) for incident in data["incidents"])
        values["isolation"] = Isolation(**_tuples(data["isolation"], "layers", "contained", "open"))
        growth = data.get("growth")
        values["growth"] = Growth(**_tuples(growth, "sizes", "seconds")) if growth else None
        return cls(**values)


def _tuples(data: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """JSON has lists only."""
    return {k: tuple(v) if k in keys and v is not None else v for k, v in data.items()}


def _verdict(data: Mapping[str, Any]) -> Verdict:
    difference = data.get("difference")
    made = Difference(**_tuples(difference, "expected_shape", "got_shape", "first")) if difference else None
    return Verdict(**{**data, "difference": made})
