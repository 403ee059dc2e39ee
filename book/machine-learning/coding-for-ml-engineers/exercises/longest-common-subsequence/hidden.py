"""Hidden tests: all subsequences by brute force, ties, precision beside recall, long texts, what is kept."""

import itertools
import random

from handbook.practice.checks import close, equal, raises, unchanged


def growth_input(n):
    chance = random.Random(n)
    return [chance.choice("abcdefgh") for _ in range(n)], [chance.choice("abcdefgh") for _ in range(n)]


def is_within(words, text):
    """Whether words stand in text in this order."""
    rest = iter(text)
    return all(word in rest for word in words)


def longest(reference, candidate):
    """The greatest length, by trying all subsequences of the shorter text."""
    short, other = sorted((reference, candidate), key=len)
    for size in range(len(short), 0, -1):
        if any(is_within(words, other) for words in itertools.combinations(short, size)):
            return size
    return 0


def check(got, reference, candidate, size, beta=1.0):
    what = f"reference {reference[:12]}, candidate {candidate[:12]}, beta {beta}"
    assert isinstance(got, tuple), f"{what}: expected a tuple of four, got {got!r}"
    common, *scores = got
    equal(len(common), size, f"length of the common words {common[:12]}, {what}")
    for name, text in (("reference", reference), ("candidate", candidate)):
        assert is_within(common, text), (
            f"{what}: expected words of the {name} in its order, got {common[:12]}"
        )
    p, r = (size / max(1, len(text)) for text in (candidate, reference))
    f = (1 + beta**2) * p * r / (r + beta**2 * p) if size else 0.0
    close(scores, [p, r, f], f"precision, recall and F, {what}")


def test_equals_trying_all_subsequences(submission):
    """Random texts of up to eight words out of four, three betas."""
    for seed in range(150):
        chance = random.Random(seed)
        reference = [chance.choice("abcd") for _ in range(chance.randrange(9))]
        candidate = [chance.choice("abcd") for _ in range(chance.randrange(9))]
        beta, size = chance.choice([0.5, 1.0, 3.0]), longest(reference, candidate)
        check(submission.rouge_l(reference, candidate, beta), reference, candidate, size, beta)


def test_precision_and_recall_are_not_confused(submission):
    """A short candidate that is all right: precision 1, recall low."""
    got = submission.rouge_l(["a", "b", "c", "d", "e"], ["b", "d"])
    close(list(got[1:]), [1.0, 0.4, 4 / 7], "precision, recall and F of a b c d e and b d")


def test_small_beta_is_nearly_precision(submission):
    """And a large one nearly recall."""
    low, high = (submission.rouge_l(["a"] * 4, ["a"], beta)[3] for beta in (0.001, 1000.0))
    close([low, high], [1.0, 0.25], "F of four words and one of them, beta 0.001 and 1,000", rtol=1e-4)


def test_not_a_common_substring(submission):
    """The words need not be neighbours."""
    reference, candidate = list("a1b2c3d4"), list("xaxbxcxdx")
    check(submission.rouge_l(reference, candidate), reference, candidate, 4)


def test_repeated_words(submission):
    """Each place is matched once."""
    check(submission.rouge_l(["the"] * 6, ["the"] * 2), ["the"] * 6, ["the"] * 2, 2)
    reference, candidate = ["a", "b", "a", "b"], ["b", "a", "b", "a", "b"]
    check(submission.rouge_l(reference, candidate), reference, candidate, 4)


def test_odd_words(submission):
    """The empty word is a word."""
    check(submission.rouge_l(["", "a", ""], ["", ""]), ["", "a", ""], ["", ""], 2)


def test_long_texts(submission):
    """400 words against 1,200: neither all subsequences nor deep recursion would come back."""
    reference = [f"w{i % 11}" for i in range(400)]
    candidate = [word for pair in zip(reference, ["x"] * 400, ["y"] * 400, strict=True) for word in pair]
    check(submission.rouge_l(reference, candidate), reference, candidate, 400)
    check(submission.rouge_l(["a"] * 1_500, ["b"]), ["a"] * 1_500, ["b"], 0)


def test_texts_stay_as_they_were(submission):
    """The arguments are not changed."""
    reference, candidate = ["a", "b"], ["b", "c"]
    submission.rouge_l(reference, candidate)
    unchanged((reference, candidate), (["a", "b"], ["b", "c"]), "reference and candidate")


def test_bad_beta_is_refused_without_words(submission):
    """Also where there is nothing to score; not a number is not above 0."""
    raises(ValueError, submission.rouge_l, [], [], 0.0, what="no words, beta 0")
    raises(ValueError, submission.rouge_l, ["a"], ["a"], float("nan"), what="beta nan")
