"""The chapter's claims about trained models, with their small settings: each holds, and within its time."""

import time
from pathlib import Path

import pytest

from handbook.book.load import open_book
from handbook.lab.transformer import training

CHAPTER = open_book(Path(__file__).parents[2] / "book").chapters["transformer-deep-dive"]
CLAIMS = [claim for claim in CHAPTER.claims if claim.needs == ("text",)]


def test_they_are_there_and_are_measured_here() -> None:
    assert len(CLAIMS) == 11
    assert all(hasattr(training, claim.lab) for claim in CLAIMS)


@pytest.mark.text
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_they_hold(claim, with_text: Path) -> None:
    found = getattr(training, claim.lab)(small=True)
    samples = sorted(found) if isinstance(found, list) else [found]
    assert claim.holds(samples[len(samples) // 2]), samples


@pytest.mark.alone
@pytest.mark.text
def test_a_model_is_trained_once(with_text: Path) -> None:
    first = training.trained("dense")
    begin = time.process_time()
    assert training.trained("dense") is first
    assert time.process_time() - begin < 0.1


def test_what_an_extension_changes() -> None:
    from handbook.train.tiny import recipe

    config = recipe("dense", 65, training.SMALL).config
    none, linear, ntk, yarn = (training.extended(config, name) for name in ("none", "linear", "ntk", "yarn"))
    assert {c.context for c in (none, linear, ntk, yarn)} == {4 * config.context}
    assert none.rope_scaling is None
    assert none.rope_theta == config.rope_theta
    assert (linear.rope_scaling.kind, linear.rope_scaling.factor) == ("linear", 4)
    assert ntk.rope_theta == pytest.approx(10_000 * 4 ** (24 / 22))
    assert (yarn.rope_scaling.kind, yarn.rope_scaling.original_context) == ("yarn", config.context)
    with pytest.raises(ValueError, match="method"):
        training.extended(config, "alibi")
