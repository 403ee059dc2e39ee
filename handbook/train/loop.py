"""The training loop: micro-batches, a loss, a gradient, a step. Nothing is hidden and nothing is saved here.

Handed in: where micro-batches come from, what the loss is, what else happens after a step, what is measured
now and then. One thing comes out, a `Point` per step, so that whoever iterates decides what to show, when to
save, and when to stop. Everything trains through it: models from nothing, fine-tuning, preference pairs.

A step's gradient is that of one loss, the mean over all that its micro-batches count: each one's own mean
takes part by its share of the whole (its `weight`), so cutting a batch finer changes memory, not the result.

Book: model-training/fine-tuning-strategies
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from handbook.errors import Diverged, HandbookError
from handbook.train import distributed, optimizers, schedules
from handbook.train.config import TrainConfig as TrainConfig
from handbook.train.context import lowered as lowered
from handbook.train.context import random_state, repeatable, set_random_state


class Micro(Protocol):
    """What is read at once. weight: how much of the batch it counts for, the tokens or pairs that its loss is
    the mean of. Where it has `tokens`, a tensor, that is what is read, and counted for the speed."""

    @property
    def weight(self) -> float: ...


M = TypeVar("M", bound=Micro)
Losses = dict[str, Tensor]  # scalars by name, each a mean; "total" is what is minimised
Objective = Callable[[nn.Module, M], Losses]
Batches = Callable[[int], Sequence[M]]  # step 0, 1, ... -> its micro-batches, of nothing but that number
Evaluate = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Point:
    """What one step was like. step counts from 1; norm: of the gradients, before clipping; losses: by name,
    before the step, and what was evaluated after it; seconds: that the step took; tokens: read in it."""

    step: int
    rate: float
    norm: float
    losses: dict[str, float]
    seconds: float
    tokens: int = 0


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
    """A model and its optimizer before the first step. What doesn't require a gradient stays as it is."""
    c = config
    return State(model, optimizers.optimizer_of(c.optimizer, model, c.rate, c.decay, c.betas))


def rate_at(step: int, config: TrainConfig) -> float:
    """The learning rate of step 0, 1, ...: see `schedules.rate`."""
    c = config
    return schedules.rate(c.schedule, step, c.steps, c.warmup, c.rate, c.floor * c.rate, c.cooldown)


def run(
    state: State,
    config: TrainConfig,
    batches: Batches[M],
    objective: Objective[M],
    after_step: Callable[[nn.Module], None] | None = None,
    evaluate: Evaluate | None = None,
    every: int = 0,
) -> Iterator[Point]:
    """Train from where the state is to config.steps; yields after each step, when the state is whole.

    evaluate: asked every `every` steps and after the last, of the model in evaluation mode and without
    gradients; what it says joins the point's losses. It leaves no trace on what comes after.

    Raises Diverged where a loss is no finite number any more; the step is then not taken.
    """
    for step in range(state.step, config.steps):
        point = advance(state, config, batches(step), objective, after_step)
        if evaluate is not None and every and (point.step % every == 0 or point.step == config.steps):
            point = replace(point, losses=point.losses | evaluated(state.model, evaluate))
            state.curve[-1] = point
        yield point


def advance(
    state: State,
    config: TrainConfig,
    micros: Sequence[M],
    objective: Objective[M],
    after_step: Callable[[nn.Module], None] | None = None,
) -> Point:
    """One step on these micro-batches, noted in the state's curve. Raises as `run`."""
    started = perf_counter()
    state.model.train()
    rate = rate_at(state.step, config)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    random = random_state()
    values = gradients(state, config, micros, objective)
    norm = distributed.number(nn.utils.clip_grad_norm_(state.model.parameters(), config.clip))
    if not math.isfinite(norm):
        set_random_state(random)
        raise diverged(state, config, micros, objective, norm)
    state.optimizer.step()
    state.optimizer.zero_grad()
    if after_step is not None:
        after_step(state.model)
    tokens = sum(tokens_of(micro) for micro in micros)
    point = Point(state.step + 1, rate, norm, values, perf_counter() - started, tokens)
    state.curve.append(point)
    return point


def gradients(
    state: State, config: TrainConfig, micros: Sequence[M], objective: Objective[M]
) -> dict[str, float]:
    """Add the gradient of the whole batch's mean loss to the model's, and return the losses by name.

    A micro-batch in which nothing counts is not computed. Processes that train together take them in turns;
    where there is none left for one, it computes the last again, for nothing, because layers are gathered by
    all of them. Gradients are averaged over processes, so each counts `size` times.

    Raises Diverged at the first micro-batch whose loss is no finite number; the gradients are then gone.
    """
    whole = sum(micro.weight for micro in micros)
    if not whole > 0:
        raise HandbookError(
            f"Step {state.step + 1}: none of its {len(micros)} micro-batches has anything that counts.",
            "Look at the data: each batch needs an answer to learn.",
        )
    values: defaultdict[str, float] = defaultdict(float)
    counting = [(place, micro) for place, micro in enumerate(micros, 1) if micro.weight]
    team = distributed.team()
    for first in range(0, len(counting), team.size):
        turn = counting[first : first + team.size]
        _, micro = turn[min(team.rank, len(turn) - 1)]
        share = micro.weight / whole if team.rank < len(turn) else 0.0
        with repeatable(), lowered(state.model, config.precision):
            losses = distributed.compute(state.model, partial(_asked, objective, micro))
        for (place, _), loss in zip(turn, team.gathered(losses["total"].item()), strict=False):
            if not math.isfinite(loss):
                state.optimizer.zero_grad()
                raise Diverged(state.step + 1, place, len(micros), f"the loss is {loss}")
        with repeatable():
            (losses["total"] * (share * team.size)).backward()  # type: ignore[no-untyped-call]
        for name, value in losses.items():
            values[name] += share * value.item()
    return team.summed(values)


def _asked(objective: Objective[M], micro: M, model: nn.Module) -> Losses:
    return objective(model, micro)


def diverged(
    state: State, config: TrainConfig, micros: Sequence[M], objective: Objective[M], norm: float
) -> Diverged:
    """Which micro-batch's gradient is no finite number, found by computing each again, alone."""
    try:
        for place, micro in enumerate(micros, 1):
            state.optimizer.zero_grad()
            if micro.weight:
                gradients(state, config, [micro], objective)
                grads = [p.grad for p in state.model.parameters() if p.grad is not None]
                if not math.isfinite(distributed.number(nn.utils.get_total_norm(grads))):
                    return Diverged(state.step + 1, place, len(micros), "its gradient is no finite number")
        return Diverged(state.step + 1, None, len(micros), f"the gradient's norm is {norm}")
    finally:
        state.optimizer.zero_grad()


def tokens_of(micro: Micro) -> int:
    """What a micro-batch reads: its `tokens`, where it has such a tensor, else its weight."""
    tokens = getattr(micro, "tokens", None)
    return tokens.numel() if isinstance(tokens, Tensor) else round(micro.weight)


def evaluated(model: nn.Module, evaluate: Evaluate) -> dict[str, float]:
    """What `evaluate` says of the model; mode and random state are as before afterwards."""
    training, random = model.training, random_state()
    model.eval()
    try:
        with torch.no_grad():
            return dict(distributed.compute(model, evaluate))
    finally:
        model.train(training)
        set_random_state(random)
