"""Hidden tests: the definition over random samples, odd tokens, a large sample, what is kept."""

import random

from handbook.practice.checks import equal, raises, unchanged


def growth_input(n):
    chance = random.Random(n)
    return [f"w{chance.randrange(500)}" for _ in range(n)], 10


def by_sorting(tokens, k):
    return sorted(((t, tokens.count(t)) for t in set(tokens)), key=lambda pair: (-pair[1], pair[0]))[:k]


def test_equals_the_definition(submission):
    """Random samples of few letters, every k, against counting and sorting."""
    for seed in range(60):
        chance = random.Random(seed)
        tokens = [chance.choice("abcdefgh") for _ in range(chance.randrange(25))]
        for k in (1, 3, 8, 20):
            equal(submission.top_k(tokens, k), by_sorting(tokens, k), f"tokens {tokens}, k = {k}")


def test_order_of_arrival_does_not_matter(submission):
    """The same sample in three orders gives the same list."""
    tokens = ["b"] * 3 + ["c"] * 3 + ["a"] * 3 + ["d"] * 4
    expected = [("d", 4), ("a", 3), ("b", 3)]
    for order in (tokens, tokens[::-1], sorted(tokens)):
        equal(submission.top_k(order, 3), expected, f"k = 3 of {order}")


def test_tokens_as_python_compares_them(submission):
    """Capitals, digits, the empty token and letters beyond ASCII are ordinary tokens."""
    tokens = ["é", "Z", "a", "", "10", "9"]
    expected = [("", 1), ("10", 1), ("9", 1), ("Z", 1), ("a", 1), ("é", 1)]
    equal(submission.top_k(tokens, 6), expected, f"tokens {tokens} once each")


def test_counts_beat_the_alphabet(submission):
    """A more frequent token comes first wherever it stands in the alphabet."""
    tokens = ["a"] * 2 + ["z"] * 10 + ["m"] * 9
    equal(submission.top_k(tokens, 3), [("z", 10), ("m", 9), ("a", 2)], "z ten times, m nine times, a twice")


def test_large_sample(submission):
    """60,000 tokens, half of them different: counting must not look at all for each."""
    tokens = [f"w{i:05d}" for i in range(30_000)] * 2 + ["often"] * 7
    expected = [("often", 7), ("w00000", 2), ("w00001", 2)]
    equal(submission.top_k(tokens, 3), expected, "60,007 tokens, k = 3")


def test_tokens_stay_as_they_were(submission):
    """The argument is not sorted and nothing is taken out of it."""
    tokens = ["b", "a", "b"]
    submission.top_k(tokens, 1)
    unchanged(tokens, ["b", "a", "b"], "tokens")


def test_negative_k_is_refused_without_tokens(submission):
    """Also where there is nothing to choose from."""
    raises(ValueError, submission.top_k, [], -3, what="no tokens, k = -3")
