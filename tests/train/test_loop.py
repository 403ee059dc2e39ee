"""The loop: it learns, it follows its schedule, and what it is told not to do it doesn't."""

import math
from itertools import islice, pairwise

import pytest
import torch
from torch import nn

from handbook.errors import Diverged
from handbook.train.characters import Windows
from handbook.train.loop import TrainConfig, begin, rate_at, run
from handbook.train.mixture import NextToken, language_loss
from handbook.train.runs import train
from tests.train.conftest import TINY, tiny_run

CONFIG = TrainConfig(steps=100, rate=1.0, warmup=10, floor=0.1)


def total(model: nn.Module, micro: Windows) -> dict[str, torch.Tensor]:
    return {"total": model(micro.tokens).sum()}


def test_the_rate_rises_and_falls() -> None:
    rates = [rate_at(step, CONFIG) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.1)
    assert rates[54] == pytest.approx(0.55, abs=0.02)
    assert all(a >= b for a, b in pairwise(rates[10:]))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_have_rates(steps: int) -> None:
    config = TrainConfig(steps=steps, rate=1.0, warmup=1)
    assert all(0 < rate_at(step, config) <= 1 for step in range(steps))


def test_the_first_step_is_that_of_the_paper() -> None:
    """AdamW by hand: decayed weights less rate * m / (sqrt(v) + eps), m and v without bias at step one."""
    model = nn.Linear(2, 1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    config = TrainConfig(steps=10, rate=0.1, warmup=1, decay=0.5, clip=math.inf)
    state = begin(model, config)
    x = torch.tensor([[1.0, -2.0]])
    next(run(state, config, lambda step: [Windows(x, x)], total))
    wanted = before["weight"] * (1 - 0.1 * 0.5) - 0.1 * torch.sign(x)
    assert torch.allclose(model.weight, wanted, atol=1e-6)
    assert torch.allclose(model.bias, before["bias"] - 0.1, atol=1e-6), "vectors do not decay"


def test_gradients_are_clipped_together() -> None:
    model = nn.Linear(3, 2, bias=False)
    seen = []
    hook = torch.optim.SGD(model.parameters(), lr=0.0)
    hook.register_step_pre_hook(lambda *_: seen.append(model.weight.grad.norm().item()))
    state = begin(model, CONFIG)
    state.optimizer = hook
    big = torch.full((1, 3), 100.0)
    point = next(run(state, CONFIG, lambda step: [Windows(big, big)], total))
    assert seen == [pytest.approx(1.0)]
    assert point.norm == pytest.approx(100 * math.sqrt(6)), "what is reported is the norm before"


def test_a_loss_that_is_no_number_stops_before_the_step() -> None:
    model = nn.Linear(1, 1)
    before = model.weight.detach().clone()
    state = begin(model, CONFIG)
    nan = torch.tensor([[math.nan]])
    with pytest.raises(Diverged, match="Step 1, micro-batch 1 of 1: the loss is nan"):
        next(run(state, CONFIG, lambda step: [Windows(nan, nan)], total))
    assert torch.equal(model.weight, before)
    assert state.step == 0


@pytest.mark.parametrize("name", ["dense", "mixture", "mixture-bias"])
def test_loss_falls(name: str, corpus) -> None:
    found = train(tiny_run(name, steps=60), corpus)
    first = found.curve[0].losses["text"]
    assert first == pytest.approx(math.log(len(corpus.tokenizer)), rel=0.5)
    assert found.curve[-1].losses["text"] < first - 1
    assert found.held_out.loss < first - 1


@pytest.mark.parametrize("name", ["dense", "mixture"])
def test_one_batch_is_learnt_by_heart(name: str, corpus) -> None:
    plan = tiny_run(name, steps=300)
    state = plan.start()
    batch = Windows(corpus.train[:64].view(4, 16), corpus.train[1:65].view(4, 16))
    for _ in run(state, plan.schedule, lambda step: [batch], NextToken()):
        pass
    assert language_loss(state.model, *batch).item() < 0.1


def test_stopping_in_between_loses_nothing(corpus) -> None:
    """The generator yields whole steps: taking them in two pieces is taking them in one."""
    from handbook.train.characters import batch_at

    def batches(step: int):
        return [batch_at(corpus.train, 0, step, TINY.batch, TINY.length)]

    plan = tiny_run("mixture", steps=8)
    one, two = plan.start(), plan.start()
    whole = [p.losses for p in run(one, plan.schedule, batches, NextToken(0.01, 0.001))]
    parts = [p.losses for p in islice(run(two, plan.schedule, batches, NextToken(0.01, 0.001)), 3)]
    parts += [p.losses for p in run(two, plan.schedule, batches, NextToken(0.01, 0.001))]
    assert whole == parts
    made = [{**p.losses} for p in train(plan, corpus).curve]
    assert made == whole, "a run's batches are those of its seed and step"
