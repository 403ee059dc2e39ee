"""Hidden tests: every cut by brute force, huge sizes, many sizes, what is kept, bad numbers."""

import itertools
import random

from handbook.practice.checks import equal, raises, unchanged


def growth_input(n):
    chance = random.Random(n)
    return [chance.randint(1, 4096) for _ in range(n)], n // 16 + 1


def every_cut(sizes, steps):
    """The smallest largest batch over all ways to cut the list."""
    n = len(sizes)
    best = sum(sizes)
    for parts in range(1, min(steps, n) + 1):
        for cuts in itertools.combinations(range(1, n), parts - 1):
            edges = [0, *cuts, n]
            best = min(best, max(sum(sizes[a:b]) for a, b in itertools.pairwise(edges)))
    return best


def test_equals_every_way_to_cut(submission):
    """Random sizes, every number of steps."""
    for seed in range(60):
        chance = random.Random(seed)
        sizes = [chance.randint(1, 12) for _ in range(chance.randint(1, 8))]
        for steps in range(1, 10):
            expected = every_cut(sizes, steps)
            equal(submission.smallest_capacity(sizes, steps), expected, f"sizes {sizes}, steps {steps}")


def test_as_many_steps_as_documents(submission):
    """Each has a batch of its own: the largest one decides."""
    equal(submission.smallest_capacity([4, 7, 5], 3), 7, "sizes [4, 7, 5], steps 3")


def test_equal_sizes(submission):
    """Ten of 100 in four batches: three to a batch."""
    equal(submission.smallest_capacity([100] * 10, 4), 300, "ten sizes of 100, steps 4")
    equal(submission.smallest_capacity([1] * 7, 7), 1, "seven sizes of 1, steps 7")


def test_huge_sizes(submission):
    """Trillions: no capacity may be tried one by one, and no number rounded."""
    sizes = [10**12 + i for i in range(9)]
    equal(submission.smallest_capacity(sizes, 3), 3 * 10**12 + 21, "nine sizes around 10**12, steps 3")
    equal(submission.smallest_capacity([10**30, 1, 10**30], 2), 10**30 + 1, "sizes of 10**30, steps 2")


def test_many_documents(submission):
    """20,000 documents."""
    sizes = [1 + i % 100 for i in range(20_000)]
    equal(
        submission.smallest_capacity(sizes, 200), 5_050, "20,000 sizes, 1 to 100 again and again, steps 200"
    )


def test_sizes_stay_as_they_were(submission):
    """The argument is not changed."""
    sizes = [5, 1, 4]
    submission.smallest_capacity(sizes, 2)
    unchanged(sizes, [5, 1, 4], "sizes")


def test_bad_numbers_are_refused_wherever_they_stand(submission):
    """Also without documents, and at the end of the list."""
    raises(ValueError, submission.smallest_capacity, [], 0, what="no sizes, steps 0")
    raises(ValueError, submission.smallest_capacity, [], -2, what="no sizes, steps -2")
    raises(ValueError, submission.smallest_capacity, [8, 8, 0], 1, what="a last size of 0")
