"""Hidden tests: the definition by recursion, the triangle, longer texts, long texts, what is kept."""

import functools
import random

from handbook.practice.checks import equal, unchanged


def growth_input(n):
    chance = random.Random(n)
    return [chance.choice("abcdefgh") for _ in range(n)], [chance.choice("abcdefgh") for _ in range(n)]


def check(got, said, heard, expected):
    """The number of errors, and an alignment of exactly these texts that has so many."""
    what = f"said {said[:12]}, heard {heard[:12]}"
    assert isinstance(got, tuple), f"{what}: expected a tuple (errors, pairs), got {got!r}"
    errors, pairs = got
    equal(errors, expected, f"errors, {what}")
    assert isinstance(pairs, list), f"{what}: expected a list of pairs, got {pairs!r}"
    equal([a for a, _ in pairs if a is not None], said, f"words said in the pairs {pairs[:12]}")
    equal([b for _, b in pairs if b is not None], heard, f"words heard in the pairs {pairs[:12]}")
    assert (None, None) not in pairs, f"{what}: expected a word in every pair, got {pairs[:12]}"
    equal(sum(a != b for a, b in pairs), expected, f"errors in the pairs {pairs[:12]}")


def by_recursion(said, heard):
    @functools.cache
    def errors(i, j):
        if i == 0 or j == 0:
            return i + j
        replaced = errors(i - 1, j - 1) + (said[i - 1] != heard[j - 1])
        return min(errors(i - 1, j) + 1, errors(i, j - 1) + 1, replaced)

    return errors(len(said), len(heard))


def some_words(chance, most):
    return [chance.choice("abcd") for _ in range(chance.randrange(most))]


def test_equals_the_definition(submission):
    """Random texts of up to nine words out of four."""
    for seed in range(200):
        chance = random.Random(seed)
        said, heard = some_words(chance, 10), some_words(chance, 10)
        check(submission.align(said, heard), said, heard, by_recursion(said, heard))


def test_there_and_back_is_the_same(submission):
    """Insertions and deletions change places, their number does not change."""
    said, heard = list("kitchen"), list("chicken")
    there, back = submission.align(said, heard)[0], submission.align(heard, said)[0]
    equal((there, back), (by_recursion(said, heard),) * 2, "letters of kitchen and chicken, both ways")


def test_repeated_words(submission):
    """Ties everywhere: whichever way is walked back, it must be one that leads there."""
    said, heard = ["the"] * 5, ["the"] * 3
    check(submission.align(said, heard), said, heard, 2)
    said, heard = ["a", "b"] * 3, ["b", "a"] * 3
    check(submission.align(said, heard), said, heard, 2)


def test_very_different_lengths(submission):
    """One word against many."""
    heard = [str(i) for i in range(30)]
    check(submission.align(["17"], heard), ["17"], heard, 29)
    check(submission.align(heard, ["x"]), heard, ["x"], 30)


def test_odd_words(submission):
    """The empty word and the word None are words; only None itself is nothing."""
    said, heard = ["", "None", "a"], ["None", ""]
    check(submission.align(said, heard), said, heard, 2)


def test_long_texts(submission):
    """400 words against 380: neither all alignments nor deep recursion would come back."""
    said = [f"w{i % 7}" for i in range(400)]
    heard = [word for i, word in enumerate(said) if i % 20 != 10]
    check(submission.align(said, heard), said, heard, 20)
    check(submission.align(["a"] * 1_500, ["b"]), ["a"] * 1_500, ["b"], 1_500)


def test_texts_stay_as_they_were(submission):
    """The arguments are not changed."""
    said, heard = ["a", "b"], ["b", "c"]
    submission.align(said, heard)
    unchanged((said, heard), (["a", "b"], ["b", "c"]), "said and heard")
