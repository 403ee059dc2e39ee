# Fault: walks no more than 100 steps towards the root.
# Rejected by: test_long_chains


def representatives(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    if count < 0:
        raise ValueError(f"expected a count of at least 0, got {count}")
    parent = list(range(count))

    def find(x: int) -> int:
        for _ in range(100):
            x = parent[x]
        return x

    for a, b in pairs:
        if not (0 <= a < count and 0 <= b < count):
            raise ValueError(f"expected documents from 0 to {count - 1}, got {(a, b)}")
        low, high = sorted((find(a), find(b)))
        parent[high] = low  # the smaller root stays one, so a root is its cluster's smallest member
    return [find(x) for x in range(count)]
