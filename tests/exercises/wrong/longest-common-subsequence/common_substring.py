# Fault: begins again at 0 where words differ: the longest common run of neighbours.
# Rejected by: test_not_a_common_substring


def rouge_l(reference, candidate, beta=1.0):
    if not beta > 0:
        raise ValueError("beta")
    best, above = [], [0] * (len(candidate) + 1)
    for i, a in enumerate(reference, start=1):
        row = [0] * (len(candidate) + 1)
        for j, b in enumerate(candidate, start=1):
            row[j] = above[j - 1] + 1 if a == b else 0
            if row[j] > len(best):
                best = reference[i - row[j] : i]
        above = row
    if not best:
        return [], 0.0, 0.0, 0.0
    p, r = len(best) / len(candidate), len(best) / len(reference)
    return best, p, r, (1 + beta**2) * p * r / (r + beta**2 * p)
