"""Hidden tests: the definition over random lists, negative ids, memory, a long list."""

import random

from handbook.practice.checks import equal, inside, raises


def growth_driver(submission, n):
    return submission.compact([i // 3 for i in range(n)], 2)


def kept(ids, most):
    return [value for place, value in enumerate(ids) if place < most or ids[place - most] != value]


def check(submission, ids, most):
    expected = kept(ids, most)
    changed = list(ids)
    got = submission.compact(changed, most)
    equal(got, len(expected), f"ids kept of {ids[:20]}, most {most}")
    equal(changed[:got], expected, f"the front of the list, {ids[:20]}, most {most}")
    equal(len(changed), len(ids), f"length of the list {ids[:20]}, most {most}")


def test_equals_the_definition(submission):
    """Random sorted lists, one to four copies."""
    for seed in range(80):
        chance = random.Random(seed)
        ids = sorted(chance.randint(0, 5) for _ in range(chance.randrange(16)))
        for most in (1, 2, 3, 4):
            check(submission, ids, most)


def test_more_copies_than_the_list_is_long(submission):
    """Everything stays."""
    check(submission, [4, 4, 4], 3)
    check(submission, [4, 4, 4], 100)


def test_negative_ids(submission):
    """Ids are any integers, and -1 is no mark for 'nothing yet'."""
    check(submission, [-3, -3, -1, -1, -1, 0, 0], 1)
    check(submission, [-1, -1, -1], 2)


def test_second_time_changes_nothing(submission):
    """What was compacted stays as it is."""
    ids = [1, 1, 1, 2, 2, 9]
    got = submission.compact(ids, 2)
    front = ids[:got]
    equal(submission.compact(front, 2), 5, f"ids kept of {front}, most 2, the second time")
    equal(front, [1, 1, 2, 2, 9], "the list after the second time")


def test_long_list(submission):
    """60,000 ids, three copies each: deleting one by one would take minutes."""
    ids = [i // 3 for i in range(60_000)]
    got = submission.compact(ids)
    equal(got, 20_000, "ids kept of 60,000, three copies each")
    equal(ids[:20_000], list(range(20_000)), "the front of the list")


def work(submission, n):
    import tracemalloc

    ids = [i // 2 for i in range(n)]
    tracemalloc.start()
    left = submission.compact(ids)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return left, most


def test_memory_does_not_grow(submission):
    """The work happens in the list that was given."""
    left, got = inside(submission, work, 20_000)
    equal(left, 10_000, "ids kept of 20,000, two copies each")
    assert got < 20_000, f"bytes taken for 20,000 ids: expected fewer than 20,000, got {got}"


def test_negative_number_is_refused(submission):
    """Also for an empty list."""
    raises(ValueError, submission.compact, [], -1, what="no ids, most = -1")
