"""The tests of the exercises, tested: stored results are of today's files, and a sample of them holds.

The whole run is `handbook bench mutants --store`; here every exercise has two of its mutants judged again.
"""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from handbook.book.load import open_book
from handbook.practice.judge import Judge
from handbook.practice.mutants import Mutant
from handbook.settings import load
from tests.labs.conftest import ROOT

BOOK = open_book(ROOT / "book")
STORED = json.loads((ROOT / "bench/mutants.json").read_text(encoding="utf-8"))["exercises"]
SAMPLE = 2


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_mutants", ROOT / "bench/mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_mutants"] = module
    spec.loader.exec_module(module)
    return module


BENCH = loaded()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(load()) as judge:
        yield judge


def test_every_exercise_was_tested() -> None:
    assert set(STORED) == set(BOOK.exercises)


@pytest.mark.parametrize("name", sorted(BOOK.exercises))
def test_nothing_changed_since(name: str) -> None:
    assert STORED[name]["digest"] == BENCH.digest(BOOK.exercises[name]), (
        f"{name} changed since its mutants were judged: handbook bench mutants --changed --store"
    )


@pytest.mark.parametrize("name", sorted(BOOK.exercises))
def test_nearly_all_are_rejected(name: str) -> None:
    one = STORED[name]
    assert one["mutants"] - one["rejected"] == len(one["survivors"])
    assert one["rejected"] >= BENCH.FLOOR * one["mutants"], one["survivors"]


def test_equivalent_mutants_have_their_reason() -> None:
    for file in BENCH.EQUIVALENT.glob("*.toml"):
        assert file.stem in BOOK.exercises, f"{file.name} is of no exercise"
        for key, entry in BENCH.equivalent(file.stem).items():
            assert set(entry) == {"key", "change", "why"}, f"{file.name}: {key}"
            assert len(entry["why"].split()) >= 4, f"{file.name}: say why {key} is equivalent"


def chosen(name: str) -> list[Mutant]:
    """The same few every time: those whose hash of name and key comes first."""
    survivors = " ".join(STORED.get(name, {}).get("survivors", []))
    known = BENCH.equivalent(name)
    made = [m for m in BENCH.made(BOOK.exercises[name]) if m.key not in known and m.key not in survivors]
    return sorted(made, key=lambda m: hashlib.sha256(f"{name} {m.key}".encode()).digest())[:SAMPLE]


@pytest.mark.parametrize("name", sorted(BOOK.exercises))
def test_a_sample_is_rejected_again(name: str, judge: Judge) -> None:
    exercise = BOOK.exercises[name]
    for mutant in chosen(name):
        trusted = "handbook" in mutant.code
        report = judge.run(exercise, mutant.code, growth=False, trusted=trusted, seconds=5.0, fail_fast=True)
        assert not report.passed, f"line {mutant.line}: {mutant.what}"
        assert report.broken or any(v.state in ("failed", "error") for v in report.verdicts), report
