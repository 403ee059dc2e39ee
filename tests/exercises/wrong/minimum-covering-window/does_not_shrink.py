# Fault: takes at most one word off the left for each that comes in.
# Rejected by: test_surplus_words_are_left_behind

from collections import Counter


def covering_window(words: list[str], needed: list[str]) -> tuple[int, int] | None:
    if not needed:
        raise ValueError("expected at least one needed word")
    missing = Counter(needed)  # below zero: more of a word than is needed, or one that is not
    lacking, start = len(needed), 0
    best: tuple[int, int] | None = None
    for end, word in enumerate(words, start=1):
        lacking -= missing[word] > 0
        missing[word] -= 1
        if lacking == 0:
            if best is None or end - start < best[1] - best[0]:
                best = (start, end)
            missing[words[start]] += 1
            lacking += missing[words[start]] > 0
            start += 1
    return best
