# Fault: begins again at 0 where words differ: the longest common run of neighbours.
# Rejected by: test_not_a_common_substring


def rouge_l(reference, candidate, beta=1.0):
    if not beta > 0:
        raise ValueError("beta")
    best = []
    for i in range(len(reference)):
        for j in range(i + 1, len(reference) + 1):
            part = reference[i:j]
            runs = (candidate[k : k + len(part)] for k in range(len(candidate)))
            if len(part) > len(best) and part in runs:
                best = part
    if not best:
        return [], 0.0, 0.0, 0.0
    p, r = len(best) / len(candidate), len(best) / len(reference)
    return best, p, r, (1 + beta**2) * p * r / (r + beta**2 * p)
