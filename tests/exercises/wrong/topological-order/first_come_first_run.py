# Fault: a queue instead of a heap: what became ready first runs first.
# Rejected by: test_smallest_name_first


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
    ready.sort()
    order = []
    while ready:
        stage = ready.pop(0)
        order.append(stage)
        for waiting in unblocks[stage]:
            open_needs[waiting].remove(stage)
            if not open_needs[waiting]:
                ready.append(waiting)
    left = {stage: before for stage, before in open_needs.items() if before}
    return ([], find_cycle(left)) if left else (order, [])


def find_cycle(left: dict[str, set[str]]) -> list[str]:
    met: dict[str, int] = {}  # stage -> its place on the walk
    stage = next(iter(left))
    while stage not in met:
        met[stage] = len(met)
        stage = next(iter(left[stage]))
    return list(met)[met[stage] :]
