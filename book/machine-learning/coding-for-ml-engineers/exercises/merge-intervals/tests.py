"""Visible tests: the example, spans that touch, spans within others, nothing, what is refused."""

from handbook.practice.checks import equal, raises

SPANS = [(40, 52), (0, 10), (8, 20), (23, 30), (12, 15)]


def test_worked_example(submission):
    """The example of the statement."""
    equal(submission.merge_spans(SPANS), [(0, 20), (23, 30), (40, 52)], f"spans {SPANS}")
    equal(submission.merge_spans(SPANS, 3), [(0, 30), (40, 52)], f"spans {SPANS}, gap 3")


def test_spans_that_touch(submission):
    """The end of one is the start of the next."""
    equal(submission.merge_spans([(3, 5), (0, 3)]), [(0, 5)], "spans (3, 5) and (0, 3)")


def test_span_within_another(submission):
    """A short span inside a long one does not shorten it."""
    equal(submission.merge_spans([(0, 100), (10, 20), (50, 60)]), [(0, 100)], "two spans within (0, 100)")


def test_nothing_to_merge(submission):
    """No spans, one span, and spans far apart."""
    equal(submission.merge_spans([]), [], "no spans")
    equal(submission.merge_spans([(5, 6)]), [(5, 6)], "one span")
    equal(submission.merge_spans([(9, 10), (0, 1)]), [(0, 1), (9, 10)], "spans (9, 10) and (0, 1)")


def test_bad_arguments_are_refused(submission):
    """Empty and backward spans, and a negative gap, raise ValueError."""
    raises(ValueError, submission.merge_spans, [(0, 4), (7, 7)], what="a span (7, 7)")
    raises(ValueError, submission.merge_spans, [(9, 2)], what="a span (9, 2)")
    raises(ValueError, submission.merge_spans, SPANS, -1, what="gap -1")
