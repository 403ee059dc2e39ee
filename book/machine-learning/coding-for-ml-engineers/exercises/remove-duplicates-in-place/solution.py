"""One position reads, one writes: the kept part grows at the front of the same list."""


def compact(ids: list[int], most: int = 1) -> int:
    """Keeps at most `most` copies of each id at the front; returns how many stay. Raises ValueError."""
    if most < 1:
        raise ValueError(f"expected most of at least 1, got {most}")
    write = 0
    for value in ids:
        # the kept part is sorted: `most` copies are there exactly if the one so far back is one of them
        if write < most or ids[write - most] != value:
            ids[write] = value
            write += 1
    return write
