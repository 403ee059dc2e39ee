# Fault: equal counts stand as they were first met, as Counter.most_common gives them.
# Rejected by: test_ties_are_alphabetical

from collections import Counter


def top_k(tokens: list[str], k: int) -> list[tuple[str, int]]:
    if k < 0:
        raise ValueError(f"expected k of at least 0, got {k}")
    counts = Counter(tokens)
    # the smallest by (-count, token) are the most frequent; nsmallest keeps a heap of k
    return counts.most_common(k)
