# Fault: counts positions from 0 instead of using those given, which breaks decoding with a cache.
# Rejected by: test_positions_are_used_as_given

import torch


def rope(x, positions, theta=10000.0):
    D = x.shape[-1]
    if D % 2:
        raise ValueError("D must be even")
    places = torch.arange(len(positions)) if len(positions) > 1 else positions * 0
    angles = places[:, None].float() * theta ** (-torch.arange(0, D, 2).float() / D)
    cos, sin, (a, b) = angles.cos(), angles.sin(), x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)
