"""Visible tests: the worked example, overlaps, pieces, round trips, unknown ids."""

from handbook.practice.checks import equal, raises

MERGES = [(108, 111), (256, 119), (32, 257)]


def test_worked_example(submission):
    """The statement's text: three merges, then no pair occurs twice."""
    equal([tuple(pair) for pair in submission.train(["low low lower"], 4)], MERGES, "merges")
    equal(submission.encode("lowly low", MERGES), [257, 108, 121, 258], "ids of 'lowly low'")
    equal(submission.decode([257, 108, 121, 258], MERGES), "lowly low", "text of these ids")


def test_overlapping_pairs(submission):
    """aaaaa holds the pair aa four times, and is replaced from left to right."""
    equal(submission.encode("aaaaa", [(97, 97)]), [256, 256, 97], "ids of aaaaa with the merge aa")
    got = [tuple(pair) for pair in submission.train(["aaa", "bcbc"], 1)]
    equal(got, [(97, 97)], "aa and bc both occur twice: the smaller pair")


def test_merges_stay_within_pieces(submission):
    """A space opens a piece; the pair of a word's end and a space is never merged."""
    got = [tuple(pair) for pair in submission.train(["a b a b a b"], 9)]
    equal(got, [(32, 98), (32, 97)], "merges of 'a b a b a b': space+b three times, space+a twice")
    equal(submission.encode("x  x", [(32, 32), (32, 120)]), [120, 32, 257], "two spaces are two pieces")


def test_first_learned_merge_goes_first(submission):
    """bc was learned before ab, so abc is a+bc."""
    equal(submission.encode("abc", [(98, 99), (97, 98)]), [97, 256], "ids of abc")
    equal(submission.encode("abcab", [(98, 99), (97, 98)]), [97, 256, 257], "ids of abcab")


def test_unknown_ids_are_refused(submission):
    """Ids below 0 or behind the last merge raise ValueError."""
    raises(ValueError, submission.decode, [97, 257], [(97, 97)], what="id 257 with one merge")
    raises(ValueError, submission.decode, [-1], [(97, 97)], what="id -1")
    equal(submission.decode([256], [(97, 97)]), "aa", "id 256 with one merge")
