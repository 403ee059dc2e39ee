# Fault: reshaping alone: for heads of two rows the result is the argument's own memory.
# Rejected by: test_result_is_a_new_tensor

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
    split = (R // 2, 2) if to == "half-split" else (2, R // 2)
    per_head = weight.reshape(heads, D, *weight.shape[1:])
    turning = per_head[:, :R].reshape(heads, *split, *weight.shape[1:]).transpose(1, 2)
    turning = turning.reshape(heads, R, *weight.shape[1:])
    if R == D:
        return turning.reshape(weight.shape)
    return torch.cat((turning, per_head[:, R:]), dim=1).reshape(weight.shape)
