# Fault: a negative k gives an empty list, because heapq lets it pass.
# Rejected by: test_negative_k_is_refused

import heapq
from collections import Counter


def top_k(tokens: list[str], k: int) -> list[tuple[str, int]]:
    counts = Counter(tokens)
    # the smallest by (-count, token) are the most frequent; nsmallest keeps a heap of k
    return heapq.nsmallest(k, counts.items(), key=lambda pair: (-pair[1], pair[0]))
