"""Visible tests, one a fault: computed twice, keys in a queue, nested keys, failures, counts."""

from handbook.practice.checks import equal, inside


def alone(submission):
    """The statement's example, and a None, in one thread."""
    lines = []
    cache = submission.ResultCache(lambda key: None if key is None else 2 * key, lines.append)
    values = [cache.get(3), cache.get(3), cache.get(None), cache.get(None)]
    return values, lines, dict(cache.counts)


def test_worked_example(submission):
    """One thread: computed, then found, also where the value is None."""
    values, lines, counts = inside(submission, alone)
    equal(values, [6, 6, None, None], "values")
    equal(lines, ["computed 1", "hits 1", "computed 2", "hits 2"], "lines of the log")
    equal(counts, {"hits": 2, "computed": 2, "failed": 0}, "counts")


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


def test_a_key_is_computed_once(submission):
    """Eight threads ask for the same key at the same moment."""
    computed, ends, _, _, hanging = inside(submission, crowd, ["a"])
    equal(hanging, 0, "threads that hang")
    equal(computed, ["a"], "computations")
    equal(ends, ["value of a"] * 8, "values")


def meeting(submission):
    """Two keys whose computations wait for each other; True where both were under way at once."""
    import threading

    both = threading.Barrier(2)

    def compute(key):
        try:
            both.wait(1.0)
            return True
        except threading.BrokenBarrierError:
            return False

    cache, met = submission.ResultCache(compute, lambda line: None), []
    crew = [threading.Thread(target=lambda k=k: met.append(cache.get(k)), daemon=True) for k in "ab"]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(4)
    return met


def test_different_keys_at_the_same_time(submission):
    """The computation of one key does not wait for that of another."""
    equal(inside(submission, meeting), [True, True], "both computations were under way at once")


def test_failure_reaches_all_who_wait(submission):
    """Eight threads wait for a computation that raises: all get the exception, nobody hangs."""
    _, ends, _, _, hanging = inside(submission, crowd, ["bad"], ["bad"])
    equal(hanging, 0, "threads that hang after a failure")
    equal(ends, ["OSError: no bad"] * 8, "what the eight got")


def test_counts_are_exact(submission):
    """Eight threads and two keys with a slow log: no count is lost and no number logged twice."""
    _, _, counts, lines, hanging = inside(submission, crowd, ["a", "b"], [], 0.002)
    equal(hanging, 0, "threads that hang")
    equal(counts, {"hits": 14, "computed": 2, "failed": 0}, "counts after 16 calls for 2 keys")
    for name, most in counts.items():
        got = [line for line in lines if line.startswith(name)]
        equal(got, [f"{name} {number}" for number in range(1, most + 1)], f"lines of {name}")
