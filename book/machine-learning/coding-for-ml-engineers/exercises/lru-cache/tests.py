"""Visible tests: the worked example, order of use, hits and misses, refusals, an entry replaced."""

from handbook.practice.checks import equal, raises


def test_worked_example(submission):
    """The statement's six calls."""
    cache = submission.LRUCache(10)
    equal((cache.put("a", 1, 4), cache.used), ([], 4), "put a")
    equal((cache.put("b", 2, 4), cache.used), ([], 8), "put b")
    equal(cache.get("a"), 1, "get a")
    equal((cache.put("c", 3, 4), cache.used), (["b"], 8), "put c")
    equal((cache.put("a", 5, 6), cache.used), ([], 10), "put a again, larger")
    equal(
        (cache.put("d", 7, 10), cache.used, len(cache)), (["c", "a"], 10, 1), "put d, as large as the budget"
    )


def test_a_get_is_a_use(submission):
    """What was read last stays longest."""
    cache = submission.LRUCache(3)
    for key in "abc":
        cache.put(key, key.upper(), 1)
    equal([cache.get("a"), cache.get("b")], ["A", "B"], "values of a and b")
    equal(cache.put("d", "D", 3), ["c", "a", "b"], "thrown out, least recently used first")


def test_hits_and_misses(submission):
    """Reads are counted, stores are not; a stored None is a hit."""
    cache = submission.LRUCache(2)
    cache.put("none", None, 1)
    equal([cache.get("none"), cache.get("other"), cache.get("none")], [None, None, None], "three reads")
    equal((cache.hits, cache.misses, len(cache)), (2, 1, 1), "hits, misses, entries")


def test_sizes_that_never_fit_are_refused(submission):
    """A size above the budget or below 1 raises ValueError, and nothing is thrown out for it."""
    cache = submission.LRUCache(4)
    cache.put("a", 1, 2)
    cache.put("b", 2, 2)
    for size in (5, 0, -1):
        raises(ValueError, cache.put, "a", 3, size, what=f"size {size} with a budget of 4")
    equal((cache.used, len(cache)), (4, 2), "bytes and entries after that")
    equal((cache.get("b"), cache.get("a")), (2, 1), "values after that")
    for budget in (0, -3):
        raises(ValueError, submission.LRUCache, budget, what=f"a budget of {budget}")


def test_replacing_gives_the_old_bytes_back(submission):
    """A larger value of the same key throws nobody out when it fits in place of the old one."""
    cache = submission.LRUCache(10)
    cache.put("a", 1, 5)
    cache.put("b", 2, 4)
    equal(cache.put("a", 3, 6), [], "thrown out for a of 6 in place of a of 5")
    equal((cache.used, len(cache), cache.get("a"), cache.get("b")), (10, 2, 3, 2), "bytes, entries, values")
