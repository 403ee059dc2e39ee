# Fault: compares with the last kept id only, so one copy stays whatever `most` says.
# Rejected by: test_worked_example


def compact(ids: list[int], most: int = 1) -> int:
    if most < 1:
        raise ValueError(f"expected most of at least 1, got {most}")
    write = 0
    for value in ids:
        # the kept part is sorted: `most` copies are there exactly if the one so far back is one of them
        if write < 1 or ids[write - 1] != value:
            ids[write] = value
            write += 1
    return write
