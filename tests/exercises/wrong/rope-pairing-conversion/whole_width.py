# Fault: the permutation runs over all rows at once instead of within each head.
# Rejected by: test_worked_example


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
    check(weight, heads, to, rotary)
    rows, R = len(weight), rotary or len(weight)
    order = list(range(0, R, 2)) + list(range(1, R, 2))
    if to == "interleaved":
        order = sorted(range(R), key=order.__getitem__)
    return weight[[*order, *range(R, rows)]]
