"""RMSNorm, SwiGLU and the residual block around them."""

import torch


def rms_norm(
    x: torch.Tensor,  # [..., C]
    weight: torch.Tensor,  # [C]
    eps: float = 1e-5,
) -> torch.Tensor:  # [..., C]
    raise NotImplementedError("write the norm")


def swiglu(
    x: torch.Tensor,  # [..., C]
    w_gate: torch.Tensor,  # [F, C]
    w_up: torch.Tensor,  # [F, C]
    w_down: torch.Tensor,  # [C, F]
) -> torch.Tensor:  # [..., C]
    raise NotImplementedError("write the gated network")


def feed_forward_block(
    x: torch.Tensor,  # [..., C]
    norm_weight: torch.Tensor,  # [C]
    w_gate: torch.Tensor,  # [F, C]
    w_up: torch.Tensor,  # [F, C]
    w_down: torch.Tensor,  # [C, F]
    eps: float = 1e-5,
) -> torch.Tensor:  # [..., C]
    raise NotImplementedError("put norm, network and residual together")
