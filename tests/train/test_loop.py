"""The loop: it learns, it follows its schedule, and what it is told not to do it doesn't."""

import math
from itertools import islice

import pytest
import torch
from torch import nn

from handbook.errors import Diverged, HandbookError
from handbook.train.characters import Windows
from handbook.train.loop import TrainConfig, advance, begin, evaluated, gradients, run
from handbook.train.mixture import NextToken, language_loss
from handbook.train.runs import train
from tests.train.conftest import TINY, tiny_run

CONFIG = TrainConfig(steps=100, rate=1.0, warmup=10, floor=0.1)


def total(model: nn.Module, micro: Windows) -> dict[str, torch.Tensor]:
    return {"total": model(micro.tokens).sum()}


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


def mean_square(model: nn.Module, micro: Windows) -> dict[str, torch.Tensor]:
    off = model(micro.tokens) - micro.targets
    return {"total": off.square().mean(), "size": off.abs().mean()}


def rows(*sizes: int) -> list[Windows]:
    """Micro-batches of so many rows, cut from the same rows for any cut."""
    random = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randn(sum(sizes), 3, generator=random, dtype=torch.float64) for _ in range(2))
    return [Windows(a, b) for a, b in zip(inputs.split(sizes), targets.split(sizes), strict=True)]


@pytest.mark.parametrize("sizes", [(1, 11), (5, 4, 3), (2,) * 6, (12,)])
def test_accumulated_micro_batches_are_the_whole_batch(sizes: tuple[int, ...]) -> None:
    """Of unequal weights, in fp64: gradients, reported losses, norm and the weights after the step."""

    def after(micros: list[Windows]) -> tuple[list[torch.Tensor], list[float]]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
        state = begin(model, CONFIG)
        gradients(state, CONFIG, micros, mean_square)
        found = [p.grad.clone() for p in model.parameters()]
        state.optimizer.zero_grad()
        point = advance(state, CONFIG, micros, mean_square)
        assert point.tokens == 36
        return found + list(model.parameters()), [point.norm, *point.losses.values()]

    tensors, numbers = after(rows(*sizes))
    whole_tensors, whole_numbers = after(rows(12))
    assert numbers == pytest.approx(whole_numbers, rel=1e-12)
    for a, b in zip(tensors, whole_tensors, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-14)


def test_a_batch_in_which_nothing_counts_is_an_error() -> None:
    empty = Windows(torch.zeros(0, 3), torch.zeros(0, 3))
    with pytest.raises(HandbookError, match="Step 1: none of its 2 micro-batches"):
        advance(begin(nn.Linear(3, 3), CONFIG), CONFIG, [empty, empty], mean_square)


def test_a_micro_batch_in_which_nothing_counts_is_left_out() -> None:
    """Its mean would be no number: 0 of 0."""
    empty = Windows(torch.zeros(0, 3).double(), torch.zeros(0, 3).double())
    state = begin(nn.Linear(3, 3).double(), CONFIG)
    point = advance(state, CONFIG, [empty, *rows(2, 1), empty], mean_square)
    assert math.isfinite(point.losses["total"])
    bad = rows(2, 1)
    bad[1].tokens[0, 0] = math.nan
    with pytest.raises(Diverged, match="Step 2, micro-batch 3 of 4"):
        advance(state, CONFIG, [empty, *bad, empty], mean_square)


def test_what_is_frozen_stays_and_has_no_state() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3)).double()
    model[0].requires_grad_(False)
    before = [p.clone() for p in model.parameters()]
    state = begin(model, CONFIG)
    advance(state, CONFIG, rows(4), mean_square)
    same = [torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert same == [True, True, False, False]
    assert len(state.optimizer.state) == 2
    with pytest.raises(ValueError, match="nothing to train"):
        begin(model.requires_grad_(False), CONFIG)


def test_evaluation_comes_when_due_and_leaves_no_trace() -> None:
    """A model with dropout that is evaluated, by something that draws numbers, trains as one that is not."""

    def points(every: int) -> list[dict[str, float]]:
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 3)).double()

        def evaluate(model: nn.Module) -> dict[str, float]:
            assert not model.training
            assert not torch.is_grad_enabled()
            return {"held_out": float(torch.rand(()))}

        config = TrainConfig(steps=7, rate=0.1, warmup=1)
        made = run(begin(model, config), config, lambda step: rows(3, 1), mean_square, None, evaluate, every)
        return [point.losses for point in made]

    found, without = points(3), points(0)
    assert ["held_out" in losses for losses in found] == [False, False, True, False, False, True, True]
    assert [losses["total"] for losses in found] == [losses["total"] for losses in without]
    assert not any("held_out" in losses for losses in without)
    assert len({losses["total"] for losses in without}) == 7, "dropout draws anew in each step"


def test_the_mode_comes_back_when_an_evaluation_fails() -> None:
    model = nn.Linear(1, 1).train()

    def fails(model: nn.Module) -> dict[str, float]:
        raise RuntimeError("no text")

    with pytest.raises(RuntimeError, match="no text"):
        evaluated(model, fails)
    assert model.training


def test_in_bf16_products_are_rough_and_weights_are_not() -> None:
    """The forward pass sees bf16, weights and gradients stay fp32, and the loss is near that of fp32."""
    seen = []

    def spy(model: nn.Module, micro: Windows) -> dict[str, torch.Tensor]:
        out = model(micro.tokens.float())
        seen.append(out.dtype)
        return {"total": (out.float() - micro.targets.float()).square().mean()}

    losses = {}
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        model = nn.Linear(3, 3)
        config = TrainConfig(steps=1, rate=0.1, warmup=0, precision=precision)
        losses[precision] = next(run(begin(model, config), config, lambda step: rows(8), spy)).losses["total"]
        assert model.weight.dtype == torch.float32
    assert seen == [torch.float32, torch.bfloat16]
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_the_micro_batch_that_came_to_no_number_is_named(bad: int) -> None:
    micros = rows(2, 2, 2)
    micros[bad].tokens[0, 0] = math.inf
    model = nn.Linear(3, 3).double()
    before = model.weight.detach().clone()
    state = begin(model, CONFIG)
    with pytest.raises(Diverged, match=f"Step 1, micro-batch {bad + 1} of 3: the loss is inf") as caught:
        advance(state, CONFIG, micros, mean_square)
    assert (caught.value.step, caught.value.micro, caught.value.micros) == (1, bad + 1, 3)
    assert "checkpoint stands" in caught.value.remedy
    assert torch.equal(model.weight, before)
    assert all(p.grad is None for p in model.parameters())
    assert (state.step, len(state.optimizer.state)) == (0, 0)


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_gradient_that_is_no_number_is_traced_to_its_micro_batch(bad: int) -> None:
    """The loss is a number, its slope is not, by a draw: the search has to draw the same numbers again."""
    torch.manual_seed(0)
    drawn = torch.rand(3)
    torch.manual_seed(0)

    def slope(model: nn.Module, micro: Windows) -> dict[str, torch.Tensor]:
        out, factor = model(micro.tokens), math.nan if torch.rand(()) == drawn[bad] else 1.0
        out.register_hook(lambda gradient: gradient * factor)
        return {"total": out.sum()}

    model = nn.Linear(3, 1).double()
    torch.manual_seed(0)
    with pytest.raises(Diverged, match=f"micro-batch {bad + 1} of 3: its gradient is no finite number"):
        advance(begin(model, CONFIG), CONFIG, rows(1, 1, 1), slope)


def test_where_the_search_finds_nothing_that_is_said() -> None:
    """A mean is no larger than its largest part, so this takes a gradient that is bad only once."""
    factors = iter([math.nan, 1.0, 1.0, 1.0])

    def once(model: nn.Module, micro: Windows) -> dict[str, torch.Tensor]:
        out = model(micro.tokens)
        out.register_hook(lambda gradient: gradient * next(factors))
        return {"total": out.sum()}

    with pytest.raises(Diverged, match="Step 1, all micro-batches together: the gradient's norm is nan"):
        advance(begin(nn.Linear(3, 1).double(), CONFIG), CONFIG, rows(1, 1), once)


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
