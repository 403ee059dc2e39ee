# Fault: sizes of 0 and less are packed like others.
# Rejected by: test_bad_numbers_are_refused


def smallest_capacity(sizes: list[int], steps: int) -> int:
    if steps < 1:
        raise ValueError(f"expected at least one step, got {steps}")
    low, high = max(sizes, default=0), sum(sizes)
    while low < high:  # the answer is always in low..high
        middle = (low + high) // 2
        if batches(sizes, middle) <= steps:
            high = middle
        else:
            low = middle + 1
    return low


def batches(sizes: list[int], capacity: int) -> int:
    count, room = 0, 0
    for size in sizes:
        if size > room:
            count, room = count + 1, capacity
        room -= size
    return count
