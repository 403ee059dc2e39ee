# Fault: joins two pieces at most.
# Rejected by: test_equals_the_rule

from itertools import pairwise

SEPARATORS = ("\n\n", "\n", ". ", " ")


def split(text, limit, count=len):
    if limit < 1:
        raise ValueError("limit")
    found = []
    for start, end in pieces(text, 0, len(text), limit, count, 0):
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start < end:
            found.append((start, end))
    return found


def pieces(text, start, end, limit, count, level):
    if count(text[start:end]) <= limit or end - start == 1:
        return [(start, end)]
    bounds = cuts(text, start, end, level)
    parts = []
    for a, b in pairwise(bounds):
        parts += pieces(text, a, b, limit, count, level + 1)
    return join(text, parts, limit, count)


def cuts(text, start, end, level):
    if level == len(SEPARATORS):
        return list(range(start, end + 1))
    mark = SEPARATORS[level]
    bounds, at = [start], text.find(mark, start, end)
    while at != -1:
        if at + len(mark) < end:
            bounds.append(at + len(mark))
        at = text.find(mark, at + len(mark), end)
    return [*bounds, end]


def join(text, parts, limit, count):
    joined = []
    for a, b in parts:
        if joined and count(text[joined[-1][0] : b]) <= limit:
            joined[-1] = (joined[-1][0], b)
            joined.append((b, b))
        else:
            joined.append((a, b))
    return joined
