"""Rerunning the labs: is what the book says still true, on this machine?

A lab is loaded as a module by its path. marimo leaves functions declared with `@app.function`, or in
`with app.setup:`, as plain functions of the module, so nothing of the notebook itself runs.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from handbook.book import bounds, modules
from handbook.book.claims import Claim, Measured
from handbook.book.fill import fill
from handbook.book.load import open_book
from handbook.book.nouns import Book, Chapter
from handbook.book.record import record
from handbook.errors import (
    BookError,
    DataUnavailable,
    HandbookError,
    ModelUnavailable,
    TextUnavailable,
)

Progress = Callable[[int, int, str], None]
ABSENT: dict[type[HandbookError], tuple[str, ...]] = {
    ModelUnavailable: ("models",),
    TextUnavailable: ("text",),
    DataUnavailable: ("sets", "retrieval", "code", "cells"),
}  # what is raised where a need is not met, and which needs those can be
RETRIEVAL = ("scifact/corpus.jsonl", "scifact/queries.jsonl", "scifact/qrels/test.tsv", "cacm/cacm.tar.gz")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rerun found. value: median of the samples, NaN where nothing was measured.

    holds: the bound holds and, for an exact claim, the recorded value was met again; False where skipped.
    reason: why it does not hold or was skipped; empty where it holds. seconds: how long it took.
    """

    claim: Claim
    value: float
    low: float
    high: float
    holds: bool
    reason: str = ""
    skipped: bool = False
    samples: int = 0
    small: bool = True
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return not self.holds and not self.skipped

    def to_dict(self) -> dict[str, Any]:
        """The stable shape of `handbook verify --json`: numbers are null where nothing was measured.

        status is `holds`, `fails` or `skipped`; recorded is the value in claims.toml or null.
        """
        measured = not math.isnan(self.value)
        return {
            "claim": self.claim.id,
            "chapter": self.claim.chapter,
            "says": self.claim.says,
            "status": "skipped" if self.skipped else "holds" if self.holds else "fails",
            "reason": self.reason,
            "value": self.value if measured else None,
            "low": self.low if measured else None,
            "high": self.high if measured else None,
            "samples": self.samples,
            "unit": self.claim.unit,
            "bound": self.claim.bound,
            "exact": self.claim.exact,
            "recorded": self.claim.measured.value if self.claim.measured else None,
            "small": self.small,
            "seconds": round(self.seconds, 3),
        }


def _nothing(claim: Claim, reason: str, small: bool, skipped: bool = False, seconds: float = 0.0) -> Outcome:
    nan = math.nan
    return Outcome(claim, nan, nan, nan, False, reason, skipped, 0, small, seconds)


def _samples(found: Any) -> list[float]:
    values = list(found) if isinstance(found, Sequence) or hasattr(found, "__len__") else [found]
    return [float(value) for value in values]


def _judge(claim: Claim, samples: list[float], small: bool, seconds: float, compare: bool) -> Outcome:
    value, low, high = statistics.median(samples), min(samples), max(samples)
    reason = ""
    if any(math.isnan(sample) for sample in samples):
        return _nothing(claim, f"{claim.lab} returned a value that is not a number.", small, seconds=seconds)
    if not claim.holds(value):
        reason = f"Expected {claim.bound}, got {value:.6g}."
    elif claim.exact and compare and claim.measured and not bounds.same(value, claim.measured.value):
        reason = f"Expected the recorded {claim.measured.value!r} again, got {value!r}."
    return Outcome(claim, value, low, high, not reason, reason, False, len(samples), small, seconds)


def measure(claim: Claim, lab: ModuleType, small: bool, compare: bool = True) -> Outcome:
    """Call a claim's function. What it raises becomes the outcome.

    compare: hold an exact claim against its recorded value as well as against its bound.
    """
    begin = time.perf_counter()
    try:
        function = getattr(lab, claim.lab, None)
        if not callable(function):
            return _nothing(claim, f"lab.py has no function {claim.lab}.", small)
        samples = _samples(function(small=small))
    except tuple(ABSENT) as error:
        skipped = any(
            need in claim.needs for kind in ABSENT if isinstance(error, kind) for need in ABSENT[kind]
        )
        return _nothing(claim, str(error), small, skipped, time.perf_counter() - begin)
    except Exception as error:
        what = str(error) if isinstance(error, HandbookError) else f"{type(error).__name__}: {error}"
        return _nothing(claim, f"{claim.lab} failed: {what}", small, seconds=time.perf_counter() - begin)
    if not samples:
        return _nothing(claim, f"{claim.lab} returned no samples.", small)
    return _judge(claim, samples, small, time.perf_counter() - begin, compare)


def missing(claim: Claim) -> str:
    """What this machine lacks for a claim, as a reason to skip it; empty where it lacks nothing."""
    faults = [absent() for need, absent in LACKING.items() if need in claim.needs]
    return " ".join(filter(None, faults))


def _no_model() -> str:
    from handbook.model.weights import catalog
    from handbook.settings import Settings, load

    name = str(Settings.model_fields["model"].default)
    try:
        found = catalog.find(name, load())
    except HandbookError as error:
        return str(error)
    return "" if found else f"The model {name} is not on this machine: handbook models get {name}."


def _no_text() -> str:
    from handbook.settings import load
    from handbook.train import text

    try:
        text.pinned(load())
    except HandbookError as error:
        return str(error)
    return ""


def _no_sets() -> str:
    from handbook.settings import load
    from handbook.train import sets

    settings = load()
    try:
        for one in sets.ALL:
            sets.here(one, settings)
    except HandbookError as error:
        return str(error)
    return ""


def _no_retrieval() -> str:
    from handbook.settings import load

    folder = load().retrieval
    if folder is None:
        return (
            "SciFact and CACM are not on this machine: HANDBOOK_RETRIEVAL names the folder that holds them."
        )
    absent = [name for name in RETRIEVAL if not (folder / name).is_file()]
    return f"{folder} lacks {', '.join(absent)}." if absent else ""


def _no_code() -> str:
    from handbook.settings import load

    folder = load().code
    if folder is None:
        return "HumanEval is not on this machine: HANDBOOK_CODE names the folder that holds humaneval/."
    absent = not (folder / "humaneval/HumanEval.jsonl.gz").is_file()
    return f"{folder} lacks humaneval/HumanEval.jsonl.gz." if absent else ""


def _no_cells() -> str:
    return "" if sys.platform == "linux" else "Isolation by the kernel needs Linux."


LACKING = {
    "models": _no_model,
    "text": _no_text,
    "sets": _no_sets,
    "retrieval": _no_retrieval,
    "code": _no_code,
    "cells": _no_cells,
}


def command(chapter: Chapter, small: bool) -> str:
    """What repeats a measurement. The command line writes with full settings only."""
    return f"handbook verify {chapter.path}" + ("" if small else " --write")


def _write(chapter: Chapter, outcome: Outcome, machine: str) -> None:
    measured = Measured(
        value=outcome.value,
        low=outcome.low,
        high=outcome.high,
        samples=outcome.samples,
        small=outcome.small,
        machine=machine,
        date=datetime.now(UTC).date().isoformat(),
        command=command(chapter, outcome.small),
    )
    record(chapter.folder / "claims.toml", outcome.claim, measured)


def _chapter(
    chapter: Chapter, small: bool, write: bool, started: Callable[[Claim], None]
) -> Iterator[Outcome]:
    lab: ModuleType | None = None
    broken = "" if chapter.lab else "This chapter has no lab.py."
    for claim in chapter.claims:
        started(claim)
        if reason := missing(claim):
            yield _nothing(claim, reason, small, skipped=True)
            continue
        if lab is None and not broken:
            assert chapter.lab is not None
            try:
                lab = modules.load(chapter.lab, f"handbook_lab_{chapter.slug.replace('-', '_')}")
            except Exception as error:
                broken = f"lab.py cannot be loaded: {type(error).__name__}: {error}"
        if lab is None:
            yield _nothing(claim, broken, small)
        else:
            yield measure(claim, lab, small, compare=not write)


def verify(
    book: Book,
    chapter: Chapter | str | None = None,
    small: bool = True,
    write: bool = False,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Measure every claim of one chapter, or of all, in the order of the files.

    small: the labs' small settings. progress(done, total, id of the claim) is called before each claim and at
    the end. write: record each value whose bound holds, as it comes, and bring the prose up to date at the
    end; an exact claim is then not held against its old value. Raises BookError for an unknown chapter.
    """
    if isinstance(chapter, str):
        found = book.chapter(chapter)
        if found is None:
            raise BookError(f"There is no chapter {chapter}.", f"Chapters: {', '.join(book.chapters)}.")
        chapter = found
    chosen = [chapter] if chapter else list(book.chapters.values())
    total = sum(len(one.claims) for one in chosen)
    outcomes: list[Outcome] = []
    machine = _machine() if write else ""

    def started(claim: Claim) -> None:
        if progress:
            progress(len(outcomes), total, claim.id)

    for one in chosen:
        for outcome in _chapter(one, small, write, started):
            outcomes.append(outcome)
            if write and outcome.holds:
                _write(one, outcome, machine)
        if write and one.claims:
            fresh = open_book(book.root, book.package)
            fill(fresh, fresh.chapters[one.slug])
    if progress:
        progress(total, total, "")
    return outcomes


def _machine() -> str:
    from handbook.hardware.probe import probe

    return str(probe().label)
