# Fault: begins the window at the earlier place instead of behind it.
# Rejected by: test_all_the_same


def longest_distinct(tokens: list[int]) -> tuple[int, int]:
    last: dict[int, int] = {}  # token -> where it stood last
    start, best = 0, (0, 0)
    for place, token in enumerate(tokens):
        start = max(start, last.get(token, 0))  # never back: the window may have passed that place
        last[token] = place
        if place + 1 - start > best[1] - best[0]:
            best = (start, place + 1)
    return best
