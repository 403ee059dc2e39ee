"""A window's sum is a difference of two running sums, so count the running sums that were seen."""


def count_windows(changes: list[int], total: int) -> int:
    """How many non-empty windows of neighbouring values add up to total."""
    seen = {0: 1}  # running sum -> how often; 0 is the sum before the first value
    running = count = 0
    for change in changes:
        running += change
        count += seen.get(running - total, 0)
        seen[running] = seen.get(running, 0) + 1  # after the look: a window is not empty
    return count
