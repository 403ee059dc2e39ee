"""What the judge said, made ready for a page: also as it was kept, also by handbooks before the judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Literal

from handbook.practice.verdicts import FORMAT, Difference, Isolation, Report, Verdict

if TYPE_CHECKING:
    from handbook.book.nouns import Exercise

AROUND = 3  # lines shown around a difference
HELD = {
    "worker": "a process of its own, forked from a warm worker",
    "bubblewrap": "a process of its own under bubblewrap",
    "process": "a process of its own",
}
STATES = {"passed": "passed", "failed": "failed", "error": "raised an error", "not_run": "not run"}


def report_of(attempt: Mapping[str, Any]) -> Report | None:
    """The report of an attempt that was kept; None where what was kept can't be read as one."""
    said = dict(attempt["report"])
    try:
        if said.get("schema") != FORMAT:
            return _old(attempt)
        said.pop("kind", None)
        return Report.from_dict({**said, "verdicts": attempt["results"]})
    except (KeyError, TypeError, ValueError):
        return None


def _old(attempt: Mapping[str, Any]) -> Report:
    from handbook.database.practice import has_passed

    verdicts = tuple(
        Verdict(
            name=str(row["name"]),
            hidden=bool(row.get("hidden")),
            state="passed" if has_passed(row) else "failed",
            message=str(row.get("message", "")),
            wall=float(row.get("seconds", 0.0)),
        )
        for row in attempt["results"]
    )
    wall = sum(verdict.wall for verdict in verdicts)
    return Report(attempt["exercise"], verdicts, (), "", wall, 0.0, 0, Isolation("process"))


def held(isolation: Isolation) -> str:
    """What holds a submission, in words."""
    layers = isolation.layers
    return HELD[isolation.name] + (f", with {', '.join(layers)}" if layers else "")


def rows(difference: Difference) -> list[tuple[str, str, str]]:
    """(what, expected, got) of a difference: its table."""
    found = [("value", difference.expected, difference.got)]
    if difference.expected_shape is not None or difference.got_shape is not None:
        found.append(("shape", _shape(difference.expected_shape), _shape(difference.got_shape)))
    if difference.expected_dtype or difference.got_dtype:
        found.append(("dtype", difference.expected_dtype, difference.got_dtype))
    if difference.first is not None:
        place = ", ".join(map(str, difference.first))
        found.append((f"first at [{place}]", difference.first_expected, difference.first_got))
    return found


def _shape(shape: Sequence[int] | None) -> str:
    return "" if shape is None else f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def beneath(difference: Difference) -> str:
    """What the table can't hold: how many differ, by how much, what was tolerated, whose value it is."""
    parts = []
    if difference.of > 1 and difference.differing:
        parts.append(f"{difference.differing} of {difference.of} elements differ")
    if isinstance(difference.worst, int | float):
        parts.append(f"by at most {difference.worst:.3g}")
    if difference.tolerance:
        parts.append(f"tolerance: {difference.tolerance}")
    if difference.peer:
        parts.append(f"expected by {difference.peer}")
    return "; ".join(parts)


def said_by(verdict: Verdict) -> str:
    """The message, "" where the difference's table says the same."""
    difference = verdict.difference
    if difference is None:
        return verdict.message
    start = f"{difference.what}: expected " if difference.what else "expected "
    return "" if verdict.message.startswith(start) else verdict.message


def planned(exercise: "Exercise", hidden: bool) -> int:
    """How many tests a run has."""
    from handbook.book.exercise_files import tests_in

    stems = ("tests", "hidden") if hidden else ("tests",)
    return sum(len(tests_in(exercise.file(f"{stem}.py"))) for stem in stems)


@dataclass(frozen=True, slots=True)
class Line:
    """Of a comparison. old and new: its number there, 0 where it is not."""

    kind: Literal["same", "gone", "new", "skipped"]
    text: str
    old: int = 0
    new: int = 0


def compared(old: str, new: str) -> list[Line]:
    """The lines that differ, with some around them; [] where the texts are alike."""
    before, after = old.splitlines(), new.splitlines()
    lines: list[Line] = []
    for number, group in enumerate(SequenceMatcher(None, before, after, False).get_grouped_opcodes(AROUND)):
        if number or group[0][1]:
            lines.append(Line("skipped", ""))
        for tag, a, b, c, d in group:
            if tag == "equal":
                pairs = zip(range(a, b), range(c, d), strict=True)
                lines += [Line("same", before[i], i + 1, j + 1) for i, j in pairs]
            else:
                lines += [Line("gone", before[i], i + 1) for i in range(a, b)]
                lines += [Line("new", after[j], 0, j + 1) for j in range(c, d)]
    return lines
