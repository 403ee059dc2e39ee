"""Hidden tests: successive draws by weight, merging shards, draws counted, odd items, memory."""

import random

from handbook.practice.checks import equal, inside, raises


def pairs(submission, weights, rounds, split):
    """How often each pair is the sample; split: items before it go to one shard, the others to another."""
    import random
    from collections import Counter

    counts = Counter()
    for round_ in range(rounds):
        rng = random.Random(round_)
        first, second = submission.Reservoir(2, rng), submission.Reservoir(2, rng)
        for item, weight in enumerate(weights):
            (first if item < split else second).add(item, weight)
        first.merge(second)
        counts[tuple(sorted(first.sample()))] += 1
    return dict(counts)


def check_pairs(counts, weights, rounds, what):
    """Against drawing one item after the other from what is left."""
    total = sum(weights)
    for i in range(len(weights)):
        for j in range(i + 1, len(weights)):
            a, b = weights[i], weights[j]
            expected = a / total * b / (total - a) + b / total * a / (total - b)
            got = counts.get((i, j), 0) / rounds
            assert abs(got - expected) < 0.03, (
                f"{what}, pair {(i, j)}: expected {expected:.4f}, got {got:.4f}"
            )


def test_successive_draws_by_weight(submission):
    """Pairs of four items with weights 1 to 8, 5,000 times: not the same as two draws with replacement."""
    weights = [1.0, 2.0, 4.0, 8.0]
    check_pairs(inside(submission, pairs, weights, 5000, 4), weights, 5000, "one stream")


def test_merged_shards_are_one_stream(submission):
    """Two shards of different length and weight, merged, draw pairs as one stream does."""
    weights = [1.0, 2.0, 4.0, 8.0, 3.0]
    for split in (1, 3):
        counts = inside(submission, pairs, weights, 5000, split)
        check_pairs(counts, weights, 5000, f"shards of {split} and {5 - split}")


def merged(submission):
    """What two shards and a third hold before and after merges, and whether the generator moved."""
    import random

    rng = random.Random(3)
    first, second = submission.Reservoir(6, rng), submission.Reservoir(8, rng)
    first.extend("abc")
    second.extend("defg")
    state, before = rng.getstate(), second.sample()
    first.merge(second)
    got = {"other": (second.sample() == before, second.seen), "seen": first.seen, "sample": first.sample()}
    got["still"] = rng.getstate() == state
    first.add("z", 1e300)
    got["last"] = first.sample()[-1]
    third = submission.Reservoir(6, rng)
    third.merge(first)
    return {**got, "copied": third.sample() == first.sample()}


def test_merge_keeps_order_and_the_other(submission):
    """Own items first, then the other's; `other` stays; seen adds up; nothing is drawn."""
    got = inside(submission, merged)
    equal(got["other"], (True, 4), "the other after a merge: same sample, seen")
    equal(got["seen"], 7, "seen after a merge")
    equal(len(got["sample"]), 6, "items kept of seven")
    expected = "".join(c for c in "abcdefg" if c in got["sample"])
    equal("".join(got["sample"]), expected, "order after a merge")
    equal(got["still"], True, "the generator's state is that before merge and sample")
    equal(got["last"], "z", "last of the sample, added after a merge")
    equal(got["copied"], True, "a sample merged into an empty reservoir is the same")


def after_forty(submission, k):
    """The next number of the generator after 40 items, of which every fourth weighs nothing."""
    import random

    rng = random.Random(4)
    r = submission.Reservoir(k, rng)
    for n in range(40):
        r.add(n, float(n % 4))
    return rng.random()


def test_one_draw_for_each_item(submission):
    """The generator moves by one random() for each item of weight above 0."""
    twin = random.Random(4)
    for _ in range(30):
        twin.random()
    expected = twin.random()
    for k in (1, 5, 50):
        equal(inside(submission, after_forty, k), expected, f"next number after 40 items, k = {k}")


def test_extreme_weights(submission):
    """1e-300 and 1e300 in one stream: large ones always win, small ones are fair among themselves."""
    for seed in range(30):
        r = submission.Reservoir(2, random.Random(seed))
        for item, weight in (("tiny", 1e-300), ("huge", 1e300), ("small", 1e-290), ("large", 1e290)):
            r.add(item, weight)
        equal(r.sample(), ["huge", "large"], f"two of four, seed {seed}")
    counts = inside(submission, sets, 1, [1e-300, 3e-300], 2000)
    share = counts.get((1,), 0) / 2000
    assert 0.7 < share < 0.8, f"weights 1e-300 and 3e-300: expected a share of 0.75, got {share}"
    counts = inside(submission, sets, 1, [1e300, 3e300], 2000)
    share = counts.get((1,), 0) / 2000
    assert 0.7 < share < 0.8, f"weights 1e300 and 3e300: expected a share of 0.75, got {share}"


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


def halves(submission, rounds):
    """How often the item with an explicit weight of 1 wins against one that extend added."""
    import random

    wins = 0
    for round_ in range(rounds):
        r = submission.Reservoir(1, random.Random(round_))
        r.extend(["plain"])
        r.add("weighted", 1.0)
        wins += r.sample() == ["weighted"]
    return wins / rounds


def test_extend_adds_weight_one(submission):
    """An item of extend and one of weight 1 are equally likely."""
    share = inside(submission, halves, 3000)
    assert abs(share - 0.5) < 0.035, f"share of the item with weight 1: expected about 0.5, got {share}"


def test_small_change_of_weights(submission):
    """Weights 1, 2 and 3 of a stream that a uniform reservoir would sample alike."""
    counts = inside(submission, sets, 1, [1.0, 2.0, 3.0], 4000)
    for item, share in enumerate((1 / 6, 1 / 3, 1 / 2)):
        got = counts.get((item,), 0) / 4000
        assert abs(got - share) < 0.035, f"share of item {item}: expected {share:.3f}, got {got}"


def unlucky(submission):
    """Samples with a generator that says 0 and nearly 1."""
    import random

    class Fixed(random.Random):
        values = (0.0, 1 - 2**-53, 0.5, 0.0)

        def random(self):
            self.at = getattr(self, "at", -1) + 1
            return self.values[self.at % 4]

    r = submission.Reservoir(3, Fixed())
    for item in "abcd":
        r.add(item)
    return len(r.sample()), r.seen


def test_draws_of_zero(submission):
    """random() may return 0: no logarithm of 0, no division by it."""
    equal(inside(submission, unlucky), (3, 4), "items kept and seen")


def test_items_that_cannot_be_compared(submission):
    """Dicts and lists of the same weight; equal items are different items."""
    r = submission.Reservoir(3, random.Random(6))
    for n in range(50):
        r.add({"request": n % 2})
    equal(len(r.sample()), 3, "dicts kept")
    r = submission.Reservoir(4, random.Random(7))
    r.extend([["same"]] * 4)
    equal(r.sample(), [["same"]] * 4, "four equal items")
    r.sample().clear()
    equal(len(r.sample()), 4, "items after somebody cleared what sample returned")


def test_only_weightless_items(submission):
    """A stream of weight 0 has no sample."""
    r = submission.Reservoir(2, random.Random(8))
    for n in range(5):
        r.add(n, 0.0)
    equal((r.sample(), r.seen), ([], 5), "five items without weight")
    r.add("only", 1e-300)
    equal(r.sample(), ["only"], "and one with")


def test_refused_merge_changes_nothing(submission):
    """A smaller reservoir cannot stand for its stream."""
    first, second = submission.Reservoir(5, random.Random(9)), submission.Reservoir(4, random.Random(10))
    first.extend(range(9))
    second.extend(range(9))
    before = first.sample()
    raises(ValueError, first.merge, second, what="k = 4 into k = 5")
    equal((first.sample(), first.seen), (before, 9), "after a refused merge")


def stream(submission, n, k):
    """Peak memory in KiB of a stream that is never held, the mean place of the sample, and seen."""
    import random
    import tracemalloc

    r = submission.Reservoir(k, random.Random(11))
    tracemalloc.start()
    r.extend(f"request-{i}" for i in range(n))
    peak = tracemalloc.get_traced_memory()[1] / 1024
    tracemalloc.stop()
    places = [int(item.split("-")[1]) for item in r.sample()]
    return peak, sum(places) / len(places), len(places), r.seen


def test_long_stream(submission):
    """100,000 items from a generator: memory for 200 of them, spread over the whole stream."""
    peak, mean, kept, seen = inside(submission, stream, 100_000, 200)
    equal((kept, seen), (200, 100_000), "kept and seen")
    assert peak < 1000, f"peak memory: expected below 1,000 KiB, got {peak:.0f} KiB"
    assert 42_000 < mean < 58_000, f"mean place of the sample: expected about 50,000, got {mean:.0f}"


def growth_driver(submission, n):
    """n items through a reservoir of 50."""
    import random

    r = submission.Reservoir(50, random.Random(12))
    for item in range(n):
        r.add(item)
