# Fault: angles are computed in the dtype of x.
# Rejected by: test_half_precision_turns_by_exact_angles

import torch


def rope(x, positions, theta=10000.0):
    D = x.shape[-1]
    if D % 2:
        raise ValueError("D must be even")
    frequencies = (theta ** (-torch.arange(0, D, 2).float() / D)).to(x.dtype)
    angles = positions[:, None].to(x.dtype) * frequencies
    cos, sin, (a, b) = angles.cos(), angles.sin(), x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
