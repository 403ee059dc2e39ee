"""Hidden tests: clusters by walking, repeated pairs, long chains in bad orders, what is kept."""

import random

from handbook.practice.checks import equal, raises, unchanged


def growth_input(n):
    return n, [(i, i - 1) for i in range(1, n)]


def by_walking(count, pairs):
    """Labels sink to the smallest neighbour until nothing changes."""
    label, changed = list(range(count)), True
    while changed:
        changed = False
        for a, b in pairs:
            low = min(label[a], label[b])
            changed = changed or label[a] != low or label[b] != low
            label[a] = label[b] = low
    return label


def test_equals_walking_the_pairs(submission):
    """Random pairs of twelve documents, few and many."""
    for seed in range(150):
        chance = random.Random(seed)
        pairs = [(chance.randrange(12), chance.randrange(12)) for _ in range(chance.randrange(14))]
        equal(submission.representatives(12, pairs), by_walking(12, pairs), f"12 documents, pairs {pairs}")


def test_order_of_pairs_does_not_matter(submission):
    """Forwards, backwards, turned round and doubled."""
    pairs = [(8, 3), (3, 9), (1, 7), (9, 1), (4, 5)]
    expected = [0, 1, 2, 1, 4, 4, 6, 1, 1, 1]
    for given in (pairs, pairs[::-1], [(b, a) for a, b in pairs], pairs * 2):
        equal(submission.representatives(10, given), expected, f"10 documents, pairs {given}")


def test_pair_with_itself(submission):
    """A document is no duplicate of others because it is one of itself."""
    equal(submission.representatives(3, [(1, 1), (2, 2)]), [0, 1, 2], "3 documents, paired with themselves")


def test_late_small_number(submission):
    """The smallest member may come last, to a cluster that has been merged many times."""
    pairs = [(9, 8), (7, 6), (8, 6), (5, 9), (0, 7)]
    expected = [0, 1, 2, 3, 4, 0, 0, 0, 0, 0]
    equal(submission.representatives(10, pairs), expected, f"10 documents, pairs {pairs}")


def test_long_chains(submission):
    """20,000 documents in one chain, its pairs from either end: no recursion, no walking it anew."""
    chain = [(i, i + 1) for i in range(19_999)]
    for what, pairs in (("upwards", chain), ("downwards", chain[::-1])):
        equal(submission.representatives(20_000, pairs), [0] * 20_000, f"a chain of 20,000, {what}")
    pairs = [(i, 2_999) for i in range(2_998, -1, -1)]
    equal(submission.representatives(3_000, pairs), [0] * 3_000, "3,000 documents, all paired with the last")


def test_many_small_clusters(submission):
    """10,000 pairs that have nothing to do with each other."""
    pairs = [(i + 10_000, i) for i in range(10_000)]
    expected = list(range(10_000)) * 2
    equal(submission.representatives(20_000, pairs), expected, "20,000 documents in 10,000 pairs")


def test_pairs_stay_as_they_were(submission):
    """The argument is neither sorted nor changed."""
    pairs = [(2, 1), (1, 0)]
    submission.representatives(3, pairs)
    unchanged(pairs, [(2, 1), (1, 0)], "pairs")


def test_pair_without_documents_is_refused(submission):
    """Where there are none, no number exists."""
    raises(ValueError, submission.representatives, 0, [(0, 0)], what="no documents, a pair (0, 0)")
    raises(ValueError, submission.representatives, 5, [(5, 5)], what="5 documents, a pair (5, 5)")
