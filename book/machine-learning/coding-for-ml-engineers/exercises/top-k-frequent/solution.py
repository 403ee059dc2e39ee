"""Count in a dictionary, choose with a heap of k entries."""

import heapq
from collections import Counter


def top_k(tokens: list[str], k: int) -> list[tuple[str, int]]:
    """At most k pairs (token, count), most frequent first, ties alphabetical. Raises ValueError for k < 0."""
    if k < 0:
        raise ValueError(f"expected k of at least 0, got {k}")
    counts = Counter(tokens)
    # the smallest by (-count, token) are the most frequent; nsmallest keeps a heap of k
    return heapq.nsmallest(k, counts.items(), key=lambda pair: (-pair[1], pair[0]))
