"""Training a mixture of experts: the losses that keep its experts busy, the bias that does it without, and
what the routers do on text that was held out.

Axes: B sequences, T tokens in each, V vocabulary, E experts.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.model.moe import MoE, watch
from handbook.model.routing import dropped_share
from handbook.train.characters import Windows, windows
from handbook.train.loop import Losses


def mixtures(model: nn.Module) -> list[MoE]:
    """The mixture layers of a model, first to last."""
    return [layer for layer in model.modules() if isinstance(layer, MoE)]


def language_loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log-likelihood of the next token, in nats: inputs, targets [B, T] -> scalar."""
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


@dataclass(frozen=True, slots=True)
class NextToken:
    """The objective: `language_loss`, and for a mixture its routers' losses, each the mean over layers.

    balance, z: their weights in the total (Fedus et al. 2021, arXiv:2101.03961, section 2.2, and Zoph et al.
    2022, arXiv:2202.08906, section 3.3, chose 0.01 and 0.001). A weight of 0 still reports the loss.
    """

    balance: float = 0.0
    z: float = 0.0

    def __call__(self, model: nn.Module, micro: Windows) -> Losses:
        text = language_loss(model, micro.tokens, micro.targets)
        routings = [r for layer in mixtures(model) if (r := layer.last_routing) is not None]
        if not routings:
            return {"total": text, "text": text}
        balance = torch.stack([routing.balance_loss for routing in routings]).mean()
        z = torch.stack([routing.z_loss for routing in routings]).mean()
        return {
            "total": text + self.balance * balance + self.z * z,
            "text": text,
            "balance": balance,
            "z": z,
        }


@dataclass(frozen=True, slots=True)
class Rebalance:
    """After a step: every router's selection bias moves by `step` towards an even load."""

    step: float

    def __call__(self, model: nn.Module) -> None:
        for layer in mixtures(model):
            assert layer.last_routing is not None, "rebalancing comes after a training step"
            layer.router.rebalance(layer.last_routing.load, self.step)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A model on text that it never saw. loss: nats per token. loads [layers][E]: share of the assignments of
    each expert, empty for a dense model; dropped: share of all assignments that would find no room."""

    loss: float
    loads: tuple[tuple[float, ...], ...] = ()
    dropped: float = 0.0

    @property
    def busiest(self) -> float | None:
        """Load of the busiest expert over the mean, in the worst layer; None for a dense model."""
        return max((max(load) * len(load) for load in self.loads), default=None)


@torch.no_grad()
def held_out(model: nn.Module, ids: Tensor, batch: int, length: int, capacity: float = 1.25) -> HeldOut:
    """Read ids [N] once, `batch` windows of `length` at a time. capacity: factor for `dropped`, which counts
    each batch by itself, as a training step would."""
    training = model.training
    model.eval()
    losses, tokens, drops = 0.0, 0, []
    loads: list[Tensor] = []
    try:
        with watch(model) as seen:
            for inputs, targets in windows(ids, batch, length):
                losses += language_loss(model, inputs, targets).item() * targets.numel()
                tokens += targets.numel()
                drops += [dropped_share(routing.load.numpy(), capacity) for routing in seen]
                batch_loads = [routing.load for routing in seen]
                loads = [a + b for a, b in zip(loads, batch_loads, strict=True)] if loads else batch_loads
                seen.clear()
    finally:
        model.train(training)
    shares = tuple(tuple((load / load.sum()).tolist()) for load in loads)
    return HeldOut(losses / tokens, shares, sum(drops) / len(drops) if drops else 0.0)
