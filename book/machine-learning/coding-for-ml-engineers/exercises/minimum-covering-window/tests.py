"""Visible tests: the example, one word, words needed twice, nothing found, nothing needed."""

from handbook.practice.checks import equal, raises

WORDS = ["the", "cache", "of", "the", "key", "value", "cache", "holds", "the", "key"]


def test_worked_example(submission):
    """The example of the statement."""
    equal(submission.covering_window(WORDS, ["key", "cache"]), (4, 7), "key, cache")
    equal(submission.covering_window(WORDS, ["the", "the", "key"]), (0, 5), "the, the, key")
    equal(submission.covering_window(WORDS, ["cache", "of", "tokens"]), None, "cache, of, tokens")


def test_one_word(submission):
    """The first place of a single word."""
    equal(submission.covering_window(WORDS, ["key"]), (4, 5), "key")
    equal(submission.covering_window(WORDS, ["the"]), (0, 1), "the")


def test_word_needed_more_often_than_it_occurs(submission):
    """Twice in the query is twice in the window."""
    equal(submission.covering_window(["a", "b"], ["a", "a"]), None, "words a b, needed a a")
    equal(submission.covering_window(["a", "b", "a"], ["a", "a"]), (0, 3), "words a b a, needed a a")


def test_shortest_is_not_the_first(submission):
    """A later window may be shorter than the first one found."""
    words = ["a", "x", "x", "b", "a"]
    equal(submission.covering_window(words, ["a", "b"]), (3, 5), f"words {words}, needed a b")


def test_nothing_needed_is_refused(submission):
    """An empty query raises ValueError; an empty document holds nothing."""
    raises(ValueError, submission.covering_window, WORDS, [], what="nothing needed")
    equal(submission.covering_window([], ["a"]), None, "no words")
