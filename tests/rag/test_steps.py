"""The trace: what is in a step, and that it can be shown as it is."""

import json
from dataclasses import dataclass

import pytest

from handbook.rag.nouns import Found
from handbook.rag.steps import SHOWN, Steps, passages, plain
from handbook.records import Chunk, Hit
from tests.rag.rows import TEA, chunks


def test_a_stage_says_what_it_received_and_produced_and_how_long_it_took() -> None:
    steps = Steps()
    with steps.stage("fuse", rankings=2) as did:
        did.produced["of"] = 3
        did.cost["tokens"] = 7
        did.note = "by rank"
    with steps.stage("fuse.distinct", passages=3):
        pass
    first, second = steps.all
    assert (first.stage, first.received, first.produced, first.cost, first.note) == (
        "fuse", {"rankings": 2}, {"of": 3}, {"tokens": 7}, "by rank",
    )  # fmt: skip
    assert first.seconds > 0
    assert steps.seconds == {"fuse": pytest.approx(first.seconds + second.seconds)}
    assert Steps([first]).all == (first,)


def test_a_ranking_is_shown_with_the_ranks_before() -> None:
    found = [Found(row, 1 / n, dense=0.5) for n, row in enumerate(chunks("tea", TEA, title="Tea"), start=1)]
    shown = passages(found[::-1], found)
    assert shown[0] == {
        "rank": 1, "rank_before": 3, "id": "tea-2", "title": "Tea", "score": 0.3333, "dense": 0.5,
    }  # fmt: skip
    assert "rank_before" not in passages(found)[0]
    assert len(passages(found * 9)) == SHOWN
    hit = Hit(Chunk("a#b", "a", "b", "A / B", "text", "/book/a#b"), 2.0, lexical=3.0)
    assert passages([hit]) == [
        {"rank": 1, "id": "a#b", "title": "A / B", "url": "/book/a#b", "score": 2.0, "lexical": 3.0}
    ]


@dataclass(frozen=True)
class Change:
    wrong: str
    at: tuple[int, int]


def test_values_become_what_can_be_written_down() -> None:
    value = plain({"changes": (Change("teh", (0, 3)),), "none": None, "scores": {1: 0.5}, "kind": Chunk})
    assert value == {
        "changes": [{"wrong": "teh", "at": [0, 3]}], "none": "", "scores": {"1": 0.5}, "kind": str(Chunk),
    }  # fmt: skip
    assert json.loads(json.dumps(value)) == value
