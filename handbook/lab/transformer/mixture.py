"""Mixture of experts by numbers: the load that chance alone makes, and the two ways to run experts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handbook.lab import kit
from handbook.model import routing
from handbook.model.moe import MoE, run_grouped, run_plain
from handbook.model.routing import Gate

Run = Callable[..., Tensor]
WIDTH = 32  # of the lab's own small mixture


def fair_loads(small: bool) -> list[NDArray[np.int64]]:
    """Loads [64] of the experts when 1,024 tokens choose 2 each, all experts equally likely, per seed."""
    draws = (np.random.default_rng(seed).standard_normal((1024, 64)) for seed in range(20 if small else 200))
    return [routing.expert_load(routing.route(logits, 2), 64) for logits in draws]


def moe_drop_at_capacity_one(small: bool = True) -> list[float]:
    return [routing.dropped_share(load, 1.0) for load in fair_loads(small)]


def moe_drop_at_capacity_125(small: bool = True) -> list[float]:
    return [routing.dropped_share(load, 1.25) for load in fair_loads(small)]


def moe_hottest_expert(small: bool = True) -> list[float]:
    return [float(load.max() / load.mean()) for load in fair_loads(small)]


def layer_and_tokens(tokens: int = 256, seed: int = 0) -> tuple[MoE, Tensor]:
    """256 fine-grained experts of 128 x 32, 8 a token, and Gaussian tokens [tokens, 128].

    `bench/moe.py` measures any sizes; fewer and wider experts gain less.
    """
    torch.manual_seed(seed)
    return MoE(128, 32, experts=256, k=8), torch.randn(tokens, 128)


def forward(run: Run, layer: MoE, x: Tensor) -> Tensor:
    e = layer.experts
    return run(x, layer.router(x), e.gate, e.up, e.down)


def train_step(run: Run, layer: MoE, x: Tensor) -> list[Tensor]:
    """Output, and gradients of its mean square by tokens and by every weight. Inside `kit.quiet` too."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.clone().requires_grad_()
        y = forward(run, layer, leaf)
        gradients = torch.autograd.grad(y.square().mean(), [leaf, *layer.parameters()])
    return [y.detach(), *gradients]


def moe_grouped_error(small: bool = True) -> list[float]:
    """Largest difference over the largest value, of the output and each gradient, the worst; per seed."""
    errors = []
    for seed in range(1 if small else 5):
        found = (train_step(run, *layer_and_tokens(seed=seed)) for run in (run_plain, run_grouped))
        pairs = zip(*found, strict=True)
        errors.append(max(((a - b).abs().max() / a.abs().max()).item() for a, b in pairs))
    return errors


def moe_grouped_speedup(small: bool = True) -> list[float]:
    plain, grouped = (partial(forward, run, *layer_and_tokens()) for run in (run_plain, run_grouped))
    return kit.paired(plain, grouped, 9 if small else 21, inner=2)


def moe_grouped_decode_speedup(small: bool = True) -> list[float]:
    plain, grouped = (partial(forward, run, *layer_and_tokens(tokens=1)) for run in (run_plain, run_grouped))
    return kit.paired(plain, grouped, 9 if small else 21, inner=4)


def moe_grouped_train_speedup(small: bool = True) -> list[float]:
    plain, grouped = (partial(train_step, run, *layer_and_tokens()) for run in (run_plain, run_grouped))
    return kit.paired(plain, grouped, 2 if small else 15, warm=not small)


def common_tokens(tokens: int, skew: float, seed: int) -> Tensor:
    """Gaussian tokens [tokens, 32] plus `skew` times one direction that all have in common, so that an
    untrained router prefers some experts for all of them."""
    draw = torch.Generator().manual_seed(seed)
    common = torch.randn(WIDTH, generator=torch.Generator().manual_seed(1))
    return torch.randn(tokens, WIDTH, generator=draw) + skew * common


def small_mixture(experts: int, k: int, gate: Gate) -> MoE:
    """An untrained mixture over `common_tokens`, whose router can be rebalanced."""
    torch.manual_seed(0)
    return MoE(WIDTH, 4, experts, k, gate=gate, selection_bias=True).eval()


def rebalance(layer: MoE, skew: float, steps: int, step: float, tokens: int = 512) -> None:
    """Route a new batch and move the selection bias, `steps` times."""
    for seed in range(steps):
        layer.router.rebalance(layer.router(common_tokens(tokens, skew, seed + 1)).load, step)


@torch.no_grad()
def dropped_by_factor(layer: MoE, x: Tensor, factors: Sequence[float]) -> list[tuple[float, float]]:
    """(capacity factor, share of the assignments that find no room). Leaves the layer without a factor."""
    shares = []
    for factor in factors:
        layer.router.capacity_factor = factor
        _, routing = layer.routed(x)
        shares.append((factor, routing.dropped / routing.experts.numel()))
    layer.router.capacity_factor = None
    return shares


@dataclass(frozen=True)
class Routed:
    """What a layer does with 512 tokens. load [E]: assignments by expert. dropped: `dropped_by_factor`."""

    load: list[int]
    dropped: list[tuple[float, float]]

    @property
    def busiest(self) -> float:
        """Largest load over the mean."""
        return max(self.load) * len(self.load) / sum(self.load)


def before_and_after(
    experts: int, k: int, gate: Gate, skew: float, steps: int, step: float
) -> dict[str, Routed]:
    """One untrained mixture on the same held-out tokens, before and after its bias moved `steps` times.

    step: of the bias, in thousandths.
    """
    layer, x = small_mixture(experts, k, gate), common_tokens(512, skew, seed=0)
    found = {}
    for name, moves in (("before", 0), ("after balancing", steps)):
        rebalance(layer, skew, moves, step / 1000)
        found[name] = Routed(
            layer.router(x).load.tolist(), dropped_by_factor(layer, x, [n / 10 for n in range(10, 41)])
        )
    return found
