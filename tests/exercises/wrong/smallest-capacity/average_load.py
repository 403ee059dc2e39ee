# Fault: divides the sum by the steps.
# Rejected by: test_worked_example


def smallest_capacity(sizes: list[int], steps: int) -> int:
    if steps < 1:
        raise ValueError(f"expected at least one step, got {steps}")
    if any(size < 1 for size in sizes):
        raise ValueError("expected sizes of at least 1")
    return max(max(sizes, default=0), -(-sum(sizes) // steps))
    low, high = 0, 0
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
