# Fault: the same permutation both ways, which is right for four turning rows only.
# Rejected by: test_there_and_back


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
    rows = [h * D + i for h in range(heads) for i in (*range(0, R, 2), *range(1, R, 2), *range(R, D))]
    return weight[rows]
