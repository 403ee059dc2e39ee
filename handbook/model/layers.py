"""What stands around attention: normalisation, and the network of every block. Plain numbers, no configs.

Axes: C width, F hidden width.

Book: architectures/transformer-deep-dive
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / rms(x) * weight over the last axis: x [..., C], weight [C] -> [..., C].

    Zhang and Sennrich 2019 (arXiv:1910.07467), equation 4. The mean square is taken in fp32, whatever x is.
    """
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)
    return wide.to(x.dtype) * weight


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """(x - mean) / std * weight + bias over the last axis. Ba et al. 2016 (arXiv:1607.06450), equation 4."""
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(dim=-1, keepdim=True) + eps) * weight + bias


class RMSNorm(nn.Module):
    """`rms_norm` with a learned weight [C]."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


class OffsetRMSNorm(nn.Module):
    """RMSNorm whose weight [C] is stored less one, so that weight decay pulls it to 1: Gemma
    (arXiv:2403.08295).

    The product is taken in fp32, then rounded, where RMSNorm rounds first.
    """

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x.float(), 1.0 + self.weight.float(), self.eps).to(x.dtype)


class LayerNorm(nn.Module):
    """`layer_norm` with learned weight and bias [C], through torch's kernel."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)): [..., C] -> [..., C]. Shazeer 2020 (arXiv:2002.05202), equation 6."""

    def __init__(self, dim: int, hidden_dim: int, bias: bool = False) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, hidden_dim, bias=bias)
        self.up = nn.Linear(dim, hidden_dim, bias=bias)
        self.down = nn.Linear(hidden_dim, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]


class GeGLU(SwiGLU):
    """down(gelu(gate(x)) * up(x)), gelu in its tanh form: Gemma. Shazeer 2020, equation 6 again."""

    def forward(self, x: Tensor) -> Tensor:
        gate = F.gelu(self.gate(x), approximate="tanh")
        return self.down(gate * self.up(x))  # type: ignore[no-any-return]


class GeluMLP(nn.Module):
    """down(gelu(up(x))): [..., C] -> [..., C], the network of BERT; gelu in its exact, erf form, or with
    approximate="tanh" in the form of GPT-2 and Phi.

    Hendrycks and Gimpel 2016 (arXiv:1606.08415), section 2.
    """

    def __init__(self, dim: int, hidden_dim: int, bias: bool = True, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate
        self.up = nn.Linear(dim, hidden_dim, bias=bias)
        self.down = nn.Linear(hidden_dim, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x), approximate=self.approximate))  # type: ignore[no-any-return]
