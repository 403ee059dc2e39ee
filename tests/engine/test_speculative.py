"""Speculation changes the speed and nothing else: exact by counting draws, by hand, and token for token."""

from functools import cache

import pytest
import torch

from handbook.engine.sampler import draw, randomness
from handbook.engine.speculative import (
    DraftLength,
    PromptLookup,
    accept_by_rejection,
    accept_same_draw,
    best_length,
    expected_tokens,
    leftover,
)

P = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.1, 0.1, 0.2, 0.6], [0.25, 0.25, 0.25, 0.25]])
Q = torch.tensor([[0.1, 0.6, 0.1, 0.2], [0.4, 0.3, 0.2, 0.1]])
TRIALS = 10_000
LIMIT = 16.3  # chi-squared, 3 degrees of freedom, 0.1 %


def chi_squared(counts: torch.Tensor, p: torch.Tensor) -> float:
    """sum((observed - expected)^2 / expected); infinite where something impossible was drawn."""
    if bool((counts[p == 0] > 0).any()):
        return float("inf")
    expected = p[p > 0].double() * counts.sum()
    return float(((counts[p > 0] - expected).square() / expected).sum())


def one_hot(token: int) -> torch.Tensor:
    """q [1, V] of a draft that has no probabilities."""
    return torch.eye(4)[token : token + 1]


def uniforms(trial: int, count: int) -> list[float]:
    return [randomness(trial, place) for place in range(count)]


@cache
def many() -> list[list[int]]:
    return [speculate(trial) for trial in range(TRIALS)]


def speculate(trial: int) -> list[int]:
    numbers = uniforms(trial, 8)
    drafts = [draw(Q[0], numbers[6]), draw(Q[1], numbers[7])]
    return accept_by_rejection(drafts, Q, P, numbers[:6])


def test_rejection_keeps_the_distribution() -> None:
    """First tokens follow P[0] although they were guessed by Q[0], and so do second ones where one came."""
    said = many()
    first = torch.bincount(torch.tensor([tokens[0] for tokens in said]), minlength=4)
    second = torch.bincount(torch.tensor([tokens[1] for tokens in said if len(tokens) > 1]), minlength=4)
    third = torch.bincount(torch.tensor([tokens[2] for tokens in said if len(tokens) > 2]), minlength=4)
    assert chi_squared(first, P[0]) < LIMIT
    assert chi_squared(second, P[1]) < LIMIT
    assert chi_squared(third, P[2]) < LIMIT
    assert chi_squared(first, P[1]) > LIMIT, "the test could not tell"


def test_acceptance_is_the_overlap() -> None:
    """A draft is accepted with probability sum(min(p, q)). Leviathan et al. 2022, theorem 3.5."""
    said = many()
    rate = sum(len(tokens) > 1 for tokens in said) / len(said)
    assert rate == pytest.approx(torch.minimum(P[0], Q[0]).sum().item(), abs=0.017)


def test_rejection_by_hand() -> None:
    """q(1) = 0.6, p(1) = 0.3: accepted below one half. Else from (0.4, 0, 0.1, 0) / 0.5."""
    assert accept_by_rejection([1], Q[:1], P[:2], [0.49, 0.0, 0.0, 0.95]) == [1, 3]
    assert accept_by_rejection([1], Q[:1], P[:2], [0.51, 0.79, 0.0, 0.0]) == [0]
    assert accept_by_rejection([1], Q[:1], P[:2], [0.51, 0.81, 0.0, 0.0]) == [2]
    assert leftover(P[0], Q[0]).tolist() == pytest.approx([0.8, 0.0, 0.2, 0.0])
    assert torch.equal(leftover(P[0], P[0]), P[0])


def test_an_impossible_draft_is_never_accepted() -> None:
    assert accept_by_rejection([3], one_hot(3), P[:2], [0.0, 0.0, 0.0, 0.0]) != [3]


def test_the_same_draw_is_what_comes_without_guessing() -> None:
    for trial in range(500):
        plain = [draw(P[place], randomness(trial, place)) for place in range(3)]
        drafts = [draw(Q[place], randomness(trial, 50 + place)) for place in range(2)]
        said = accept_same_draw(drafts, plain)
        assert said == plain[: len(said)]
        right = next((n for n in range(2) if drafts[n] != plain[n]), 2)
        assert len(said) == right + 1


def test_both_ways_accept_drafts_without_probabilities_equally_often() -> None:
    rejection, same = 0, 0
    for trial in range(TRIALS):
        rejection += len(accept_by_rejection([0], one_hot(0), P[:2], uniforms(trial, 4))) > 1
        drawn = [draw(P[place], randomness(trial, 9 + place)) for place in range(2)]
        same += len(accept_same_draw([0], drawn)) > 1
    assert rejection / TRIALS == pytest.approx(0.5, abs=0.017)
    assert same / TRIALS == pytest.approx(0.5, abs=0.017)


def test_expected_tokens_by_hand() -> None:
    """a = 0.8, k = 4: 1 + 0.8 + 0.64 + 0.512 + 0.4096 = 3.3616."""
    assert expected_tokens(0.8, 4) == pytest.approx(3.3616)
    assert expected_tokens(0.0, 4) == 1
    assert expected_tokens(1.0, 4) == 5


def test_the_best_length_weighs_gain_and_cost() -> None:
    assert best_length(0.0, 0.05, 8) == 0
    assert best_length(1.0, 0.05, 8) == 8
    assert best_length(0.9, 1.0, 8) == 0
    assert 1 < best_length(0.8, 0.1, 8) < 8
    assert best_length(0.5, 0.05, 8) < best_length(0.9, 0.05, 8)


def test_the_length_follows_the_text() -> None:
    length = DraftLength(8)
    first = length.next
    for _ in range(60):
        length.saw(4, 0)
    assert length.next == 0 < first
    for _ in range(16):
        length.skipped()
    assert length.next == 1
    for _ in range(40):
        length.saw(4, 4)
    assert length.next == 8


def test_lookup_finds_the_last_time() -> None:
    lookup = PromptLookup(longest=3, shortest=2)
    text = [1, 2, 3, 4, 5, 1, 2, 3, 9, 9, 1, 2, 3]
    assert lookup.guess(text, 3) == [9, 9, 1]  # the later of two places
    assert lookup.guess([*text, 4], 2) == [5, 1]  # 2 3 4 stood at the beginning
    assert lookup.guess([*text, 4, 7], 2) == []
    assert lookup.guess([*text, 4, 7, 9, 9], 9) == [1, 2, 3, 4, 7, 9, 9]  # the longest match there is has two


def test_lookup_prefers_the_longer_match() -> None:
    lookup = PromptLookup(longest=3, shortest=1)
    assert lookup.guess([7, 1, 2, 8, 1, 2, 5, 0, 7, 1, 2], 1) == [8]
    assert PromptLookup(longest=2, shortest=1).guess([7, 1, 2, 8, 1, 2, 5, 0, 7, 1, 2], 1) == [5]


def test_lookup_never_points_at_the_end_itself() -> None:
    lookup = PromptLookup(1, 1)
    assert lookup.guess([4], 3) == []
    assert lookup.guess([4, 4], 3) == [4]
    with pytest.raises(ValueError, match="got 2 and 1"):
        PromptLookup(1, 2)
