"""Two indices that walk towards each other: each step strikes out a score that no better pair can hold."""


def nearest_pair(scores: list[int], target: int) -> tuple[int, int]:
    """Indices i < j of the nearest sum; ties: smaller sum, smaller i, larger j. Raises ValueError."""
    if len(scores) < 2:
        raise ValueError(f"expected at least two scores, got {len(scores)}")
    i, j = 0, len(scores) - 1
    best, key = (i, j), None
    while i < j:
        total = scores[i] + scores[j]
        here = (abs(total - target), total)
        if key is None or here < key:  # not at equality: the outer pair was met first
            best, key = (i, j), here
        if total < target:
            i += 1  # with anything further left than j, this score sums to still less
        else:
            j -= 1
    return best
