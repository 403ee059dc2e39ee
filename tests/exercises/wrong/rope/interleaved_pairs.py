# Fault: neighbouring coordinates are paired instead of the two halves.
# Rejected by: test_pairs_are_half_split

import torch


def rope(x, positions, theta=10000.0):
    D = x.shape[-1]
    if D % 2:
        raise ValueError("D must be even")
    angles = positions[:, None].float() * theta ** (-torch.arange(0, D, 2).float() / D)
    cos, sin, (a, b) = angles.cos(), angles.sin(), (x.float()[..., 0::2], x.float()[..., 1::2])
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2).to(x.dtype)
