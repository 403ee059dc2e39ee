"""Hidden tests: nested keys, failures that are not kept, exits, many keys, the locks while others work."""

from handbook.practice.checks import equal, inside


def nested(submission):
    """A computation that asks for two other keys, one of them nested again."""
    import threading

    parts = {"page": ("title", "text"), "title": ("font",), "text": ("font",)}
    cache = None

    def compute(key):
        return key + "".join(f"({cache.get(part)})" for part in parts.get(key, ()))

    cache, got = submission.ResultCache(compute, lambda line: None), []
    thread = threading.Thread(target=lambda: got.append(cache.get("page")), daemon=True)
    thread.start()
    thread.join(3)
    return got, dict(cache.counts)


def test_computations_may_ask_for_other_keys(submission):
    """Nested keys are computed once each, and nothing waits for itself."""
    got, counts = inside(submission, nested)
    equal(got, ["page(title(font))(text(font))"], "value of a key that needs others (nothing: it hangs)")
    equal(counts, {"hits": 1, "computed": 4, "failed": 0}, "counts")


def again(submission):
    """A key that fails twice and then works, in one thread; each call in a thread that may hang."""
    import threading

    tries, ends, lines = [], [], []

    def compute(key):
        tries.append(key)
        if len(tries) < 3:
            raise LookupError(f"try {len(tries)}")
        return "at last"

    cache = submission.ResultCache(compute, lines.append)

    def ask():
        try:
            ends.append(cache.get("k"))
        except Exception as error:
            ends.append(f"{type(error).__name__}: {error}")

    for _ in range(4):
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(2)
        if thread.is_alive():
            break
    return ends, dict(cache.counts), lines


def test_failures_are_not_kept(submission):
    """After a failure the next call computes anew."""
    ends, counts, lines = inside(submission, again)
    equal(ends, ["LookupError: try 1", "LookupError: try 2", "at last", "at last"], "ends of four calls")
    equal(counts, {"hits": 1, "computed": 1, "failed": 2}, "counts")
    equal(lines, ["failed 1", "failed 2", "computed 1", "hits 1"], "lines of the log")


def crowd(submission, keys, failing=(), slow_log=0.0, rounds=1, threads=8):
    """Threads that start together and each get all keys; computations, ends, counts, log, and who hangs.

    Keys are looked up slowly, so that a thread that looks and enters in two steps is overtaken in between.
    """
    import threading
    import time

    class Slow(str):
        __slots__ = ()

        def __hash__(self):
            time.sleep(0.001)
            return str.__hash__(self)

    computed, lines, ends = [], [], []

    def compute(key):
        computed.append(str(key))
        time.sleep(0.03)
        if str(key) in failing:
            raise OSError(f"no {key}")
        return f"value of {key}"

    def log(line):
        before = line
        time.sleep(slow_log)
        lines.append(before)

    cache = submission.ResultCache(compute, log)
    start = threading.Barrier(threads)

    def ask():
        start.wait()
        for key in keys:
            try:
                ends.append(cache.get(Slow(key)))
            except Exception as error:
                ends.append(f"{type(error).__name__}: {error}")

    hanging = 0
    for _ in range(rounds):
        crew = [threading.Thread(target=ask, daemon=True) for _ in range(threads)]
        for thread in crew:
            thread.start()
        deadline = time.monotonic() + 2
        for thread in crew:
            thread.join(max(0.0, deadline - time.monotonic()))
        hanging = sum(thread.is_alive() for thread in crew)
        if hanging:
            break
    return sorted(computed), sorted(ends), dict(cache.counts), list(lines), hanging


def test_failure_counts_once(submission):
    """Eight threads that share a failing computation: one failure, no hit."""
    computed, _, counts, _, hanging = inside(submission, crowd, ["bad"], ["bad"])
    equal((computed, hanging), (["bad"], 0), "computations, and threads that hang")
    equal(counts, {"hits": 0, "computed": 0, "failed": 1}, "counts")


def test_many_keys_and_rounds(submission):
    """Six threads, five keys and two rounds: every key once, every other call a hit."""
    keys = ["a", "b", "c", "d", "e"]
    computed, ends, counts, lines, hanging = inside(submission, crowd, keys, [], 0.0, 2, 6)
    equal(hanging, 0, "threads that hang")
    equal(computed, keys, "computations")
    equal(ends, sorted(f"value of {key}" for key in keys for _ in range(12)), "values")
    equal(counts, {"hits": 55, "computed": 5, "failed": 0}, "counts")
    equal(len(lines), 60, "lines of the log")


def exits(submission):
    """A computation that leaves by SystemExit while others wait."""
    import threading
    import time

    under_way, ends = threading.Event(), []

    def compute(key):
        under_way.set()
        time.sleep(0.05)
        raise SystemExit("over")

    cache = submission.ResultCache(compute, lambda line: None)

    def ask():
        try:
            ends.append(cache.get("k"))
        except BaseException as error:
            ends.append(type(error).__name__)

    crew = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    crew[0].start()
    under_way.wait(2)
    for thread in crew[1:]:
        thread.start()
    deadline = time.monotonic() + 2
    for thread in crew:
        thread.join(max(0.0, deadline - time.monotonic()))
    return ends


def test_whatever_is_raised_ends_the_wait(submission):
    """SystemExit, which is no Exception, reaches those who wait as well."""
    equal(inside(submission, exits), ["SystemExit"] * 3, "ends of three calls")


def quick_retry(submission):
    """Whoever is told of a failure asks again at once, while the log is still busy with it."""
    import contextlib
    import threading
    import time

    under_way, tries, ends = threading.Event(), [], []

    def compute(key):
        tries.append(key)
        if len(tries) > 1:
            return "new"
        under_way.set()
        time.sleep(0.05)
        raise OSError("old")

    cache = submission.ResultCache(compute, lambda line: time.sleep(0.1))

    def first():
        with contextlib.suppress(OSError):
            cache.get("k")

    def second():
        try:
            cache.get("k")
        except OSError:
            try:
                ends.append(cache.get("k"))
            except OSError as error:
                ends.append(str(error))

    crew = [threading.Thread(target=call, daemon=True) for call in (first, second)]
    crew[0].start()
    under_way.wait(2)
    crew[1].start()
    for thread in crew:
        thread.join(3)
    return ends


def test_retry_after_a_failure_is_a_new_try(submission):
    """The key is free again before anybody hears of the failure."""
    equal(inside(submission, quick_retry), ["new"], "what a quick second call gets")


def finished(submission):
    """Counts as they are at the moment at which get returns, or raises."""
    import contextlib

    seen = []
    cache = submission.ResultCache(lambda key: 1 // key, lambda line: None)
    for key in (1, 1, 0):
        with contextlib.suppress(ZeroDivisionError):
            cache.get(key)
        seen.append(tuple(cache.counts[name] for name in ("hits", "computed", "failed")))
    return seen


def test_counts_are_made_when_get_returns(submission):
    """No count comes later than its call's end."""
    equal(
        inside(submission, finished),
        [(0, 1, 0), (1, 1, 0), (1, 1, 1)],
        "hits, computed, failed after each call",
    )
