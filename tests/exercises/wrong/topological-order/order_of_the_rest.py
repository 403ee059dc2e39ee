# Fault: runs what can be run, and says the cycle beside it.
# Rejected by: test_cycle_is_named

import heapq


def run_order(needs: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    open_needs = {stage: set(before) for stage, before in needs.items()}
    for before in needs.values():
        for stage in before:
            open_needs.setdefault(stage, set())
    unblocks: dict[str, list[str]] = {stage: [] for stage in open_needs}
    for stage, before in open_needs.items():
        for need in before:
            unblocks[need].append(stage)
    ready = [stage for stage, before in open_needs.items() if not before]
    heapq.heapify(ready)
    order = []
    while ready:
        stage = heapq.heappop(ready)
        order.append(stage)
        for waiting in unblocks[stage]:
            open_needs[waiting].remove(stage)
            if not open_needs[waiting]:
                heapq.heappush(ready, waiting)
    left = {stage: before for stage, before in open_needs.items() if before}
    return (order or ["a"], find_cycle(left)) if left else (order, [])


def find_cycle(left: dict[str, set[str]]) -> list[str]:
    met: dict[str, int] = {}  # stage -> its place on the walk
    stage = next(iter(left))
    while stage not in met:
        met[stage] = len(met)
        stage = next(iter(left[stage]))
    return list(met)[met[stage] :]
