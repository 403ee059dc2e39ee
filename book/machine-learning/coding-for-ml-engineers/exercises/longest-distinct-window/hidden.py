"""Hidden tests: every window by brute force, the first among equals, odd ids, a long text, what is kept."""

import random

from handbook.practice.checks import equal, unchanged


def growth_input(n):
    half = max(1, n // 2)
    return ([i % half for i in range(n)],)


def every_window(tokens):
    n = len(tokens)
    windows = [(a, b) for a in range(n) for b in range(a + 1, n + 1) if len(set(tokens[a:b])) == b - a]
    return min(windows, key=lambda w: (w[0] - w[1], w[0]), default=(0, 0))


def test_equals_looking_at_every_window(submission):
    """Random tokens out of two to seven."""
    for seed in range(120):
        chance = random.Random(seed)
        kinds = chance.randint(2, 7)
        tokens = [chance.randrange(kinds) for _ in range(chance.randrange(15))]
        equal(submission.longest_distinct(tokens), every_window(tokens), f"tokens {tokens}")


def test_longest_at_the_very_end(submission):
    """The last window counts too."""
    equal(submission.longest_distinct([1, 1, 2, 1, 2, 3, 4]), (3, 7), "tokens [1, 1, 2, 1, 2, 3, 4]")


def test_first_among_equals(submission):
    """Later windows of the same length do not replace it."""
    equal(submission.longest_distinct([1, 2, 1, 2, 1, 2]), (0, 2), "tokens [1, 2, 1, 2, 1, 2]")


def test_odd_ids(submission):
    """Zero, negative and very large ids are tokens like others."""
    tokens = [0, -1, 10**18, 0, -1, -1, 0]
    equal(submission.longest_distinct(tokens), (0, 3), f"tokens {tokens}")


def test_one_token(submission):
    """A window of one."""
    equal(submission.longest_distinct([0]), (0, 1), "tokens [0]")


def test_long_text(submission):
    """60,000 tokens with 30,000 different ones: no window may be looked at again."""
    tokens = list(range(30_000)) * 2
    equal(submission.longest_distinct(tokens), (0, 30_000), "0 to 29,999 twice")
    tokens = [0, *range(50_000)]
    equal(submission.longest_distinct(tokens), (1, 50_001), "0, then 0 to 49,999")


def test_tokens_stay_as_they_were(submission):
    """The argument is not changed."""
    tokens = [2, 1, 2]
    submission.longest_distinct(tokens)
    unchanged(tokens, [2, 1, 2], "tokens")
