# Fault: adds the branch to the normalised input instead of the input.
# Rejected by: test_block_adds_the_input_unnormalised

import torch.nn.functional as F


def rms_norm(x, weight, eps=1e-5):
    wide = x.float()
    return (wide * (wide.square().mean(-1, keepdim=True) + eps).rsqrt()).to(x.dtype) * weight


def swiglu(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


def feed_forward_block(x, norm_weight, w_gate, w_up, w_down, eps=1e-5):
    x = rms_norm(x, norm_weight, eps)
    return x + swiglu(x, w_gate, w_up, w_down)
