# Fault: two pointers, which is right only where no value is negative.
# Rejected by: test_negative_values


def count_windows(changes, total):
    left = running = count = 0
    for right, change in enumerate(changes):
        running += change
        while left <= right and running > total:
            running -= changes[left]
            left += 1
        count += left <= right and running == total
    return count
