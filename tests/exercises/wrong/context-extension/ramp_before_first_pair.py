# Fault: First is not clamped to 0, so pair 0 is squeezed in a short context.
# Rejected by: test_ramp_does_not_begin_before_the_first_pair

import math

import torch


def ntk_base(dim, theta, factor):
    if dim < 4 or dim % 2 or factor < 1:
        raise ValueError("sizes that cannot be")
    return theta * factor ** (dim / (dim - 2))


def yarn(dim, theta, factor, context, slow=1.0, fast=32.0):
    if dim < 4 or dim % 2 or factor < 1:
        raise ValueError("sizes that cannot be")
    pairs = dim // 2

    def index(turns):
        return pairs * math.log(context / (2 * math.pi * turns)) / math.log(theta)

    first = math.floor(index(fast))
    last = min(math.ceil(index(slow)), dim - 1)
    squeeze = ((torch.arange(pairs) - first) / (last - first)).clamp(0, 1)
    trained = theta ** (-torch.arange(0, dim, 2) / dim)
    return trained * (1 - squeeze) + trained / factor * squeeze, 0.1 * math.log(factor) + 1
