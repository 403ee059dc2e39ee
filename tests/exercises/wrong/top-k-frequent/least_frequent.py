# Fault: keeps the k rarest: the heap's order is the wrong way round.
# Rejected by: test_counts_beat_the_alphabet

import heapq
from collections import Counter


def top_k(tokens: list[str], k: int) -> list[tuple[str, int]]:
    if k < 0:
        raise ValueError(f"expected k of at least 0, got {k}")
    counts = Counter(tokens)
    # the smallest by (-count, token) are the most frequent; nsmallest keeps a heap of k
    return heapq.nsmallest(k, counts.items(), key=lambda pair: (pair[1], pair[0]))
