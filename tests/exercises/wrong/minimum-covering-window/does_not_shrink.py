# Fault: begins the window anew behind each one that covers, without shrinking it to the end.
# Rejected by: test_surplus_words_are_left_behind

from collections import Counter


def covering_window(words, needed):
    if not needed:
        raise ValueError("expected at least one needed word")
    best, start = None, 0
    for end in range(1, len(words) + 1):
        if Counter(needed) <= Counter(words[start:end]):
            if best is None or end - start < best[1] - best[0]:
                best = (start, end)
            start += 1
    return best
