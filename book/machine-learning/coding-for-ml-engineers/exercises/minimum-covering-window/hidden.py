"""Hidden tests: every window by brute force, ties, surplus words, a long document, what is kept."""

import random
from collections import Counter

from handbook.practice.checks import equal, raises, unchanged


def growth_input(n):
    chance = random.Random(n)
    return [chance.choice("abcdefgh") for _ in range(n)], ["a", "b", "c", "a"]


def every_window(words, needed):
    n, wanted = len(words), Counter(needed)
    windows = [(a, b) for a in range(n) for b in range(a + 1, n + 1) if wanted <= Counter(words[a:b])]
    return min(windows, key=lambda w: (w[1] - w[0], w[0]), default=None)


def test_equals_looking_at_every_window(submission):
    """Random documents of five words, queries of one to five."""
    for seed in range(150):
        chance = random.Random(seed)
        words = [chance.choice("abcde") for _ in range(chance.randrange(14))]
        needed = [chance.choice("abcde") for _ in range(chance.randint(1, 5))]
        expected = every_window(words, needed)
        equal(submission.covering_window(words, needed), expected, f"words {words}, needed {needed}")


def test_first_among_equals(submission):
    """Of two windows of the same length, the one that begins first."""
    words = ["a", "b", "x", "b", "a"]
    equal(submission.covering_window(words, ["b", "a"]), (0, 2), f"words {words}, needed b a")


def test_surplus_words_are_left_behind(submission):
    """More of a word than is needed does not keep the window long."""
    words = ["a", "a", "a", "b", "b", "c"]
    equal(submission.covering_window(words, ["a", "b", "c"]), (2, 6), f"words {words}, needed a b c")
    words = ["a", "b", "a", "a", "c", "b", "a"]
    equal(submission.covering_window(words, ["a", "a", "b"]), (0, 3), f"words {words}, needed a a b")


def test_whole_document(submission):
    """The only window may be everything."""
    words = ["b", "x", "x", "x", "a"]
    equal(submission.covering_window(words, ["a", "b"]), (0, 5), f"words {words}, needed a b")


def test_longer_query_than_document(submission):
    """There is no window of more words than the document has."""
    equal(submission.covering_window(["a", "a"], ["a"] * 3), None, "words a a, needed a a a")


def test_long_document(submission):
    """40,000 words and a query of 10,000 different ones."""
    words = ["pad"] * 10 + [f"w{i}" for i in range(10_000)] * 3
    needed = [f"w{i}" for i in range(9_999, -1, -1)]
    equal(submission.covering_window(words, needed), (10, 10_010), "10,000 words, three times over")


def test_arguments_stay_as_they_were(submission):
    """Neither the document nor the query is changed."""
    words, needed = ["b", "a", "b"], ["b", "a"]
    submission.covering_window(words, needed)
    unchanged((words, needed), (["b", "a", "b"], ["b", "a"]), "words and needed")


def test_nothing_needed_is_refused_without_words(submission):
    """Also for an empty document."""
    raises(ValueError, submission.covering_window, [], [], what="no words, nothing needed")
