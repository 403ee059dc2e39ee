# Fault: enters the running sum before it looks, so a total of 0 counts windows of no values.
# Rejected by: test_empty_windows_do_not_count


def count_windows(changes: list[int], total: int) -> int:
    seen = {0: 1}  # running sum -> how often; 0 is the sum before the first value
    running = count = 0
    for change in changes:
        running += change
        seen[running] = seen.get(running, 0) + 1
        count += seen.get(running - total, 0)
    return count
