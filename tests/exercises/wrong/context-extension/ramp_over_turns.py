# Fault: The paper's ramp over the number of turns, where the one of the code is asked for.
# Rejected by: test_ramp_runs_over_the_index_of_the_pair

import math

import torch


def ntk_base(dim, theta, factor):
    if dim < 4 or dim % 2 or factor < 1:
        raise ValueError("sizes that cannot be")
    return theta * factor ** (dim / (dim - 2))


def yarn(dim, theta, factor, context, slow=1.0, fast=32.0):
    if dim < 4 or dim % 2 or factor < 1:
        raise ValueError("sizes that cannot be")
    trained = theta ** (-torch.arange(0, dim, 2) / dim)
    turns = context * trained / (2 * math.pi)
    squeeze = 1 - ((turns - slow) / (fast - slow)).clamp(0, 1)
    return trained * (1 - squeeze) + trained / factor * squeeze, 0.1 * math.log(factor) + 1
