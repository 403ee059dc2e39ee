# Fault: squares in the dtype of x, which overflows in float16.
# Rejected by: test_half_precision_does_not_overflow

import torch.nn.functional as F


def rms_norm(x, weight, eps=1e-5):
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * weight


def swiglu(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


def feed_forward_block(x, norm_weight, w_gate, w_up, w_down, eps=1e-5):
    return x + swiglu(rms_norm(x, norm_weight, eps), w_gate, w_up, w_down)
