"""Hidden tests: an exact oracle, a clock that goes back, refusals, the only clock, overtaking."""

import random
from fractions import Fraction

from handbook.practice.checks import close, equal, inside


def test_random_runs_beside_exact_arithmetic(submission):
    """Thirty runs in eighths of a second and of a token, against fractions."""
    for seed in range(30):
        chance = random.Random(seed)
        rate, capacity = chance.choice((0.25, 1, 2, 4)), chance.choice((1, 2.5, 8))
        now, tokens = [chance.randrange(100) / 8], Fraction(capacity)
        bucket = submission.TokenBucket(rate, capacity, lambda now=now: now[0])
        for step in range(60):
            passed = Fraction(chance.choice((0, 0, 1, 2, 8, 40)), 8)
            now[0] += float(passed)
            tokens = min(Fraction(capacity), tokens + Fraction(rate) * passed)
            cost = chance.randint(1, int(8 * capacity)) / 8
            what = f"seed {seed}, step {step}, cost {cost}, {float(tokens)} tokens"
            close(bucket.wait(cost), float(max(0, cost - tokens) / Fraction(rate)), f"{what}: wait")
            equal(bucket.allow(cost), cost <= tokens, f"{what}: allow")
            if cost <= tokens:
                tokens -= Fraction(cost)


def test_clock_that_goes_backwards(submission):
    """Going back brings and takes nothing; time counts again once it passes where it was."""
    now = [10.0]
    bucket = submission.TokenBucket(1, 4, lambda: now[0])
    equal(bucket.allow(4), True, "at 10: the full bucket")
    now[0] = 5.0
    close(bucket.wait(1), 1.0, "at 5: wait(1)")
    now[0] = 9.0
    equal(bucket.allow(1), False, "at 9, after 5: allow(1)")
    now[0] = 11.0
    equal(bucket.allow(1), True, "at 11: one second after 10")
    equal(bucket.allow(1), False, "at 11: a second token")


def test_refusals_take_nothing(submission):
    """A hundred refused requests leave the tokens as they were."""
    bucket = submission.TokenBucket(1, 3, lambda: 0.0)
    bucket.allow(1)
    equal([bucket.allow(3) for _ in range(100)].count(True), 0, "allow(3) with two tokens, a hundred times")
    equal((bucket.allow(2), bucket.allow(0.01)), (True, False), "allow(2), then a hundredth")


def test_wait_takes_nothing(submission):
    """Asking how long changes no answer."""
    bucket = submission.TokenBucket(4, 2, lambda: 1.0)
    equal([bucket.wait(2) for _ in range(3)], [0.0, 0.0, 0.0], "wait(2) of a full bucket, three times")
    equal(bucket.allow(2), True, "allow(2) after that")
    equal([bucket.wait(), bucket.wait(2)], [0.25, 0.5], "wait() and wait(2) of an empty bucket")


def test_starts_full_at_its_own_time(submission):
    """A clock that stands at a large number at first gives no more than the capacity."""
    now = [1e6]
    bucket = submission.TokenBucket(1, 5, lambda: now[0])
    equal((bucket.allow(5), bucket.allow()), (True, False), "allow(5), then one more")


def overtaken(submission):
    """One thread is held inside the clock at time 1 while another may ask at time 2."""
    import threading

    arrived, go, times = threading.Event(), threading.Event(), {}

    def clock():
        name = threading.current_thread().name
        if name == "slow":
            arrived.set()
            go.wait(0.3)
        return times.get(name, 0.0)

    bucket = submission.TokenBucket(1, 10, clock)
    bucket.allow(10)
    times.update(slow=1.0, fast=2.0)
    crew = [threading.Thread(target=bucket.allow, args=(0.5,), name=name) for name in ("slow", "fast")]
    crew[0].start()
    arrived.wait()
    crew[1].start()
    crew[1].join(0.1)  # with one lock around all of it, it waits for the slow one
    go.set()
    for thread in crew:
        thread.join()
    times["MainThread"] = 2.0
    return [bucket.allow(0.5), bucket.allow(0.5), bucket.allow(0.25)]


def test_threads_that_overtake_each_other(submission):
    """Two seconds bring two tokens, whoever reads the clock first: two halves were taken, two are left."""
    expected = [True, True, False]
    equal(inside(submission, overtaken), expected, "allow(0.5), allow(0.5) and allow(0.25) after two threads")
