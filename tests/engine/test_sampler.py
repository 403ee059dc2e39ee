"""Filters against transformers' own, and draws that can be repeated."""

import math

import pytest
import torch

from handbook.chat import Sampling
from handbook.engine.sampler import (
    add_bias,
    count_penalty,
    distribution,
    draw,
    min_p_filter,
    randomness,
    repetition_penalty,
    sample,
    top_k_filter,
    top_p_filter,
)

V = 500


@pytest.fixture(params=range(8))
def logits(request):
    torch.manual_seed(request.param)
    return torch.randn(V) * (0.1, 1.0, 3.0, 10.0)[request.param % 4]


def warped(warper, logits, ids=()):
    return warper(torch.tensor([list(ids)], dtype=torch.long), logits[None].clone())[0]


@pytest.mark.parametrize("k", [1, 2, 50, V, V + 1])
def test_top_k(logits, k):
    from transformers import TopKLogitsWarper

    assert torch.equal(top_k_filter(logits, k), warped(TopKLogitsWarper(k), logits))
    assert top_k_filter(logits, k).isfinite().sum() == min(k, V)


@pytest.mark.parametrize("p", [1e-6, 0.1, 0.5, 0.9, 0.999])
def test_top_p(logits, p):
    from transformers import TopPLogitsWarper

    got = top_p_filter(logits, p)
    assert torch.equal(got, warped(TopPLogitsWarper(p), logits))
    kept, probabilities = got.isfinite(), logits.softmax(-1)
    assert probabilities[kept].sum() >= p - 1e-6
    assert probabilities[kept].sum() - probabilities[kept].min() < p + 1e-6, "one less would not do"


@pytest.mark.parametrize("p", [0.01, 0.1, 0.9, 1.0])
def test_min_p(logits, p):
    from transformers import MinPLogitsWarper

    assert torch.equal(min_p_filter(logits, p), warped(MinPLogitsWarper(p), logits))


@pytest.mark.parametrize("penalty", [0.5, 1.1, 2.0])
def test_repetition_penalty(logits, penalty):
    from transformers import RepetitionPenaltyLogitsProcessor

    history = [3, 3, 17, 499, 0]
    got = repetition_penalty(logits, history, penalty)
    assert torch.equal(got, warped(RepetitionPenaltyLogitsProcessor(penalty), logits, history))
    assert not torch.equal(got, logits)


def test_switched_off_a_filter_changes_nothing(logits):
    before = logits.clone()
    for got in (
        top_k_filter(logits, 0),
        top_p_filter(logits, 1.0),
        min_p_filter(logits, 0.0),
        repetition_penalty(logits, [1], 1.0),
        repetition_penalty(logits, [], 2.0),
    ):
        assert torch.equal(got, before)
    for change in (top_k_filter(logits, 3), top_p_filter(logits, 0.3), min_p_filter(logits, 0.99)):
        assert not torch.equal(change, before)
    repetition_penalty(logits, [1], 2.0)
    assert torch.equal(logits, before), "filters are pure"


def test_top_p_by_hand():
    """Shares 0.5, 0.3, 0.2: the smallest set with 0.7 is the first two."""
    logits = torch.tensor([0.2, 0.5, 0.3]).log()
    assert top_p_filter(logits, 0.7).isfinite().tolist() == [False, True, True]
    assert top_p_filter(logits, 0.4).isfinite().tolist() == [False, True, False]
    assert top_p_filter(logits, 0.0).isfinite().tolist() == [False, True, False]


def test_temperature_zero_is_greedy(logits):
    assert sample(logits, Sampling(temperature=0)) == int(logits.argmax())
    best = int(logits.argmax())
    punished = sample(
        logits.abs(), Sampling(temperature=0, repetition_penalty=1e6), history=[int(logits.abs().argmax())]
    )
    assert punished != int(logits.abs().argmax())
    assert best == sample(logits, Sampling(temperature=5.0, top_k=1))


def draws(logits, sampling, seed, count=20):
    return [sample(logits, sampling, uniform=randomness(seed, place)) for place in range(count)]


def test_a_seed_repeats_the_draws(logits):
    sampling = Sampling(temperature=2.0)
    assert draws(logits, sampling, 7) == draws(logits, sampling, 7)
    assert draws(logits, sampling, 7) != draws(logits, sampling, 8)


def test_draws_follow_the_distribution():
    """Temperature 2 takes the square root of the odds: 4 : 1 becomes 2 : 1. 3,000 draws are within 3 standard
    errors."""
    logits = torch.tensor([math.log(4.0), 0.0, -math.inf])
    drawn = draws(logits, Sampling(temperature=2.0), seed=0, count=3000)
    assert set(drawn) == {0, 1}
    error = math.sqrt(2 / 3 * 1 / 3 / 3000)
    assert drawn.count(0) / 3000 == pytest.approx(2 / 3, abs=3 * error)


def test_filters_bound_what_is_drawn(logits):
    best = set(logits.topk(3).indices.tolist())
    assert set(draws(logits, Sampling(temperature=50.0, top_k=3), 0, 100)) == best


def test_draw_by_hand():
    """Shares 0.2, 0, 0.5, 0.3 end to end: 0.2 belongs to the third token, and no number to the second."""
    shares = torch.tensor([0.2, 0.0, 0.5, 0.3])
    assert [draw(shares, u) for u in (0.0, 0.19, 0.21, 0.69, 0.71, 1 - 2**-53)] == [0, 0, 2, 2, 3, 3]
    assert draw(torch.tensor([1.0, 0.0]), 1 - 2**-53) == 0


def test_randomness_is_even_and_its_places_are_unlike():
    numbers = [randomness(3, place) for place in range(20_000)]
    assert 0 <= min(numbers) < max(numbers) < 1
    cells = torch.histc(torch.tensor(numbers), bins=20, min=0, max=1)
    assert ((cells - 1000).square() / 1000).sum() < 43.8  # chi-squared, 19 degrees, 0.1 %
    pairs = torch.tensor([numbers[:-1], numbers[1:]])
    assert abs(torch.corrcoef(pairs)[0, 1].item()) < 4 / 20_000**0.5
    assert len({randomness(seed, 5, stream) for seed in range(50) for stream in range(20)}) == 1000


def test_what_openai_adds(logits):
    said = [1, 1, 2]
    changed = count_penalty(logits, said, 0.5, 0.25) - logits
    assert changed[1].item() == pytest.approx(-1.0, abs=1e-5)
    assert changed[2].item() == pytest.approx(-0.75, abs=1e-5)
    assert changed[[0, 3]].abs().max() == 0
    assert (add_bias(logits, {3: 2.0}) - logits)[3].item() == pytest.approx(2.0, abs=1e-5)
    best = int(logits.argmax())
    other = 0 if best else 1
    assert sample(logits, Sampling(temperature=0, logit_bias={other: 1e4})) == other
    assert sample(logits, Sampling(temperature=0, presence_penalty=1e4), [best], prompt=0) != best
    assert sample(logits, Sampling(temperature=0, presence_penalty=1e4), [best], prompt=1) == best


def test_greedy_leaves_one_token(logits):
    shares = distribution(logits, Sampling(temperature=0))
    assert shares.sum() == 1
    assert shares.argmax() == logits.argmax()
