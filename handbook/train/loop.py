"""The training loop: a batch, a loss, a gradient, a step. Nothing is hidden and nothing is saved here.

Three things are handed in: where batches come from, what the loss is, what else happens after a step. One
comes out, a `Point` per step, so that whoever iterates decides what to show, when to save, and when to stop.

Axes: B sequences in a batch, T tokens in each.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

Batches = Callable[[int], tuple[Tensor, Tensor]]  # step -> inputs, targets [B, T]
Losses = dict[str, Tensor]  # scalars by name; "total" is what is minimised
Objective = Callable[[nn.Module, Tensor, Tensor], Losses]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How to train, in numbers. rate: peak learning rate, reached after `warmup` steps; floor: share of it
    that is left at the last step; decay: of weights, per unit of rate; clip: largest norm of all gradients
    together.
    """

    steps: int
    rate: float
    warmup: int
    floor: float = 0.1
    decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """What one step was like. step counts from 1; norm: of the gradients, before clipping; losses: by name,
    before the step; seconds: that it took."""

    step: int
    rate: float
    norm: float
    losses: dict[str, float]
    seconds: float


@dataclass
class State:
    """All that changes while training: what a checkpoint has to hold."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    curve: list[Point] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.curve)


def begin(model: nn.Module, config: TrainConfig) -> State:
    """A model and its optimizer before the first step.

    AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2). Vectors (norms, biases) don't decay.
    """
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.decay}, {"params": vectors, "weight_decay": 0.0}]
    return State(model, torch.optim.AdamW(groups, lr=config.rate, betas=config.betas, fused=True))


def rate_at(step: int, config: TrainConfig) -> float:
    """The learning rate of step 0, 1, ...: up in a line, down in half a cosine to `floor` of the peak.

    Loshchilov and Hutter 2016 (arXiv:1608.03983), equation 5, without restarts.
    """
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(config.steps - 1 - config.warmup, 1)
    low = config.floor * config.rate
    return low + (config.rate - low) * (1 + math.cos(math.pi * done)) / 2


def run(
    state: State,
    config: TrainConfig,
    batches: Batches,
    objective: Objective,
    after_step: Callable[[nn.Module], None] | None = None,
) -> Iterator[Point]:
    """Train from where the state is to config.steps; yields after each step, when the state is whole.

    Raises FloatingPointError where the loss is no finite number any more; the step is then not taken.
    """
    state.model.train()
    for step in range(state.step, config.steps):
        started = perf_counter()
        rate = rate_at(step, config)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        with repeatable():
            losses = objective(state.model, *batches(step))
            losses["total"].backward()  # type: ignore[no-untyped-call]  # torch's own is untyped
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
        values = {name: loss.item() for name, loss in losses.items()}
        if not math.isfinite(values["total"] + norm.item()):
            raise FloatingPointError(f"step {step + 1}: loss {values['total']}, gradient norm {norm.item()}")
        state.optimizer.step()
        state.optimizer.zero_grad()
        if after_step is not None:
            after_step(state.model)
        point = Point(step + 1, rate, norm.item(), values, perf_counter() - started)
        state.curve.append(point)
        yield point


@contextmanager
def repeatable() -> Iterator[None]:
    """Sums whose order threads would race for are taken in one order, so that two runs are equal bit for bit.

    With several threads torch adds up the gradient of an index in the order in which they come. Its switch
    also fills memory that nobody reads before writing it, which costs time and is turned off.
    """
    before = torch.are_deterministic_algorithms_enabled()
    switch: Any = torch.utils.deterministic  # its attribute is made at run time
    filling = switch.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    switch.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        switch.fill_uninitialized_memory = filling
