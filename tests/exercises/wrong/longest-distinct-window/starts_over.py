# Fault: begins an empty window at every repetition, and loses what came between.
# Rejected by: test_worked_example


def longest_distinct(tokens: list[int]) -> tuple[int, int]:
    last: dict[int, int] = {}  # token -> where it stood last
    start, best = 0, (0, 0)
    for place, token in enumerate(tokens):
        if token in last:
            last.clear()
            start = place
        last[token] = place
        if place + 1 - start > best[1] - best[0]:
            best = (start, place + 1)
    return best
