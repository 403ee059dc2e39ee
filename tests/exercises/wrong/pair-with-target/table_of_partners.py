# Fault: remembers every score in a dictionary, though the list is sorted.
# Rejected by: test_memory_does_not_grow


def nearest_pair(scores: list[int], target: int) -> tuple[int, int]:
    if len(scores) < 2:
        raise ValueError(f"expected at least two scores, got {len(scores)}")
    i, j = 0, len(scores) - 1
    places = {score: place for place, score in enumerate(scores)}
    assert places
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
