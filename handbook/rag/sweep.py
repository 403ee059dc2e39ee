"""A sweep over settings: quality and latency of each, and the few that are worth having.

A setting is on the Pareto front where no other is at least as good and at least as fast, and better in one of
them. What is off the front is never the right choice; which of those on it is, hangs on what a second is
worth. Choose on one half of the questions and quote the other (`halves`): the best of many settings is in
part the luckiest.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from handbook.rag.beir import Golden
from handbook.rag.evaluate import Rank, scores

Setting = Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Point:
    """A setting's quality (0 to 1, more is better) and latency (seconds of a query, less is better)."""

    setting: Setting
    quality: float
    seconds: float

    def beats(self, other: "Point") -> bool:
        """Whether it is at least as good and as fast, and better in one."""
        no_worse = self.quality >= other.quality and self.seconds <= other.seconds
        return no_worse and (self.quality, self.seconds) != (other.quality, other.seconds)

    def __str__(self) -> str:
        named = ", ".join(f"{name} {value}" for name, value in self.setting.items())
        return f"{self.quality:.4f}  {self.seconds * 1e3:8.2f} ms  {named}"


def grid(choices: Mapping[str, Iterable[float | int | str]]) -> list[dict[str, float | int | str]]:
    """Every setting that takes one of each choice; the last name changes the fastest."""
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def front(points: Iterable[Point]) -> list[Point]:
    """Those that no other beats, the fastest first. Of equal ones all stay."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.seconds, -point.quality)):
        best = kept[-1] if kept else None  # of all that are as fast or faster, the best came last
        equal = best is not None and (point.quality, point.seconds) == (best.quality, best.seconds)
        if best is None or point.quality > best.quality or equal:
            kept.append(point)
    return kept


def sweep(
    build: Callable[[Setting], Rank],
    settings: Sequence[Setting],
    golden: Golden,
    measure: str = "nDCG@10",
    share: float = 0.5,
) -> list[Point]:
    """Each setting's point, in order: the mean of a measure, and the seconds that `share` of the queries took
    at most. build: a setting -> the stage that has it.

    A query is asked with every setting before the next one is, so that a machine that slows down for a while
    slows all of them. The first query is asked once before, outside the clock.
    """
    stages = [build(setting) for setting in settings]
    runs: list[dict[str, Sequence[str]]] = [{} for _ in settings]
    seconds: list[list[float]] = [[] for _ in settings]
    for place, (query, text) in enumerate(golden.queries.items()):
        for rank, run, took in zip(stages, runs, seconds, strict=True):
            if place == 0:
                rank(text)
            begin = time.perf_counter()
            run[query] = rank(text)
            took.append(time.perf_counter() - begin)
    points = []
    for setting, run, took in zip(settings, runs, seconds, strict=True):
        scored = scores("swept", run, golden.judged, [measure], took)
        points.append(Point(setting, scored.mean(measure), scored.percentile(share)))
    return points


def halves(golden: Golden) -> tuple[Golden, Golden]:
    """Two sets over one corpus, each with about half of the queries: one to choose on, one to quote.

    By a hash of the id, so that a query stays on its side when others come and go.
    """
    sides: tuple[dict[str, str], dict[str, str]] = {}, {}
    for id, text in golden.queries.items():
        sides[hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()[0] & 1][id] = text
    one, other = (
        replace(
            golden,
            name=f"{golden.name}, {name}",
            queries=side,
            judged={query: golden.judged[query] for query in side},
        )
        for name, side in zip(("chosen on", "quoted"), sides, strict=True)
    )
    return one, other


def table(points: Sequence[Point]) -> str:
    """All points, the fastest first, those on the front marked."""
    best = {id(point) for point in front(points)}
    ordered = sorted(points, key=lambda point: (point.seconds, -point.quality))
    return "\n".join(f"{'*' if id(point) in best else ' '} {point}" for point in ordered)
