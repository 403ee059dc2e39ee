# Fault: the sum before the first value is missing, so windows from the start are lost.
# Rejected by: test_window_from_the_first_value


def count_windows(changes: list[int], total: int) -> int:
    seen = {}  # running sum -> how often; 0 is the sum before the first value
    running = count = 0
    for change in changes:
        running += change
        count += seen.get(running - total, 0)
        seen[running] = seen.get(running, 0) + 1  # after the look: a window is not empty
    return count
