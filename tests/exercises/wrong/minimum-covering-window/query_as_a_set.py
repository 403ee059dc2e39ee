# Fault: a word that the query holds twice is needed once only.
# Rejected by: test_word_needed_more_often_than_it_occurs

from collections import Counter


def covering_window(words: list[str], needed: list[str]) -> tuple[int, int] | None:
    if not needed:
        raise ValueError("expected at least one needed word")
    missing = Counter(set(needed))
    lacking, start = len(missing), 0
    best: tuple[int, int] | None = None
    for end, word in enumerate(words, start=1):
        lacking -= missing[word] > 0
        missing[word] -= 1
        while lacking == 0:
            if best is None or end - start < best[1] - best[0]:
                best = (start, end)
            missing[words[start]] += 1
            lacking += missing[words[start]] > 0
            start += 1
    return best
