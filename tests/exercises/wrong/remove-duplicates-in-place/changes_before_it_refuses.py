# Fault: a number below 1 empties the front of the list instead of being refused.
# Rejected by: test_bad_number_is_refused


def compact(ids: list[int], most: int = 1) -> int:
    if most < 1:
        return 0
    write = 0
    for value in ids:
        # the kept part is sorted: `most` copies are there exactly if the one so far back is one of them
        if write < most or ids[write - most] != value:
            ids[write] = value
            write += 1
    return write
