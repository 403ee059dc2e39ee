"""What `handbook bench reranker` trains on."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from handbook.book.load import open_book
from handbook.settings import Settings

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def pairs() -> Any:
    spec = importlib.util.spec_from_file_location("_pairs", BENCH / "_pairs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_pairs"] = module
    spec.loader.exec_module(module)
    return module


DOC = """Sum the :class:`Thing <a.Thing>` over an *axis*.

Parameters
----------
axis : int

The sum is taken in ``float64``, so that small values are not lost beside large ones [1]_.

>>> total([1, 2])
3

- [x] a list
"""


def test_prose_leaves_examples_and_markup_out(pairs: Any) -> None:
    assert pairs.prose(DOC) == [
        "Sum the Thing over an *axis*.",
        "The sum is taken in float64, so that small values are not lost beside large ones .",
    ]


def test_halves_share_no_question_and_none_of_the_ask_set(pairs: Any) -> None:
    import json

    trained, held = pairs.book_pairs(open_book(Settings().book))
    assert len(trained) > 100
    assert len(held) > 100
    asked = {
        json.loads(line)["question"]
        for line in (BENCH / "ask" / "answerable.jsonl").read_text(encoding="utf-8").splitlines()
    }
    ours = [{pair.question for pair in half} for half in (trained, held)]
    assert not ours[0] & ours[1]
    assert not (ours[0] | ours[1]) & asked


def test_a_sentence_is_asked_of_what_is_left(pairs: Any) -> None:
    """Nine in ten times the sentence is not in its passage; a summary is never in its."""
    import random

    body = [f"Sentence number {n} says a thing about the subject of words." for n in range(6)]
    paragraphs = ["A summary of what there is.", " ".join(body)]
    made = [pairs._pair("p", paragraphs, random.Random(seed)) for seed in range(200)]
    by_sentence = [pair for pair in made if pair.question != paragraphs[0]]
    inside = sum(pair.question in pair.passage for pair in by_sentence)
    assert 80 < len(by_sentence) < 160
    assert 0 < inside < 0.25 * len(by_sentence)
    assert not any(pair.question in pair.passage for pair in made if pair.question == paragraphs[0])


def test_what_says_the_same_is_no_wrong_answer(pairs: Any) -> None:
    one = pairs.Pair("p", "q", "the tensor is copied to the device before it is used", "a")
    same = pairs.Pair("p", "q", "here the tensor is copied to the device before it is used", "b")
    other = pairs.Pair("p", "q", "a request waits in the queue until a worker is free", "c")
    assert pairs.alike(one, same)
    assert not pairs.alike(one, other)


def test_nothing_that_is_reported_on_is_read(pairs: Any) -> None:
    source = "".join((BENCH / name).read_text(encoding="utf-8") for name in ("_pairs.py", "reranker.py"))
    for reader in ("beir", "cacm.read", "settings.retrieval", "qrels"):
        assert reader not in source
