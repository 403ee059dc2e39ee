"""Visible tests: the worked example, fractions, the cap, what is refused, two threads and one token."""

from handbook.practice.checks import close, equal, inside, raises


def test_worked_example(submission):
    """The statement's five calls."""
    now = [0.0]
    bucket = submission.TokenBucket(2, 3, lambda: now[0])
    equal(bucket.allow(3), True, "at 0.0: allow(3)")
    close(bucket.wait(1), 0.5, "at 0.0: wait(1)")
    now[0] = 0.25
    equal(bucket.allow(1), False, "at 0.25: allow(1)")
    now[0] = 0.5
    equal(bucket.allow(1), True, "at 0.5: allow(1)")
    now[0] = 9.0
    equal(bucket.allow(3), True, "at 9.0: allow(3)")
    equal(bucket.allow(0.5), False, "at 9.0: half a token more")


def test_asking_often_loses_nothing(submission):
    """One token a second, asked every eighth of a second: one request in eight passes."""
    now = [0.0]
    bucket = submission.TokenBucket(1, 1, lambda: now[0])
    passed = []
    for eighth in range(33):
        now[0] = eighth / 8
        if bucket.allow():
            passed.append(eighth / 8)
    equal(passed, [0.0, 1.0, 2.0, 3.0, 4.0], "times at which a request passed")


def test_waiting_as_long_as_it_says(submission):
    """After wait(cost) seconds, and not before, allow(cost) is True."""
    now = [100.0]
    bucket = submission.TokenBucket(0.5, 8, lambda: now[0])
    bucket.allow(7)
    seconds = bucket.wait(4)
    close(seconds, 6.0, "wait(4) with 1 token and a rate of 0.5")
    now[0] += seconds - 0.5
    equal(bucket.allow(4), False, "half a second early")
    now[0] += 0.5
    equal(bucket.allow(4), True, "in time")
    equal(bucket.wait(0.25), 0.5, "wait(0.25) with an empty bucket")
    now[0] += 1
    close(bucket.wait(0.25), 0.0, "wait(0.25) with half a token")


def test_what_can_never_be_is_refused(submission):
    """Costs above the capacity or not above 0, rates and capacities not above 0 raise ValueError."""
    bucket = submission.TokenBucket(1, 2, lambda: 0.0)
    for method in ("allow", "wait"):
        for cost in (2.5, 0, -1, float("nan")):
            raises(ValueError, getattr(bucket, method), cost, what=f"{method}({cost}) with a capacity of 2")
    for rate, capacity in ((0, 1), (-1, 1), (1, 0), (1, -1)):
        raises(
            ValueError, submission.TokenBucket, rate, capacity, lambda: 0.0, what=f"{rate} per s, {capacity}"
        )
    equal(bucket.allow(2), True, "a cost of the whole capacity")


def crowd(submission, threads, capacity):
    """Threads that meet at the clock and then all want one token each; how many get one."""
    import threading
    import time

    inside = False

    def clock():
        nonlocal inside
        if inside:
            time.sleep(0.003)  # whoever has not locked by now is overtaken here
        return 0.0

    bucket = submission.TokenBucket(1, capacity, clock)
    start, passed = threading.Barrier(threads), []

    def ask():
        start.wait()
        if bucket.allow():
            passed.append(1)

    inside = True
    crew = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    return len(passed)


def test_threads_share_what_there_is(submission):
    """Eight threads ask at once for three tokens: three get one."""
    for _ in range(3):
        equal(inside(submission, crowd, 8, 3), 3, "requests that passed")
