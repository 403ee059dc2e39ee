"""A window that grows to the right; a repeated token moves its left end behind the earlier one."""


def longest_distinct(tokens: list[int]) -> tuple[int, int]:
    """(start, end) of the longest window of different tokens, the first among equals."""
    last: dict[int, int] = {}  # token -> where it stood last
    start, best = 0, (0, 0)
    for place, token in enumerate(tokens):
        start = max(start, last.get(token, -1) + 1)  # never back: the window may have passed that place
        last[token] = place
        if place + 1 - start > best[1] - best[0]:
            best = (start, place + 1)
    return best
