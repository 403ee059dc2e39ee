# Fault: adds eps to the root instead of under it.
# Rejected by: test_eps_stands_inside_the_root

import torch.nn.functional as F


def rms_norm(x, weight, eps=1e-5):
    wide = x.float()
    return (wide / (wide.square().mean(-1, keepdim=True).sqrt() + eps)).to(x.dtype) * weight


def swiglu(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


def feed_forward_block(x, norm_weight, w_gate, w_up, w_down, eps=1e-5):
    return x + swiglu(rms_norm(x, norm_weight, eps), w_gate, w_up, w_down)
