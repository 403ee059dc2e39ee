"""Hidden tests: the rules step by step, the busiest moment, fractions, many jobs, what is kept."""

import random

from handbook.practice.checks import equal, raises, unchanged


def growth_input(n):
    return ([(i, 2 * n - i % 7) for i in range(n)],)  # all of them overlap


def by_the_rules(jobs):
    """Every machine is asked, for every job."""
    until, workers = [], [0] * len(jobs)
    for start, job in sorted((start, job) for job, (start, _) in enumerate(jobs)):
        worker = next((w for w, end in enumerate(until) if end <= start), len(until))
        if worker == len(until):
            until.append(0)
        until[worker] = jobs[job][1]
        workers[job] = worker
    return len(until), workers


def some_jobs(chance, n, last):
    starts = [chance.randrange(last) for _ in range(n)]
    return [(start, start + chance.randint(1, 6)) for start in starts]


def test_equals_the_rules(submission):
    """Random jobs with many equal starts and ends."""
    for seed in range(120):
        chance = random.Random(seed)
        jobs = some_jobs(chance, chance.randrange(12), 12)
        equal(submission.assign_workers(jobs), by_the_rules(jobs), f"jobs {jobs}")


def test_count_is_the_busiest_moment(submission):
    """No more machines than jobs run at once, at some start."""
    for seed in range(20):
        jobs = some_jobs(random.Random(seed), 40, 60)
        expected = max(sum(a <= start < b for a, b in jobs) for start, _ in jobs)
        equal(submission.assign_workers(jobs)[0], expected, f"machines for 40 jobs, seed {seed}")


def test_smallest_free_number(submission):
    """Not the machine that became free first or last, but the one with the smallest number."""
    jobs = [(0, 9), (0, 5), (0, 3), (6, 7), (6, 8), (9, 10)]
    equal(submission.assign_workers(jobs), (3, [0, 1, 2, 1, 2, 0]), f"jobs {jobs}")


def test_long_job_among_short_ones(submission):
    """One machine stays busy, another one serves all the rest."""
    jobs = [(0, 100)] + [(i, i + 1) for i in range(10)]
    equal(submission.assign_workers(jobs), (2, [0] + [1] * 10), "a long job and ten short ones")


def test_fractions_and_negative_times(submission):
    """Times are any numbers."""
    jobs = [(-1.5, 0.25), (0.25, 1.0), (0.2, 0.3)]
    equal(submission.assign_workers(jobs), (2, [0, 0, 1]), f"jobs {jobs}")


def test_many_jobs(submission):
    """20,000 jobs that all overlap, then 20,000 one after the other."""
    jobs = [(i, 30_000) for i in range(20_000)]
    equal(submission.assign_workers(jobs), (20_000, list(range(20_000))), "20,000 jobs at once")
    jobs = [(i, i + 1) for i in range(20_000)]
    equal(submission.assign_workers(jobs), (1, [0] * 20_000), "20,000 jobs in a row")


def test_jobs_stay_as_they_were(submission):
    """The argument is neither sorted nor changed."""
    jobs = [(4, 5), (0, 2), (1, 3)]
    submission.assign_workers(jobs)
    unchanged(jobs, [(4, 5), (0, 2), (1, 3)], "jobs")


def test_bad_job_at_the_end_is_refused(submission):
    """Also where it begins after all others; not a number is no time."""
    raises(ValueError, submission.assign_workers, [(0, 1), (8, 7)], what="a job (8, 7)")
    raises(ValueError, submission.assign_workers, [(0, float("nan"))], what="a job (0, nan)")
