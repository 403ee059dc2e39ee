# Fault: compares by distance alone, so the sum met first wins a tie.
# Rejected by: test_smaller_sum_wins


def nearest_pair(scores: list[int], target: int) -> tuple[int, int]:
    if len(scores) < 2:
        raise ValueError(f"expected at least two scores, got {len(scores)}")
    i, j = 0, len(scores) - 1
    best, key = (i, j), None
    while i < j:
        total = scores[i] + scores[j]
        here = abs(total - target)
        if key is None or here < key:  # not at equality: the outer pair was met first
            best, key = (i, j), here
        if total < target:
            i += 1  # with anything further left than j, this score sums to still less
        else:
            j -= 1
    return best
