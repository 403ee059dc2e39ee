"""A gate for quality: a change may not make answers worse than what is stored, unless somebody says so.

What is stored is a file in the repository with each stage's score for each question, so that a review shows
which questions a change won and lost.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handbook.errors import DataError, DataUnavailable
from handbook.rag.beir import Golden
from handbook.rag.evaluate import Difference, Scores, difference

SCHEMA = "handbook.rag.gate/1"
ALLOWED = 0.01  # that a mean may fall: a change that only breaks ties otherwise moves some questions
DIGITS = 4
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Fall:
    """A stage that became worse. apart: new minus stored. queries: those that lost, the most first."""

    stage: str
    measure: str
    stored: float
    now: float
    apart: Difference
    queries: tuple[str, ...]

    def __str__(self) -> str:
        spread = f"{self.apart.low:+.4f} to {self.apart.high:+.4f}"
        return (
            f"{self.stage}, {self.measure}: from {self.stored:.4f} to {self.now:.4f} (between {spread}); "
            f"lost at {', '.join(self.queries[:8])}" + (" ..." if len(self.queries) > 8 else "")
        )


def store(path: Path, golden: Golden, found: Sequence[Scores]) -> None:
    """Write what later changes are held to."""
    stages = {
        each.stage: {
            name: {q: round(value, DIGITS) for q, value in of.items()} for name, of in each.values.items()
        }
        for each in found
    }
    said = {"schema": SCHEMA, "set": golden.name, "digest": golden.digest, "stages": stages}
    path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def falls(path: Path, golden: Golden, found: Sequence[Scores], allowed: float = ALLOWED) -> list[Fall]:
    """The stages and measures whose mean is more than `allowed` below what is stored; none is good.

    A stage that is new is passed over: there is nothing to hold it to.

    Raises:
        DataUnavailable: nothing is stored there.
        DataError: it is broken, or of other questions, or has a stage that is not measured any more (which
            would never be seen to fall).
    """
    stored = _read(path, golden)
    now = {each.stage: each for each in found}
    gone = [
        f"{stage}, {name}"
        for stage, of in stored.items()
        for name in of
        if stage not in now or name not in now[stage].values
    ]
    if gone:
        raise DataError(
            f"{path} has what was not measured: {'; '.join(gone)}.",
            "Measure it too, or store anew.",
            tuple(gone),
        )
    fallen = []
    for stage, of in stored.items():
        for name, before in of.items():
            values = {query: round(value, DIGITS) for query, value in now[stage].values[name].items()}
            if set(values) != set(before):
                raise DataError(f"{path} has other queries in {stage}, {name}.", "Store anew.")
            if (was := _mean(before)) - (has := _mean(values)) > allowed + ROUNDING:
                lost = sorted(
                    (q for q in before if values[q] < before[q]), key=lambda q: values[q] - before[q]
                )
                fallen.append(Fall(stage, name, was, has, difference(values, before), tuple(lost)))
    return fallen


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values) if values else 0.0


def _read(path: Path, golden: Golden) -> dict[str, dict[str, dict[str, float]]]:
    try:
        said: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataUnavailable(f"{path} is not there.", "Store the scores first.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Store the scores anew.") from error
    if not isinstance(said, dict) or said.get("schema") != SCHEMA:
        raise DataError(f"{path} is not of the schema {SCHEMA}.", "Store the scores anew.")
    if said.get("digest") != golden.digest:
        raise DataError(
            f"{path} was stored for other questions or judgements than {golden.name} has now.",
            "Scores of two sets cannot be compared: store anew, and say in the commit why.",
        )
    stages: Any = said.get("stages")
    if not _is_scores(stages):
        raise DataError(f"{path} has no scores by stage, measure and query.", "Store the scores anew.")
    found: dict[str, dict[str, dict[str, float]]] = stages
    return found


def _is_scores(stages: Any, depth: int = 3) -> bool:
    """Objects within objects, numbers from 0 to 1 at the bottom."""
    if depth == 0:
        return isinstance(stages, (int, float)) and not isinstance(stages, bool) and 0 <= stages <= 1
    return isinstance(stages, dict) and all(_is_scores(of, depth - 1) for of in stages.values())
