# Fault: sorts by (count, token) backwards, so the alphabet runs backwards too.
# Rejected by: test_worked_example

from collections import Counter


def top_k(tokens: list[str], k: int) -> list[tuple[str, int]]:
    if k < 0:
        raise ValueError(f"expected k of at least 0, got {k}")
    counts = Counter(tokens)
    # the smallest by (-count, token) are the most frequent; nsmallest keeps a heap of k
    return sorted(counts.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:k]
