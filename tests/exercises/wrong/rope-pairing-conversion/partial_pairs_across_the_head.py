# Fault: with a partial rotary the halves are those of the head, i and i + D/2.
# Rejected by: test_partial_rotary_example


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
    order = list(range(D))
    for i in range(R // 2):
        for half in range(2):
            new, old = i + half * D // 2, 2 * i + half
            if to == "interleaved":
                new, old = old, new
            order[new] = old
    return weight[[h * D + i for h in range(heads) for i in order]]
