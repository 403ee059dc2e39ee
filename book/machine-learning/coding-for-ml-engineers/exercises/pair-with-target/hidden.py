"""Hidden tests: all pairs by brute force, targets out of reach, memory, a long list, what is kept."""

import random

from handbook.practice.checks import equal, inside, unchanged


def growth_input(n):
    return list(range(-n, n, 2)), 3 * n  # out of reach: no early end


def all_pairs(scores, target):
    pairs = [(i, j) for j in range(len(scores)) for i in range(j)]
    return min(
        pairs,
        key=lambda p: (abs(scores[p[0]] + scores[p[1]] - target), scores[p[0]] + scores[p[1]], p[0], -p[1]),
    )


def test_equals_looking_at_all_pairs(submission):
    """Random sorted scores with many equal ones, targets everywhere."""
    for seed in range(60):
        chance = random.Random(seed)
        scores = sorted(chance.randint(-6, 6) for _ in range(chance.randint(2, 9)))
        for target in (-13, -3, 0, 2, 5, 13):
            expected = all_pairs(scores, target)
            equal(submission.nearest_pair(scores, target), expected, f"scores {scores}, target {target}")


def test_target_out_of_reach(submission):
    """Above or below every sum, the outermost neighbours win."""
    scores = [1, 4, 6, 10]
    equal(submission.nearest_pair(scores, 100), (2, 3), f"scores {scores}, target 100")
    equal(submission.nearest_pair(scores, -100), (0, 1), f"scores {scores}, target -100")


def test_a_score_is_not_paired_with_itself(submission):
    """Twice the same index would be nearer, but is no pair."""
    equal(submission.nearest_pair([0, 5, 100], 10), (0, 1), "scores [0, 5, 100], target 10")


def test_negative_scores(submission):
    """All scores below zero."""
    equal(submission.nearest_pair([-9, -5, -2], -8), (1, 2), "scores [-9, -5, -2], target -8")


def test_long_list(submission):
    """40,000 scores: 800 million pairs, one walk."""
    scores = list(range(0, 80_000, 2))
    equal(
        submission.nearest_pair(scores, 159_993),
        (39_997, 39_999),
        "even numbers below 80,000, target 159,993",
    )


def peak(submission, n):
    import tracemalloc

    scores = list(range(n))
    tracemalloc.start()
    submission.nearest_pair(scores, n)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_does_not_grow(submission):
    """No dictionary and no copy: two indices are enough."""
    got = inside(submission, peak, 20_000)
    assert got < 20_000, f"bytes taken for 20,000 scores: expected fewer than 20,000, got {got}"


def test_scores_stay_as_they_were(submission):
    """The argument is not changed."""
    scores = [1, 2, 2, 7]
    submission.nearest_pair(scores, 4)
    unchanged(scores, [1, 2, 2, 7], "scores")
