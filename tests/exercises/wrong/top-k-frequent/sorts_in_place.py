# Fault: counts runs of the sorted list, and sorts the caller's list for it.
# Rejected by: test_tokens_stay_as_they_were

import heapq
from collections import Counter


def top_k(tokens: list[str], k: int) -> list[tuple[str, int]]:
    if k < 0:
        raise ValueError(f"expected k of at least 0, got {k}")
    tokens.sort()
    counts = Counter(tokens)
    # the smallest by (-count, token) are the most frequent; nsmallest keeps a heap of k
    return heapq.nsmallest(k, counts.items(), key=lambda pair: (-pair[1], pair[0]))
