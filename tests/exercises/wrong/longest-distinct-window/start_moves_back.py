# Fault: a token that the window has left behind moves its start back.
# Rejected by: test_repetition_outside_of_the_window


def longest_distinct(tokens: list[int]) -> tuple[int, int]:
    last: dict[int, int] = {}  # token -> where it stood last
    start, best = 0, (0, 0)
    for place, token in enumerate(tokens):
        start = (
            last[token] + 1 if token in last else start
        )  # never back: the window may have passed that place
        last[token] = place
        if place + 1 - start > best[1] - best[0]:
            best = (start, place + 1)
    return best
