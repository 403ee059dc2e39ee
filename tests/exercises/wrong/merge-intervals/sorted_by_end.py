# Fault: sorts by the ends, so a long span that begins early comes too late.
# Rejected by: test_span_within_another


def merge_spans(spans: list[tuple[int, int]], gap: int = 0) -> list[tuple[int, int]]:
    if gap < 0:
        raise ValueError(f"expected a gap of at least 0, got {gap}")
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: span[1]):
        if end <= start:
            raise ValueError(f"expected a span that ends after its start, got {(start, end)}")
        if merged and start - merged[-1][1] <= gap:
            first, last = merged[-1]
            merged[-1] = (first, max(last, end))  # this one may lie within the last
        else:
            merged.append((start, end))
    return merged
