"""The handbook's own norm and gated network, with the weights given as arguments."""

import torch
from torch.func import functional_call

from handbook.model.layers import SwiGLU
from handbook.model.layers import rms_norm as norm


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """x [..., C], weight [C] -> [..., C]."""
    return norm(x, weight, eps)


def swiglu(
    x: torch.Tensor,  # [..., C]
    w_gate: torch.Tensor,  # [F, C]
    w_up: torch.Tensor,  # [F, C]
    w_down: torch.Tensor,  # [C, F]
) -> torch.Tensor:  # [..., C]
    """w_down (silu(w_gate x) * (w_up x))."""
    hidden, dim = w_gate.shape
    with torch.device("meta"):  # a shell without memory; the weights come from outside
        shell = SwiGLU(dim, hidden)
    weights = {"gate.weight": w_gate, "up.weight": w_up, "down.weight": w_down}
    return functional_call(shell, weights, (x,))


def feed_forward_block(
    x: torch.Tensor,  # [..., C]
    norm_weight: torch.Tensor,  # [C]
    w_gate: torch.Tensor,  # [F, C]
    w_up: torch.Tensor,  # [F, C]
    w_down: torch.Tensor,  # [C, F]
    eps: float = 1e-5,
) -> torch.Tensor:  # [..., C]
    """Pre-norm and residual."""
    return x + swiglu(rms_norm(x, norm_weight, eps), w_gate, w_up, w_down)
