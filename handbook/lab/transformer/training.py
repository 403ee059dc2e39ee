"""Small models trained from nothing on Tiny Shakespeare: what keeps experts busy, what a mixture buys at
equal cost, and what a context extension does to a model that has seen no more than its context.

Each model is trained once per process, on one thread: so small matrices gain little by a second, and numbers
then hang on no count of cores. Small settings train smaller models for seconds, full ones for minutes.
"""

import math
from dataclasses import replace
from functools import cache
from threading import Lock

import torch

from handbook.lab.kit import threads
from handbook.model.config import ModelConfig
from handbook.model.extension import RopeScaling, ntk_theta
from handbook.model.transformer import Transformer
from handbook.settings import load as load_settings
from handbook.train import text
from handbook.train.characters import Corpus, windows
from handbook.train.mixture import language_loss
from handbook.train.runs import Run, Trained, train
from handbook.train.tiny import Shape, recipe, schedule

SMALL = Shape(dim=48, layers=2, heads=2, hidden=96, length=64, batch=8)
FULL = Shape(dim=64, layers=3, heads=2, hidden=192, length=64, batch=16)
STEPS = {True: 150, False: 1000}
BEYOND = 4  # times the trained context
METHODS = ("none", "linear", "ntk", "yarn")
_training = Lock()


@cache
def corpus(small: bool) -> Corpus:
    """Tiny Shakespeare in characters; with small settings the first quarter of the held-out part.

    Raises TextUnavailable where it is not on this machine.
    """
    whole = Corpus.of(text.read(text.pinned(load_settings())), (SMALL if small else FULL).length)
    return replace(whole, held_out=whole.held_out[: len(whole.held_out) // 4]) if small else whole


def trained(name: str, seed: int = 0, small: bool = True) -> Trained:
    """A recipe of `handbook.train.tiny`, trained to the end, with its curve and its routers' loads."""
    with _training:  # two readers who open the lab at once wait for one training
        return _train(name, seed, small)


@cache
def _train(name: str, seed: int, small: bool) -> Trained:
    shape, data = SMALL if small else FULL, corpus(small)
    made = recipe(name, len(data.tokenizer), shape)
    with threads(1):
        return train(Run(recipe=made, shape=shape, schedule=schedule(STEPS[small]), seed=seed), data)


def seeds(small: bool) -> range:
    return range(1 if small else 3)


def busiest(name: str, small: bool) -> float:
    """Busiest expert's load over the mean on held-out text, in the worst layer."""
    found = trained(name, small=small).held_out.busiest
    assert found is not None, "a dense model has no experts"
    return found


def moe_unbalanced_busiest(small: bool = True) -> float:
    return busiest("mixture-unbalanced", small)


def moe_loss_balanced_busiest(small: bool = True) -> float:
    return busiest("mixture", small)


def moe_bias_balanced_busiest(small: bool = True) -> float:
    return busiest("mixture-bias", small)


def moe_unbalanced_drop(small: bool = True) -> float:
    return trained("mixture-unbalanced", small=small).held_out.dropped


def moe_balanced_drop(small: bool = True) -> float:
    return trained("mixture", small=small).held_out.dropped


def loss_gaps(small: bool, larger: str, smaller: str) -> list[float]:
    """Held-out loss of one recipe minus that of another, seed by seed."""
    pairs = ((trained(larger, seed, small), trained(smaller, seed, small)) for seed in seeds(small))
    return [a.held_out.loss - b.held_out.loss for a, b in pairs]


def moe_loss_below_dense_active(small: bool = True) -> list[float]:
    return loss_gaps(small, "dense", "mixture")


def moe_loss_above_dense_total(small: bool = True) -> list[float]:
    return loss_gaps(small, "mixture", "dense-total")


def extended(config: ModelConfig, method: str) -> ModelConfig:
    """A config that reads `BEYOND` times as far, by a method: none, linear, ntk or yarn.

    Raises ValueError for another one.
    """
    if method not in METHODS:
        raise ValueError(f"the method should be one of {', '.join(METHODS)}, got {method!r}")
    longer = replace(config, context=BEYOND * config.context)
    if method == "ntk":
        return replace(longer, rope_theta=ntk_theta(config.rope_theta, BEYOND, config.head_dim))
    if method == "linear":
        return replace(longer, rope_scaling=RopeScaling("linear", BEYOND))
    if method == "yarn":
        return replace(longer, rope_scaling=RopeScaling("yarn", BEYOND, config.context))
    return longer


@torch.no_grad()
def perplexity(model: Transformer, config: ModelConfig, small: bool) -> float:
    """Of held-out text in windows as long as the config's context, with the model's weights."""
    reader = Transformer(config).eval()
    reader.load_state_dict(model.state_dict())
    losses, tokens = 0.0, 0
    with threads(1):
        for inputs, targets in windows(corpus(small).held_out, 8, config.context):
            losses += language_loss(reader, inputs, targets).item() * targets.numel()
            tokens += targets.numel()
    return math.exp(losses / tokens)


def beyond(method: str, small: bool) -> list[float]:
    """Perplexity of dense models on texts `BEYOND` times as long as their context, over that within it."""
    found = []
    for seed in seeds(small):
        model = trained("dense", seed, small).model
        far = perplexity(model, extended(model.config, method), small)
        found.append(far / perplexity(model, model.config, small))
    return found


def extension_beyond_none(small: bool = True) -> list[float]:
    return beyond("none", small)


def extension_beyond_linear(small: bool = True) -> list[float]:
    return beyond("linear", small)


def extension_beyond_ntk(small: bool = True) -> list[float]:
    return beyond("ntk", small)


def extension_beyond_yarn(small: bool = True) -> list[float]:
    return beyond("yarn", small)
