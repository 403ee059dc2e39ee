# Fault: builds a second list and leaves the first as it was.
# Rejected by: test_worked_example


def compact(ids: list[int], most: int = 1) -> int:
    if most < 1:
        raise ValueError(f"expected most of at least 1, got {most}")
    write = 0
    kept = []
    for value in ids:
        if write < most or kept[write - most] != value:
            kept.append(value)
            write += 1
    ids = kept
    return write
