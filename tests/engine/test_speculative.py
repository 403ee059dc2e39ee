"""Speculation changes the speed and nothing else: exact by counting draws, by hand, and token for token."""

from collections.abc import Callable, Sequence
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handbook.engine.sampler import draw, randomness
from handbook.engine.speculative import (
    DraftLength,
    Pace,
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


Accept = Callable[[Sequence[int], torch.Tensor, torch.Tensor, Sequence[float]], list[int]]


def speculate(trial: int, accept: Accept = accept_by_rejection) -> list[int]:
    numbers = uniforms(trial, 8)
    drafts = [draw(Q[0], numbers[6]), draw(Q[1], numbers[7])]
    return accept(drafts, Q, P, numbers[:6])


@cache
def many() -> list[list[int]]:
    return [speculate(trial) for trial in range(TRIALS)]


def drawn_anew(
    drafts: Sequence[int], q: torch.Tensor, p: torch.Tensor, uniforms: Sequence[float]
) -> list[int]:
    """A plausible fault: what was rejected is drawn from p, not from what is left over."""
    for place, token in enumerate(drafts):
        if uniforms[2 * place] * float(q[place, token]) >= float(p[place, token]):
            return [*drafts[:place], draw(p[place], uniforms[2 * place + 1])]
    return [*drafts, draw(p[len(drafts)], uniforms[2 * len(drafts) + 1])]


def taken_by_p(
    drafts: Sequence[int], q: torch.Tensor, p: torch.Tensor, uniforms: Sequence[float]
) -> list[int]:
    """Another: accepted with probability p(x), as if drafts had no probabilities of their own."""
    return accept_by_rejection(drafts, torch.ones_like(q), p, uniforms)


@pytest.mark.parametrize("fault", [drawn_anew, taken_by_p])
def test_the_distribution_tells_faults(fault: Accept) -> None:
    said = [speculate(trial, fault) for trial in range(TRIALS)]
    first = torch.bincount(torch.tensor([tokens[0] for tokens in said]), minlength=4)
    assert chi_squared(first, P[0]) > LIMIT


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


@given(st.floats(0, 1), st.floats(0, 3), st.integers(0, 12))
def test_the_best_length_is_the_best_of_all(acceptance: float, cost: float, most: int) -> None:
    """The search stops at the first draft that doesn't pay; there is no later one that does."""
    rates = [expected_tokens(acceptance, k) / (1 + cost * k) for k in range(most + 1)]
    assert rates[best_length(acceptance, cost, most)] == pytest.approx(max(rates), rel=1e-9)


def test_the_pace_by_hand() -> None:
    """A step of 4 sequences takes 10 and each draft of each 2; making one takes 0.5. A draft costs
    (2 + 4 * 0.5) / 10."""
    pace = Pace(usual=0.05)
    assert pace.cost(4) == 0.05
    for step in range(200):
        drafts = step % 3
        pace.stepped(4, 4 * drafts, 10.0 + 2.0 * drafts)
        if drafts:
            pace.made(4 * drafts, 2.0 * drafts)
    assert pace.cost(4) == pytest.approx(0.4, rel=0.05)
    assert pace.cost(1) == 0.05, "nothing is known of other batches"
    for _ in range(2):
        pace.stepped(4, 4, 1000.0)
    assert pace.cost(4) < 0.8, "the machine did something else meanwhile"


def test_the_pace_keeps_to_what_is_usual_until_it_can_tell() -> None:
    pace = Pace(usual=0.1)
    for _ in range(50):
        pace.stepped(1, 4, 14.0)  # 10 and 4 times 1, or 6 and 4 times 2
    assert pace.cost(1) == pytest.approx(0.1)
    pace = Pace(usual=0.1)
    for _ in range(50):
        pace.stepped(1, 0, 10.0)
    assert pace.cost(1) == pytest.approx(0.1)
    pace.stepped(1, 0, 0.0)
    assert Pace().cost(7) == 0.05
    silent = Pace()
    silent.stepped(2, 0, 0.0)
    assert silent.cost(2) == 0.05, "a clock that stands still tells nothing"


def test_the_pause_grows_while_guessing_is_in_vain() -> None:
    length = DraftLength(8, pause=4)
    while length.next:
        length.saw(4, 0)
    pauses = []
    for _ in range(4):
        count = 0
        while not length.next:
            length.skipped()
            count += 1
        pauses.append(count)
        length.saw(1, 0)
    assert pauses == [4, 8, 16, 32]
    while not length.next:
        length.skipped()
    length.saw(1, 1)
    assert length._wait == 4
    while length.next:
        length.saw(1, 0)
    for expected in (8, 16):  # right, and still not worth its time
        length._silent, length.cost = length._wait, 2.0
        length.saw(1, 1)
        assert length._wait == expected


def test_the_length_follows_the_text() -> None:
    length = DraftLength(8)
    first = length.next
    while length.next:
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
