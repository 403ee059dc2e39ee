# Fault: returns a capacity that is one too large: skips the answer where the middle suffices.
# Rejected by: test_order_stays


def smallest_capacity(sizes: list[int], steps: int) -> int:
    if steps < 1:
        raise ValueError(f"expected at least one step, got {steps}")
    if any(size < 1 for size in sizes):
        raise ValueError("expected sizes of at least 1")
    low, high = max(sizes, default=0), sum(sizes)
    while low < high:  # the answer is always in low..high
        middle = (low + high) // 2
        if batches(sizes, middle) <= steps:
            high = middle
        else:
            low = middle + 1
    return low + 1 if low < sum(sizes) else low


def batches(sizes: list[int], capacity: int) -> int:
    count, room = 0, 0
    for size in sizes:
        if size > room:
            count, room = count + 1, capacity
        room -= size
    return count
