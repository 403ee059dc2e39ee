# Fault: writes into the list, by way of a second one of the same size.
# Rejected by: test_memory_does_not_grow


def compact(ids: list[int], most: int = 1) -> int:
    if most < 1:
        raise ValueError(f"expected most of at least 1, got {most}")
    write = 0
    for value in list(ids):
        # the kept part is sorted: `most` copies are there exactly if the one so far back is one of them
        if write < most or ids[write - most] != value:
            ids[write] = value
            write += 1
    return write
