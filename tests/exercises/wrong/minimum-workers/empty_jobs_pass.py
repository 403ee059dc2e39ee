# Fault: a job that takes no time is given a machine.
# Rejected by: test_bad_jobs_are_refused

import heapq


def assign_workers(jobs: list[tuple[float, float]]) -> tuple[int, list[int]]:
    for start, end in jobs:
        if end < start:
            raise ValueError(f"expected a job that ends after its start, got {(start, end)}")
    busy: list[tuple[float, int]] = []  # (end, machine) of the running jobs
    free: list[int] = []
    count, workers = 0, [0] * len(jobs)
    for job in sorted(range(len(jobs)), key=lambda job: jobs[job][0]):  # stable: ties in the given order
        start, end = jobs[job]
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            worker = heapq.heappop(free)
        else:
            worker, count = count, count + 1
        workers[job] = worker
        heapq.heappush(busy, (end, worker))
    return count, workers
