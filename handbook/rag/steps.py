"""The trace: what each stage received and produced, what it cost and how long it took, as it happens.

What is kept can be shown as it is: words, numbers, and lists of passages as records with the same few names.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass

from handbook.rag.nouns import Found
from handbook.records import Hit, Step

SHOWN = 10  # passages of a ranking that a step keeps


@dataclass
class Made:
    """What a stage says of itself while it works."""

    produced: dict[str, object] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    note: str = ""


class Steps:
    """The steps of one question, in order."""

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self._steps = list(steps)

    @contextmanager
    def stage(self, name: str, **received: object) -> Iterator[Made]:
        """A stage at work. What is put into the result becomes its step, with the seconds until the end."""
        made = Made()
        began = time.perf_counter()
        yield made
        seconds = time.perf_counter() - began
        self._steps.append(Step(name, received, made.produced, seconds, made.cost, made.note))

    def add(self, steps: Sequence[Step]) -> None:
        self._steps += steps

    @property
    def all(self) -> tuple[Step, ...]:
        return tuple(self._steps)

    @property
    def seconds(self) -> dict[str, float]:
        """Of each stage, its parts together."""
        found: dict[str, float] = {}
        for step in self._steps:
            name = step.stage.partition(".")[0]
            found[name] = found.get(name, 0.0) + step.seconds
        return found


def plain(value: object) -> object:
    """A value as a trace holds it: words, numbers, lists, and mappings by name; records as these."""
    if isinstance(value, str | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return "" if value is None else str(value)


def passages(
    found: Sequence[Found | Hit], before: Sequence[Found | Hit] | None = None
) -> list[dict[str, object]]:
    """The first of a ranking as they are shown. before: the ranking that it was made of, for the ranks
    there."""
    was = {_id(one): rank for rank, one in enumerate(before or (), start=1)}
    return [_shown(one, rank, was) for rank, one in enumerate(found[:SHOWN], start=1)]


def _id(one: Found | Hit) -> str:
    return one.row.id if isinstance(one, Found) else one.chunk.id


def _shown(one: Found | Hit, rank: int, was: Mapping[str, int]) -> dict[str, object]:
    shown: dict[str, object] = {"rank": rank}
    if was:
        shown["rank_before"] = was.get(_id(one), "")
    if isinstance(one, Found):
        title = " / ".join(dict.fromkeys(part for part in (one.row.title, *one.row.headings) if part))
        shown |= {"id": one.row.id, "title": title or one.row.document}
    else:
        shown |= {"id": one.chunk.id, "title": one.chunk.title, "url": one.chunk.url}
    scores = {"score": one.score, "dense": one.dense, "lexical": one.lexical}
    if isinstance(one, Found):
        scores["rerank"] = one.rerank
    return shown | {name: round(value, 4) for name, value in scores.items() if value is not None}
