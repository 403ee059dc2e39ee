# Fault: measures the gap from the span before in the sorted list.
# Rejected by: test_gap_is_measured_from_what_was_merged


def merge_spans(spans: list[tuple[int, int]], gap: int = 0) -> list[tuple[int, int]]:
    if gap < 0:
        raise ValueError(f"expected a gap of at least 0, got {gap}")
    merged: list[tuple[int, int]] = []
    before = None
    for start, end in sorted(spans):
        if end <= start:
            raise ValueError(f"expected a span that ends after its start, got {(start, end)}")
        near = before is not None and start - before <= gap
        before = end
        if near:
            first, last = merged[-1]
            merged[-1] = (first, max(last, end))  # this one may lie within the last
        else:
            merged.append((start, end))
    return merged
