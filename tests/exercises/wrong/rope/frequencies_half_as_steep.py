# Fault: the exponent is i / D instead of 2i / D.
# Rejected by: test_worked_example

import torch


def rope(x, positions, theta=10000.0):
    D = x.shape[-1]
    if D % 2:
        raise ValueError("D must be even")
    angles = positions[:, None].float() * theta ** (-torch.arange(D // 2).float() / D)
    cos, sin, (a, b) = angles.cos(), angles.sin(), x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)
