# Fault: SiLU goes on the up branch instead of the gate.
# Rejected by: test_swiglu_of_the_example

import torch.nn.functional as F


def rms_norm(x, weight, eps=1e-5):
    wide = x.float()
    return (wide * (wide.square().mean(-1, keepdim=True) + eps).rsqrt()).to(x.dtype) * weight


def swiglu(x, w_gate, w_up, w_down):
    return ((x @ w_gate.T) * F.silu(x @ w_up.T)) @ w_down.T


def feed_forward_block(x, norm_weight, w_gate, w_up, w_down, eps=1e-5):
    return x + swiglu(rms_norm(x, norm_weight, eps), w_gate, w_up, w_down)
