# Fault: forgets that the first ids have nothing so far back, and asks the end of the list.
# Rejected by: test_short_lists


def compact(ids: list[int], most: int = 1) -> int:
    if most < 1:
        raise ValueError(f"expected most of at least 1, got {most}")
    write = 0
    for value in ids:
        # the kept part is sorted: `most` copies are there exactly if the one so far back is one of them
        if not write or ids[write - most] != value:
            ids[write] = value
            write += 1
    return write
