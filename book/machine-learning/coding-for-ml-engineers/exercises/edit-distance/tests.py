"""Visible tests: the example, equal texts, nothing said or heard, a replacement, a shift."""

from handbook.practice.checks import equal

SAID = ["turn", "the", "lights", "off", "now"]
HEARD = ["turn", "lights", "of", "now", "please"]


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


def test_worked_example(submission):
    """The example of the statement."""
    check(submission.align(SAID, HEARD), SAID, HEARD, 3)


def test_equal_texts(submission):
    """No errors, each word beside itself."""
    equal(submission.align(["a", "b"], ["a", "b"]), (0, [("a", "a"), ("b", "b")]), "said a b, heard a b")


def test_nothing_said_or_heard(submission):
    """All words inserted, all deleted, and none at all."""
    equal(submission.align([], ["x", "y"]), (2, [(None, "x"), (None, "y")]), "said nothing, heard x y")
    equal(submission.align(["x", "y"], []), (2, [("x", None), ("y", None)]), "said x y, heard nothing")
    equal(submission.align([], []), (0, []), "said nothing, heard nothing")


def test_replacement_is_one_error(submission):
    """A word for another one counts once, not as a deletion and an insertion."""
    equal(submission.align(["off"], ["of"]), (1, [("off", "of")]), "said off, heard of")


def test_shift(submission):
    """One word missing at the start moves everything behind it."""
    said = ["a", "b", "c", "d", "e"]
    check(submission.align(said, said[1:]), said, said[1:], 1)
