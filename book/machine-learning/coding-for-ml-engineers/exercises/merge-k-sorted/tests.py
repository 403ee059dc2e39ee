"""Visible tests: the example, ties, generators, few results, a negative k."""

from handbook.practice.checks import equal, inside, raises

SHARDS = [[("a", 9), ("b", 4)], [("c", 7), ("a", 6), ("d", 4)], []]


def test_worked_example(submission):
    """The example of the statement."""
    equal(submission.merge_results(SHARDS, 3), [("a", 9), ("c", 7), ("b", 4)], "the example, k = 3")
    expected = [("a", 9), ("c", 7), ("b", 4), ("d", 4)]
    equal(submission.merge_results(SHARDS, 9), expected, "the example, k = 9")


def test_equal_scores_in_the_order_of_shards(submission):
    """The first shard's results come first, in their own order."""
    shards = [[("z", 5), ("y", 5)], [("b", 5), ("a", 5)]]
    expected = [("z", 5), ("y", 5), ("b", 5), ("a", 5)]
    equal(submission.merge_results(shards, 4), expected, f"shards {shards}")


def test_one_shard(submission):
    """A single stream is passed on, without its repetitions."""
    shards = [[("a", 3.5), ("b", 2.5), ("a", 1.5), ("c", -1.0)]]
    equal(submission.merge_results(shards, 3), [("a", 3.5), ("b", 2.5), ("c", -1.0)], f"shards {shards}")


def from_generators(submission, shards, k):
    return submission.merge_results([(pair for pair in shard) for shard in shards], k)


def test_shards_may_be_generators(submission):
    """Streams that can be read once, and have no length."""
    got = inside(submission, from_generators, SHARDS, 3)
    equal(got, [("a", 9), ("c", 7), ("b", 4)], "the example from generators, k = 3")


def test_nothing_to_merge(submission):
    """No shards, empty shards, and k = 0."""
    equal(submission.merge_results([], 3), [], "no shards")
    equal(submission.merge_results([[], []], 3), [], "two empty shards")
    equal(submission.merge_results(SHARDS, 0), [], "k = 0")


def test_negative_k_is_refused(submission):
    """A negative k raises ValueError."""
    raises(ValueError, submission.merge_results, SHARDS, -1, what="k = -1")
