"""Mixture of experts: many networks in place of one, of which each token passes through k.

Three ways to the same numbers. `run_plain` writes out Shazeer et al. 2017 (arXiv:1701.06538), equation 1:
each expert in turn looks for the tokens that chose it. `run_grouped` sorts the assignments by expert once, so
that each expert finds its tokens in one piece. `run_fused` gives all pieces to torch's grouped product in one
call. Tests hold them equal; `bench/moe.py` says how much faster.

Axes: B batch, T tokens in a sequence, N = B * T tokens, C width, E experts, F hidden width of one, k experts
for each token.

Book: architectures/transformer-deep-dive
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.model.layers import SwiGLU
from handbook.model.router import Router, Routing
from handbook.model.routing import Switches, router_faults


def swiglu(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """One expert: x [n, C]; gate, up [F, C]; down [C, F] -> [n, C]. As `SwiGLU`, its weights given."""
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


def run_plain(x: Tensor, routing: Routing, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """sum_i g_i(x) E_i(x), an expert at a time: x [N, C]; gate, up [E, F, C]; down [E, C, F] -> [N, C]."""
    out = torch.zeros_like(x)
    for expert in range(len(gate)):
        token, choice = (routing.kept & (routing.experts == expert)).nonzero(as_tuple=True)
        y = swiglu(x[token], gate[expert], up[expert], down[expert])
        out = out.index_add(0, token, y * routing.weights[token, choice, None].to(y.dtype))
    return out


def dispatch(x: Tensor, routing: Routing, run: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Sort by expert, run each on its tokens in one piece, scatter back: x [N, C] -> [N, C].

    run(expert, rows [n, C]) -> [n, C] is called once for each expert that has tokens, in the order of
    experts. Nothing is padded, and nothing dropped that the routing kept: the idea of MegaBlocks (Gale et al.
    2022, arXiv:2211.15841, section 5), without its kernels.
    """
    E, k = routing.logits.shape[1], routing.experts.shape[1]
    expert = routing.experts.masked_fill(~routing.kept, E).flatten()  # dropped: past the last expert
    order = expert.argsort(stable=True)
    counts = expert.bincount(minlength=E + 1)[:E].tolist()
    order = order[: sum(counts)]  # assignment n * k + j, grouped by expert
    token = order // k
    pieces = torch.split(x[token], counts)
    done = [run(e, piece) for e, piece in enumerate(pieces) if len(piece)]
    if not done:
        return torch.zeros_like(x)
    y = torch.cat(done)
    return torch.zeros_like(x).index_add(0, token, y * routing.weights.flatten()[order, None].to(y.dtype))


def run_grouped(x: Tensor, routing: Routing, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """`run_plain` by way of `dispatch`: x [N, C]; gate, up [E, F, C]; down [E, C, F] -> [N, C]."""
    # unbind, not gate[e]: the gradient of an index is as large as all experts together, once for each of them
    weights = list(zip(gate.unbind(), up.unbind(), down.unbind(), strict=True))
    return dispatch(x, routing, lambda expert, rows: swiglu(rows, *weights[expert]))


def run_fused(x: Tensor, routing: Routing, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """`run_grouped` with one call for each of the three products: torch's kernel takes the experts' matrices
    stacked, and where each expert's rows end. x [N, C]; gate, up [E, F, C]; down [E, C, F] -> [N, C]."""
    E, k = routing.logits.shape[1], routing.experts.shape[1]
    expert = routing.experts.masked_fill(~routing.kept, E).flatten()
    order = expert.argsort(stable=True)
    ends = expert.bincount(minlength=E + 1)[:E].cumsum(0)
    order = order[: int(ends[-1])]
    if not len(order):
        return torch.zeros_like(x)
    product = partial(F.grouped_mm, offs=ends.to(torch.int32))
    rows = x[order // k]
    hidden = F.silu(product(rows, gate.transpose(1, 2))) * product(rows, up.transpose(1, 2))
    y = product(hidden, down.transpose(1, 2)) * routing.weights.flatten()[order, None].to(x.dtype)
    return torch.zeros_like(x).index_add(0, order // k, y)


def fusible(x: Tensor, gate: Tensor) -> bool:
    """Whether torch's grouped product takes these: rows that fill 16 bytes, on a GPU in bfloat16."""
    aligned = all(size * x.dtype.itemsize % 16 == 0 for size in gate.shape[1:])
    return aligned and x.dtype == gate.dtype and (not x.is_cuda or x.dtype == torch.bfloat16)


class Experts(nn.Module):
    """E networks like `SwiGLU`, their weights stacked: gate, up [E, F, C] and down [E, C, F]; no biases."""

    def __init__(self, experts: int, dim: int, hidden_dim: int) -> None:
        super().__init__()
        bound_in, bound_out = dim**-0.5, hidden_dim**-0.5  # as nn.Linear starts
        self.gate = nn.Parameter(torch.empty(experts, hidden_dim, dim).uniform_(-bound_in, bound_in))
        self.up = nn.Parameter(torch.empty(experts, hidden_dim, dim).uniform_(-bound_in, bound_in))
        self.down = nn.Parameter(torch.empty(experts, dim, hidden_dim).uniform_(-bound_out, bound_out))

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        run = run_fused if fusible(x, self.gate) else run_grouped
        return run(x, routing, self.gate, self.up, self.down)


class MoE(nn.Module):
    """Routed experts, and shared ones that every token passes: [..., C] -> [..., C], in place of `SwiGLU`.

    Args:
        dim: width C.
        hidden_dim: hidden width F of one routed expert.
        experts, k, switches: see `Router`.
        shared_hidden_dim: hidden width of all shared experts together, 0 for none; n of them side by side
            are one network of n times the width (DeepSeekMoE, Dai et al. 2024, arXiv:2401.06066, eq. 9).
        shared_gate: weigh the shared output by a sigmoid of the token (Qwen2-MoE).

    Raises ValueError that names all numbers that cannot be. In training `last_routing` keeps the routing of
    the last call, for its losses and load; in inference the layer keeps nothing, and `routed` or `watch` give
    the same record.
    """

    last_routing: Routing | None

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        experts: int,
        k: int,
        *,
        shared_hidden_dim: int = 0,
        shared_gate: bool = False,
        **switches: Unpack[Switches],
    ) -> None:
        super().__init__()
        faults = router_faults(experts, k, **switches)
        if dim < 1 or hidden_dim < 1 or shared_hidden_dim < 0:
            faults.append(f"widths must be positive, got {dim}, {hidden_dim} and shared {shared_hidden_dim}")
        if shared_gate and not shared_hidden_dim:
            faults.append("shared_gate needs a shared expert, got shared_hidden_dim = 0")
        if faults:
            raise ValueError("; ".join(faults))
        self.router = Router(dim, experts, k, **switches)
        self.experts = Experts(experts, dim, hidden_dim)
        self.shared = SwiGLU(dim, shared_hidden_dim) if shared_hidden_dim else None
        self.shared_gate = nn.Linear(dim, 1, bias=False) if shared_gate else None
        self.last_routing = None

    def forward(self, x: Tensor) -> Tensor:
        y, routing = self.routed(x)
        if self.training:
            self.last_routing = routing
        return y

    def routed(self, x: Tensor) -> tuple[Tensor, Routing]:
        """The layer's output [..., C] and how its tokens were routed, in the order of x's leading axes."""
        tokens = x.reshape(-1, x.shape[-1])  # [N, C]
        routing: Routing = self.router(tokens)
        y = self.experts(tokens, routing)
        if self.shared is not None:
            always = self.shared(tokens)
            y = y + (always if self.shared_gate is None else self.shared_gate(tokens).sigmoid() * always)
        return y.view_as(x), routing

    def train(self, mode: bool = True) -> "MoE":
        """As nn.Module's; leaving training lets go of the last routing and the graph it holds."""
        if not mode:
            self.last_routing = None
        return super().train(mode)


@contextmanager
def watch(model: nn.Module) -> Iterator[list[Routing]]:
    """Collects the routing of each mixture layer that runs inside the block, as they run."""
    seen: list[Routing] = []
    layers = [module for module in model.modules() if isinstance(module, Router)]
    hooks = [layer.register_forward_hook(lambda _layer, _x, out: seen.append(out)) for layer in layers]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def split_experts(hidden_dim: int, experts: int, k: int, pieces: int) -> tuple[int, int, int]:
    """Fine-grained experts of the same cost: `pieces` times as many, each that much narrower, and as many
    times more of them for each token. Returns hidden_dim, experts, k.

    Dai et al. 2024 (arXiv:2401.06066), section 3.1. Parameters and FLOPs stay, the router's apart. Raises
    ValueError where hidden_dim doesn't divide.
    """
    if pieces < 1 or hidden_dim % pieces:
        raise ValueError(f"pieces must divide the hidden width, got {hidden_dim} in {pieces} pieces")
    return hidden_dim // pieces, pieces * experts, pieces * k
