# Fault: a negative number counts from the end.
# Rejected by: test_documents_that_do_not_exist_are_refused


def representatives(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    if count < 0:
        raise ValueError(f"expected a count of at least 0, got {count}")
    parent = list(range(count))

    def find(x: int) -> int:
        while parent[x] != x:
            parent[x] = parent[parent[x]]  # each walk halves the way for the next
            x = parent[x]
        return x

    for a, b in pairs:
        if not (a < count and b < count):
            raise ValueError(f"expected documents from 0 to {count - 1}, got {(a, b)}")
        low, high = sorted((find(a), find(b)))
        parent[high] = low  # the smaller root stays one, so a root is its cluster's smallest member
    return [find(x) for x in range(count)]
