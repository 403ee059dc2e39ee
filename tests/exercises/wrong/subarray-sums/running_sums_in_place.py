# Fault: writes the running sums into the caller's list.
# Rejected by: test_changes_stay_as_they_were


def count_windows(changes: list[int], total: int) -> int:
    seen = {0: 1}  # running sum -> how often; 0 is the sum before the first value
    running = count = 0
    for place in range(1, len(changes)):
        changes[place] += changes[place - 1]
    for running in changes:
        count += seen.get(running - total, 0)
        seen[running] = seen.get(running, 0) + 1  # after the look: a window is not empty
    return count
