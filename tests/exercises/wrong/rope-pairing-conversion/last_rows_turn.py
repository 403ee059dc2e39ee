# Fault: the last R rows of a head are reordered, not the first.
# Rejected by: test_partial_rotary_equals_the_definition

import torch


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
    per_head = weight.reshape(heads, D, *weight.shape[1:])
    split = (R // 2, 2) if to == "half-split" else (2, R // 2)
    turning = per_head[:, D - R :].reshape(heads, *split, *weight.shape[1:]).transpose(1, 2)
    kept = per_head[:, : D - R]
    return torch.cat((kept, turning.reshape(heads, R, *weight.shape[1:])), dim=1).reshape(weight.shape)
