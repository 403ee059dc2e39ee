"""The recipes: equal sizes to the weight, and what differs is what the name says."""

import pytest
import torch

from handbook.model import counting
from handbook.model.moe import MoE
from handbook.model.transformer import Transformer
from handbook.train.runs import sample, train
from handbook.train.tiny import NAMES, Shape, initialise, recipe, schedule
from tests.train.conftest import tiny_run

SHAPE = Shape()
VOCABULARY = 65


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_of_the_module(name: str) -> None:
    made = recipe(name, VOCABULARY, SHAPE)
    assert made.parameters == counting.parameters(counting.shape_only(made.config))


def test_equal_active_size_is_exact_but_for_the_router() -> None:
    dense = recipe("dense", VOCABULARY, SHAPE)
    routers = SHAPE.layers * SHAPE.experts * SHAPE.dim
    for name in ("mixture", "mixture-unbalanced", "mixture-bias"):
        mixture = recipe(name, VOCABULARY, SHAPE)
        assert mixture.active_parameters - routers == dense.active_parameters
        assert mixture.config.mixture.k * mixture.config.mixture.hidden_dim == dense.config.hidden_dim
    assert routers < 0.01 * dense.parameters


def test_equal_total_size_is_exact_but_for_the_router() -> None:
    total = recipe("dense-total", VOCABULARY, SHAPE)
    routers = SHAPE.layers * SHAPE.experts * SHAPE.dim
    assert total.parameters == recipe("mixture", VOCABULARY, SHAPE).parameters - routers
    assert total.active_parameters == total.parameters


def test_a_token_really_passes_as_many_weights() -> None:
    model = Transformer(tiny_run("mixture").recipe.config)
    layers = [layer for layer in model.modules() if isinstance(layer, MoE)]
    assert len(layers) == 2
    assert all(layer.router.k * layer.experts.gate.shape[1] == 32 for layer in layers)


def test_unknown_and_impossible_recipes() -> None:
    with pytest.raises(ValueError, match="mixture-bias, got 'sparse'"):
        recipe("sparse", VOCABULARY, SHAPE)
    with pytest.raises(ValueError, match="3 experts cannot share a width of 32"):
        recipe("mixture", VOCABULARY, Shape(hidden=32, k=3))


def test_all_recipes_share_one_schedule_and_what_is_common_starts_equal() -> None:
    assert len({tiny_run(name).schedule for name in NAMES}) == 1
    models = [tiny_run(name).start().model for name in ("mixture", "mixture-unbalanced", "mixture-bias")]
    first, *others = [dict(model.named_parameters()) for model in models]
    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in first)


def test_the_seed_makes_the_model() -> None:
    config = tiny_run("dense").recipe.config
    models = [Transformer(config) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        initialise(model, seed)
    a, b, c = (model.embed.weight for model in models)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_what_writes_to_the_stream_starts_smaller() -> None:
    model = Transformer(recipe("mixture", VOCABULARY, SHAPE).config)
    initialise(model, 0)
    spread = {
        name: weight.std().item() * weight.shape[-1] ** 0.5 for name, weight in model.named_parameters()
    }
    for name in ("embed.weight", "blocks.0.attention.query.weight", "blocks.3.mlp.experts.up"):
        assert spread[name] == pytest.approx(1.0, rel=0.05)
    for name in ("blocks.0.attention.out.weight", "blocks.3.mlp.experts.down"):
        assert spread[name] == pytest.approx((2 * SHAPE.layers) ** -0.5, rel=0.05)


def test_a_sample_is_repeatable_and_goes_past_the_context(corpus) -> None:
    model = train(tiny_run("mixture", steps=2), corpus).model
    first = sample(model, corpus.tokenizer, length=50, seed=1)
    assert len(first) == 50 > model.config.context
    assert first == sample(model, corpus.tokenizer, length=50, seed=1)
    assert first != sample(model, corpus.tokenizer, length=50, seed=2)


@pytest.mark.parametrize("steps", [1, 5, 400])
def test_schedules_warm_up_first(steps: int) -> None:
    config = schedule(steps)
    assert 1 <= config.warmup <= max(1, steps // 10)
