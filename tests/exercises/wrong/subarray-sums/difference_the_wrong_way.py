# Fault: looks for running sums that are larger by the total.
# Rejected by: test_worked_example


def count_windows(changes: list[int], total: int) -> int:
    seen = {0: 1}  # running sum -> how often; 0 is the sum before the first value
    running = count = 0
    for change in changes:
        running += change
        count += seen.get(running + total, 0)
        seen[running] = seen.get(running, 0) + 1  # after the look: a window is not empty
    return count
