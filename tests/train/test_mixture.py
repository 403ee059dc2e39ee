"""Mixtures in training: losses reach the router, the bias moves as it should, held-out numbers are right."""

import math

import pytest
import torch
from torch import nn

from handbook.model.routing import dropped_share
from handbook.train.characters import batch_at, windows
from handbook.train.loop import begin, run
from handbook.train.mixture import HeldOut, NextToken, Rebalance, held_out, language_loss, mixtures
from handbook.train.runs import Run, train
from tests.train.conftest import TINY, tiny_run


def gradients(model: nn.Module, objective: NextToken, corpus) -> list[torch.Tensor]:
    model.train().zero_grad()
    objective(model, batch_at(corpus.train, 0, 0, TINY.batch, TINY.length))["total"].backward()
    return [layer.router.weight.grad.clone() for layer in mixtures(model)]


@pytest.mark.parametrize("term", ["balance", "z"])
def test_each_loss_reaches_every_router(term: str, corpus) -> None:
    model = tiny_run("mixture").start().model
    without = gradients(model, NextToken(), corpus)
    one = gradients(model, NextToken(**{term: 1.0}), corpus)
    two = gradients(model, NextToken(**{term: 2.0}), corpus)
    for none, single, double in zip(without, one, two, strict=True):
        assert (single - none).abs().max() > 1e-4
        assert torch.allclose(double - none, 2 * (single - none), atol=1e-6), "its weight is its weight"


def test_losses_are_the_mean_over_layers(corpus) -> None:
    model = tiny_run("mixture").start().model.train()
    batch = batch_at(corpus.train, 0, 0, TINY.batch, TINY.length)
    losses = NextToken(0.5, 0.25)(model, batch)
    routings = [layer.last_routing for layer in mixtures(model)]
    assert len(routings) == TINY.layers
    assert losses["balance"].item() == pytest.approx(sum(r.balance_loss.item() for r in routings) / 2)
    assert losses["z"].item() == pytest.approx(sum(r.z_loss.item() for r in routings) / 2)
    expected = losses["text"] + 0.5 * losses["balance"] + 0.25 * losses["z"]
    assert losses["total"].item() == pytest.approx(expected.item())


def test_a_dense_model_has_the_text_alone(corpus) -> None:
    model = tiny_run("dense").start().model.train()
    batch = batch_at(corpus.train, 0, 0, TINY.batch, TINY.length)
    losses = NextToken(0.5, 0.25)(model, batch)
    assert losses.keys() == {"total", "text"}
    assert losses["total"] is losses["text"]
    logits = model(batch[0])
    by_hand = -logits.log_softmax(-1).gather(-1, batch[1][..., None]).mean()
    assert losses["text"].item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_the_bias_moves_by_one_step_against_the_load(corpus) -> None:
    plan = tiny_run("mixture-bias")
    state = plan.start()
    batch = batch_at(corpus.train, 0, 0, TINY.batch, TINY.length)
    next(run(state, plan.schedule, lambda step: [batch], NextToken(), Rebalance(0.125)))
    for layer in mixtures(state.model):
        load = layer.last_routing.load.float()
        assert load.std() > 0
        assert torch.equal(layer.router.bias, 0.125 * (load.mean() - load).sign())


def test_weights_do_not_see_the_bias(corpus) -> None:
    """It is no parameter: the optimizer doesn't know it, and a checkpoint still holds it."""
    state = tiny_run("mixture-bias").start()
    assert not any("bias" in name for name, _ in state.model.named_parameters())
    assert sum("router.bias" in name for name in state.model.state_dict()) == TINY.layers


def test_without_a_step_the_bias_stays(corpus) -> None:
    plan = tiny_run("mixture")
    found = train(plan, corpus)
    assert all(layer.router.bias is None for layer in mixtures(found.model))
    moved = train(tiny_run("mixture-bias"), corpus)
    assert all(layer.router.bias.abs().max() >= 1e-3 for layer in mixtures(moved.model))


def test_held_out_is_the_mean_over_all_tokens(corpus) -> None:
    model = tiny_run("mixture").start().model
    found = held_out(model, corpus.held_out, 3, 16)
    model.eval()
    with torch.no_grad():
        pairs = list(windows(corpus.held_out, 1, 16))
        each = [language_loss(model, *pair).item() for pair in pairs]
    assert found.loss == pytest.approx(sum(each) / len(each), rel=1e-5)
    assert not model.training


def test_held_out_leaves_training_on_and_no_trace(corpus) -> None:
    model = tiny_run("mixture").start().model.train()
    held_out(model, corpus.held_out, 3, 16)
    assert model.training
    assert not any(layer.router._forward_hooks for layer in mixtures(model))


def test_loads_and_drops_of_a_router_that_sends_all_to_one_pair(corpus) -> None:
    model = tiny_run("mixture").start().model
    for layer in mixtures(model):
        layer.router.choose = lambda scores: torch.tensor([[0, 1]]).expand(len(scores), 2)
    found = held_out(model, corpus.held_out, 4, 16)
    assert found.loads == ((0.5, 0.5, 0.0, 0.0),) * TINY.layers
    assert found.busiest == 2.0
    rooms = [math.ceil(1.25 * 2 * inputs.numel() / 4) for inputs, _ in windows(corpus.held_out, 4, 16)]
    sizes = [inputs.numel() for inputs, _ in windows(corpus.held_out, 4, 16)]
    by_hand = [(2 * (size - room)) / (2 * size) for size, room in zip(sizes, rooms, strict=True)]
    assert found.dropped == pytest.approx(sum(by_hand) / len(by_hand))
    assert 0.3 < found.dropped < 0.38
    load = torch.tensor([64, 64, 0, 0]).numpy()
    assert dropped_share(load, 1.25) == pytest.approx((128 - 80) / 128)


def test_the_busiest_expert_is_that_of_the_worst_layer() -> None:
    assert HeldOut(1.0, ((0.25, 0.25, 0.25, 0.25), (0.1, 0.6, 0.2, 0.1), (0.3, 0.3, 0.2, 0.2))).busiest == 2.4


def test_a_dense_model_has_no_busiest_expert(corpus) -> None:
    found = held_out(tiny_run("dense").start().model, corpus.held_out, 4, 16)
    assert (found.loads, found.busiest, found.dropped) == ((), None, 0.0)


def test_the_balancing_loss_balances(corpus) -> None:
    """From the same lopsided start, with the loss the load evens out and without it it stays."""

    def after(weight: float) -> float:
        plan = tiny_run("mixture", steps=60)
        state = begin(plan.start().model, plan.schedule)
        with torch.no_grad():
            for layer in mixtures(state.model):
                layer.router.weight[0] *= 4.0
        for _ in run(
            state,
            plan.schedule,
            lambda step: [batch_at(corpus.train, 0, step, TINY.batch, TINY.length)],
            NextToken(weight),
        ):
            pass
        found = held_out(state.model, corpus.held_out, 4, 16).busiest
        assert found is not None
        return found

    assert after(0.5) < 0.9 * after(0.0)


def test_the_plan_of_a_run_says_what_is_balanced() -> None:
    plans: dict[str, Run] = {
        name: tiny_run(name) for name in ("mixture", "mixture-unbalanced", "mixture-bias")
    }
    found = {name: (p.recipe.balance, p.recipe.z, p.recipe.bias_step) for name, p in plans.items()}
    assert found == {
        "mixture": (0.01, 0.001, 0.0),
        "mixture-unbalanced": (0.0, 0.0, 0.0),
        "mixture-bias": (0.0, 0.0, 0.005),
    }
