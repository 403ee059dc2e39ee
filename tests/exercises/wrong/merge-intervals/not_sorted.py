# Fault: goes through the spans as they stand.
# Rejected by: test_worked_example


def merge_spans(spans: list[tuple[int, int]], gap: int = 0) -> list[tuple[int, int]]:
    if gap < 0:
        raise ValueError(f"expected a gap of at least 0, got {gap}")
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if end <= start:
            raise ValueError(f"expected a span that ends after its start, got {(start, end)}")
        if merged and start - merged[-1][1] <= gap:
            first, last = merged[-1]
            merged[-1] = (first, max(last, end))  # this one may lie within the last
        else:
            merged.append((start, end))
    return merged
