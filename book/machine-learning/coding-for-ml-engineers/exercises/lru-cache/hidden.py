"""Hidden tests: a list as oracle over random runs, a chain of small entries, keys, growth."""

import random

from handbook.practice.checks import equal, inside, raises


class Slow:
    """The same by a list of [key, value, size], oldest use first."""

    def __init__(self, budget):
        self.budget, self.entries = budget, []

    def get(self, key):
        for i, entry in enumerate(self.entries):
            if entry[0] == key:
                self.entries.append(self.entries.pop(i))
                return entry[1]
        return None

    def put(self, key, value, size):
        self.entries = [entry for entry in self.entries if entry[0] != key]
        gone = []
        while sum(entry[2] for entry in self.entries) + size > self.budget:
            gone.append(self.entries.pop(0)[0])
        self.entries.append([key, value, size])
        return gone


def test_random_runs_beside_a_list(submission):
    """Twenty runs of 100 reads and stores, sizes 1 to 7 and a budget of 12, against a plain list."""
    for seed in range(20):
        chance, slow, cache = random.Random(seed), Slow(12), submission.LRUCache(12)
        for step in range(100):
            key, what = chance.randrange(8), f"seed {seed}, step {step}"
            if chance.random() < 0.4:
                equal(cache.get(key), slow.get(key), f"{what}: get {key}")
            else:
                size = chance.randint(1, 7)
                expected = slow.put(key, step, size)
                equal(list(cache.put(key, step, size)), expected, f"{what}: put {key} of {size}")
        equal(cache.used, sum(entry[2] for entry in slow.entries), f"bytes at the end of run {seed}")
        equal(len(cache), len(slow.entries), f"entries at the end of run {seed}")


def test_several_go_for_one(submission):
    """A large entry throws out as many small ones as it takes, and no more."""
    cache = submission.LRUCache(10)
    for key in range(10):
        cache.put(key, key, 1)
    equal(list(cache.put("large", 0, 4)), [0, 1, 2, 3], "thrown out for 4 bytes")
    equal((cache.used, len(cache)), (10, 7), "bytes and entries")


def test_a_put_is_a_use(submission):
    """Storing an old key again makes it the most recent, also with the same value."""
    cache = submission.LRUCache(2)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    cache.put("a", 1, 1)
    equal(list(cache.put("c", 3, 1)), ["b"], "thrown out")


def test_a_miss_changes_nothing(submission):
    """Reading what is not there stores nothing and moves nothing."""
    cache = submission.LRUCache(2)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    equal(cache.get("x"), None, "get x")
    equal((len(cache), cache.used, cache.hits, cache.misses), (2, 2, 0, 1), "entries, bytes, hits, misses")
    equal(list(cache.put("c", 3, 1)), ["a"], "thrown out")


def test_refused_entry_keeps_the_order(submission):
    """A refused put of an old key is no use of it."""
    cache = submission.LRUCache(2)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    raises(ValueError, cache.put, "a", 9, 3, what="size 3 with a budget of 2")
    equal(list(cache.put("c", 3, 1)), ["a"], "thrown out")
    equal((cache.hits, cache.misses), (0, 0), "hits and misses")


def test_budget_of_one(submission):
    """One byte holds one entry."""
    cache = submission.LRUCache(1)
    equal((cache.put("a", 1, 1), cache.put("b", 2, 1), cache.used), ([], ["a"], 1), "two entries in turn")


def test_keys_of_any_kind(submission):
    """Tuples, bytes and numbers are keys; 0, an empty text and an empty tuple too."""
    cache = submission.LRUCache(10)
    for key in ((1, 2), b"x", 0, "", ()):
        cache.put(key, [key], 1)
    equal(
        [cache.get(key) for key in ((1, 2), b"x", 0, "", ())], [[(1, 2)], [b"x"], [0], [""], [()]], "values"
    )


def growth_driver(submission, n):
    """n stores into a cache that holds n / 2 entries, each followed by a read."""
    cache = submission.LRUCache(max(n // 2, 1))
    for key in range(n):
        cache.put(key, key, 1)
        cache.get(key // 2)


def counted(submission, n):
    """Used bytes and entries after the work of growth_driver."""
    cache = submission.LRUCache(n // 2)
    for key in range(n):
        cache.put(key, key, 1)
        cache.get(key // 2)
    return cache.used, len(cache), cache.hits + cache.misses


def test_many_entries(submission):
    """50,000 stores and reads beside 25,000 entries."""
    equal(inside(submission, counted, 50_000), (25_000, 25_000, 50_000), "bytes, entries, reads")
