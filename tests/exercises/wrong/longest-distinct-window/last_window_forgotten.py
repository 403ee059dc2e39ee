# Fault: looks at a window only when it ends, so the last one is forgotten.
# Rejected by: test_all_different


def longest_distinct(tokens: list[int]) -> tuple[int, int]:
    last: dict[int, int] = {}  # token -> where it stood last
    start, best = 0, (0, 0)
    for place, token in enumerate(tokens):
        if last.get(token, -1) >= start:
            if place - start > best[1] - best[0]:
                best = (start, place)
            start = last[token] + 1
        last[token] = place
    return best
