"""Visible tests: the worked example, uniform sets, order, reproducible draws, bad arguments."""

import random

from handbook.practice.checks import equal, inside, raises


def test_worked_example(submission):
    """The statement's example."""
    r = submission.Reservoir(2, random.Random(0))
    r.extend(["a", "b"])
    equal((r.sample(), r.seen), (["a", "b"], 2), "two items")
    r.add("c", 0.0)
    equal((r.sample(), r.seen), (["a", "b"], 3), "after an item without weight")


def sets(submission, k, weights, rounds):
    """How often each set of items is the sample."""
    import random
    from collections import Counter

    counts = Counter()
    for round_ in range(rounds):
        r = submission.Reservoir(k, random.Random(round_))
        for item, weight in enumerate(weights):
            r.add(item, weight)
        counts[tuple(r.sample())] += 1
    return dict(counts)


def test_every_set_is_equally_likely(submission):
    """2 of 5 items, 4,000 times: each of the ten pairs about 400 times."""
    counts = inside(submission, sets, 2, [1.0] * 5, 4000)
    equal(len(counts), 10, "different pairs")
    for pair, count in sorted(counts.items()):
        assert 320 < count < 480, f"pair {pair} of 4,000: expected about 400, got {count}"


def test_weights_count(submission):
    """One of three items with weights 1, 2 and 5."""
    counts = inside(submission, sets, 1, [1.0, 2.0, 5.0], 4000)
    for item, share in enumerate((0.125, 0.25, 0.625)):
        got = counts.get((item,), 0) / 4000
        assert abs(got - share) < 0.035, f"share of item {item}: expected about {share}, got {got}"


def test_same_generator_same_sample(submission):
    """All randomness comes from the generator."""
    samples = []
    for seed in (1, 1, 2):
        r = submission.Reservoir(10, random.Random(seed))
        r.extend(range(500))
        samples.append(r.sample())
    equal(samples[1], samples[0], "two runs with the same seed")
    assert samples[2] != samples[0], f"another seed: expected another sample, got {samples[2]}"
    equal(samples[0], sorted(samples[0]), "order of the sample")
    equal(len(set(samples[0])), 10, "different items")


def test_bad_arguments_are_refused(submission):
    """k of 0, bad weights, merging what kept fewer."""
    for k in (0, -1):
        raises(ValueError, submission.Reservoir, k, random.Random(0), what=f"k = {k}")
    r = submission.Reservoir(3, random.Random(0))
    for bad in (-1.0, float("nan"), float("inf")):
        raises(ValueError, r.add, "x", bad, what=f"weight {bad}")
    equal((r.sample(), r.seen), ([], 0), "after refused items")
    raises(ValueError, r.merge, submission.Reservoir(2, random.Random(0)), what="k = 2 into k = 3")
