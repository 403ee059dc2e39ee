# Fault: deletes the tail, so the list does not keep its length.
# Rejected by: test_worked_example


def compact(ids: list[int], most: int = 1) -> int:
    if most < 1:
        raise ValueError(f"expected most of at least 1, got {most}")
    write = 0
    for value in ids:
        # the kept part is sorted: `most` copies are there exactly if the one so far back is one of them
        if write < most or ids[write - most] != value:
            ids[write] = value
            write += 1
    del ids[write:]
    return write
