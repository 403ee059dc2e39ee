# Fault: converts to the pairing that the weight has already.
# Rejected by: test_scores_stay


def check(weight, heads, to, rotary):
    rows = len(weight)
    if to not in ("half-split", "interleaved") or heads < 1 or rows % heads:
        raise ValueError("unknown pairing, or rows that do not divide into heads")
    D = rows // heads
    R = D if rotary is None else rotary
    if R % 2 or not 2 <= R <= D:
        raise ValueError("R must be even and in 2 .. D")
    return D, R


def convert(weight, heads, to, rotary=None):
    D, R = check(weight, heads, to, rotary)
    order = list(range(0, R, 2)) + list(range(1, R, 2))
    if to == "half-split":
        order = sorted(range(R), key=order.__getitem__)
    rows = [h * D + i for h in range(heads) for i in (*order, *range(R, D))]
    return weight[rows]
