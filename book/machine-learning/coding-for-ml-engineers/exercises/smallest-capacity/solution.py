"""Binary search among the answers: whether a capacity suffices is easy to see, and never gets worse."""


def smallest_capacity(sizes: list[int], steps: int) -> int:
    """The least capacity with which sizes fit into `steps` batches in their order. Raises ValueError."""
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
    return low


def batches(sizes: list[int], capacity: int) -> int:
    """How many batches a capacity takes, each filled as far as it goes. No size may be above the capacity."""
    count, room = 0, 0
    for size in sizes:
        if size > room:
            count, room = count + 1, capacity
        room -= size
    return count
