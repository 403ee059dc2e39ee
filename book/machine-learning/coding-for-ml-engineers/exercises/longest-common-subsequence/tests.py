"""Visible tests: the example, equal texts, order, nothing in common, a bad beta."""

from handbook.practice.checks import close, equal, raises

REFERENCE = ["the", "model", "was", "trained", "on", "filtered", "text"]
CANDIDATE = ["the", "text", "model", "was", "not", "trained", "on", "text"]


def test_worked_example(submission):
    """The example of the statement."""
    common, *scores = submission.rouge_l(REFERENCE, CANDIDATE)
    equal(common, ["the", "model", "was", "trained", "on", "text"], "common words of the example")
    close(scores, [6 / 8, 6 / 7, 0.8], "precision, recall and F of the example")


def test_equal_texts(submission):
    """Everything in common."""
    equal(submission.rouge_l(["a", "b"], ["a", "b"]), (["a", "b"], 1.0, 1.0, 1.0), "a b against a b")


def test_order_counts(submission):
    """The same words the other way round have one in common."""
    common, *scores = submission.rouge_l(["a", "b", "c"], ["c", "b", "a"])
    equal(len(common), 1, f"common words of a b c and c b a, {common}")
    close(scores, [1 / 3, 1 / 3, 1 / 3], "precision, recall and F of a b c and c b a")


def test_nothing_in_common(submission):
    """All scores are 0, also where a text is empty."""
    for reference, candidate in ((["a"], ["b"]), ([], ["b"]), (["a"], []), ([], [])):
        got = submission.rouge_l(reference, candidate)
        equal(got, ([], 0.0, 0.0, 0.0), f"reference {reference}, candidate {candidate}")


def test_beta(submission):
    """A beta above 1 pulls F towards recall; one that is not above 0 raises ValueError."""
    got = submission.rouge_l(["a", "b", "c", "d"], ["a"], beta=2.0)
    close(list(got[1:]), [1.0, 0.25, 1.25 / 4.25], "precision, recall and F of a b c d and a, beta 2")
    raises(ValueError, submission.rouge_l, REFERENCE, CANDIDATE, 0.0, what="beta 0")
    raises(ValueError, submission.rouge_l, REFERENCE, CANDIDATE, -1.0, what="beta -1")
