"""Hidden tests: every window by brute force, zeros, large numbers, a long log, what is kept."""

import random

from handbook.practice.checks import equal, unchanged


def growth_input(n):
    chance = random.Random(n)
    return [chance.randint(-50, 50) for _ in range(n)], 7


def every_window(changes, total):
    n = len(changes)
    return sum(sum(changes[a:b]) == total for a in range(n) for b in range(a + 1, n + 1))


def test_equals_looking_at_every_window(submission):
    """Random logs of small changes, totals of both signs."""
    for seed in range(60):
        chance = random.Random(seed)
        changes = [chance.randint(-3, 3) for _ in range(chance.randrange(14))]
        for total in (-4, -1, 0, 1, 3):
            expected = every_window(changes, total)
            equal(submission.count_windows(changes, total), expected, f"changes {changes}, total {total}")


def test_only_positive_values(submission):
    """Where nothing is negative a sliding window would do, and the answer is the same."""
    for seed in range(20):
        chance = random.Random(seed)
        changes = [chance.randint(1, 4) for _ in range(12)]
        expected = every_window(changes, 6)
        equal(submission.count_windows(changes, 6), expected, f"changes {changes}, total 6")


def test_all_zeros(submission):
    """Every window counts: n (n + 1) / 2 of them."""
    equal(submission.count_windows([0] * 300, 0), 45_150, "300 zeros, total 0")


def test_same_sum_seen_many_times(submission):
    """How often a running sum was met matters, not only whether."""
    changes = [1, -1] * 50
    equal(submission.count_windows(changes, 0), every_window(changes, 0), "1, -1 fifty times, total 0")


def test_large_numbers_are_exact(submission):
    """Integers beyond 64 bits stay exact."""
    big = 10**30
    equal(submission.count_windows([big, 1, -1, -big], big + 1), 1, "10**30 and 1, total 10**30 + 1")
    equal(submission.count_windows([big, 1, -1, -big], 0), 2, "10**30, 1, -1, -10**30, total 0")


def test_long_log(submission):
    """50,000 values: a billion windows, one pass."""
    equal(submission.count_windows([1] * 50_000, 49_000), 1_001, "50,000 ones, total 49,000")


def test_changes_stay_as_they_were(submission):
    """The argument is not turned into running sums."""
    changes = [1, 2, 3]
    submission.count_windows(changes, 3)
    unchanged(changes, [1, 2, 3], "changes")
