"""Hidden tests: all choices by brute force, passages of no length, large values, many passages."""

import itertools
import random

from handbook.practice.checks import equal, raises, unchanged


def growth_input(n):
    chance = random.Random(n)
    return [chance.randint(5, 200) for _ in range(n)], [chance.randint(1, 99) for _ in range(n)], 1_000


def check(got, tokens, values, budget, expected):
    """The value, and a choice that fits and reaches it."""
    what = f"tokens {tokens[:12]}, values {values[:12]}, budget {budget}"
    assert isinstance(got, tuple), f"{what}: expected a tuple (value, chosen), got {got!r}"
    value, chosen = got
    equal(value, expected, f"value, {what}")
    equal(chosen, sorted(set(chosen)), f"different indices in ascending order, {what}")
    used = sum(tokens[i] for i in chosen)
    assert used <= budget, f"{what}: expected a choice within the budget, got {chosen[:12]} of {used} tokens"
    equal(sum(values[i] for i in chosen), expected, f"value of the chosen {chosen[:12]}, {what}")


def all_choices(tokens, values, budget):
    best = 0
    for choice in itertools.product((0, 1), repeat=len(tokens)):
        if sum(t for t, c in zip(tokens, choice, strict=True) if c) <= budget:
            best = max(best, sum(v for v, c in zip(values, choice, strict=True) if c))
    return best


def test_equals_trying_all_choices(submission):
    """Random passages, up to eight, with lengths and values of 0 among them."""
    for seed in range(120):
        chance = random.Random(seed)
        n = chance.randrange(9)
        tokens = [chance.randint(0, 9) for _ in range(n)]
        values = [chance.randint(0, 12) for _ in range(n)]
        budget = chance.randint(0, 25)
        got = submission.choose_passages(tokens, values, budget)
        check(got, tokens, values, budget, all_choices(tokens, values, budget))


def test_best_ratio_first_is_not_best(submission):
    """A passage with a good ratio blocks the only large one."""
    tokens, values = [1, 100], [2, 100]
    equal(submission.choose_passages(tokens, values, 100), (100, [1]), "tokens 1 and 100, values 2 and 100")


def test_passages_of_no_length(submission):
    """What costs nothing is taken if it is worth something, also without a budget."""
    equal(submission.choose_passages([0, 0, 3], [4, 1, 9], 0), (5, [0, 1]), "tokens 0, 0, 3, budget 0")


def test_budget_is_met_exactly(submission):
    """As many tokens as there are may be used, and not one more."""
    tokens, values = [5, 7, 11, 13], [5, 7, 11, 13]
    for budget, expected in ((18, 18), (19, 18), (17, 16), (36, 36), (35, 31)):
        got = submission.choose_passages(tokens, values, budget)
        check(got, tokens, values, budget, expected)


def test_large_values_are_exact(submission):
    """Values beyond 64 bits; the table is over tokens, not over values."""
    big = 10**25
    tokens, values = [3, 4, 5], [big, big + 1, 2 * big]
    check(submission.choose_passages(tokens, values, 7), tokens, values, 7, 2 * big + 1)
    check(submission.choose_passages(tokens, values, 8), tokens, values, 8, 3 * big)


def test_many_passages(submission):
    """120 passages: 2 to the 120 choices."""
    chance = random.Random(4)
    tokens = [chance.randint(5, 60) for _ in range(120)]
    values = [chance.randint(1, 100) for _ in range(120)]
    budget, best = 1_500, [0] * 1_501
    for t, v in zip(tokens, values, strict=True):
        best = [max(best[b], best[b - t] + v) if b >= t else best[b] for b in range(budget + 1)]
    check(submission.choose_passages(tokens, values, budget), tokens, values, budget, best[budget])


def test_arguments_stay_as_they_were(submission):
    """Neither sorted nor changed."""
    tokens, values = [3, 1, 2], [1, 5, 3]
    submission.choose_passages(tokens, values, 3)
    unchanged((tokens, values), ([3, 1, 2], [1, 5, 3]), "tokens and values")


def test_bad_numbers_are_refused_without_passages(submission):
    """A negative budget, and negative lengths that would not be chosen anyway."""
    raises(ValueError, submission.choose_passages, [], [], -1, what="no passages, a budget of -1")
    raises(ValueError, submission.choose_passages, [-1], [0], 0, what="a length of -1, budget 0")
