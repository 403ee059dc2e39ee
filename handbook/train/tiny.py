"""Models small enough to train on a laptop from nothing: what each is, and how all are trained.

All share one shape, one schedule and one objective, and differ in what stands in for the network of a block:

    dense                one network
    mixture              8 experts, of which each token passes 2 that are together as wide as that network:
                         equal active size, the router's own weights apart. Kept busy by the balancing loss
    dense-total          one network as wide as all experts together: equal total size
    mixture-unbalanced   as mixture, and nothing keeps the experts busy
    mixture-bias         as mixture, kept busy by the selection bias instead of a loss
"""

from dataclasses import dataclass

import torch

from handbook.model import count
from handbook.model.config import Mixture, ModelConfig
from handbook.model.transformer import Transformer
from handbook.train.loop import TrainConfig

BALANCE, Z, BIAS_STEP = 0.01, 0.001, 0.005
NAMES = ("dense", "mixture", "dense-total", "mixture-unbalanced", "mixture-bias")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What all recipes have in common. hidden: width of the dense network; the k experts of a token share it.
    length: characters in a window, which is the context."""

    dim: int = 96
    layers: int = 4
    heads: int = 3
    hidden: int = 288
    experts: int = 8
    k: int = 2
    length: int = 128
    batch: int = 16

    def config(self, vocab_size: int, hidden: int, mixture: Mixture | None = None) -> ModelConfig:
        return ModelConfig(
            vocab_size=vocab_size,
            dim=self.dim,
            layers=self.layers,
            heads=self.heads,
            kv_heads=self.heads,
            head_dim=self.dim // self.heads,
            hidden_dim=hidden,
            context=self.length,
            tie_embeddings=True,
            mixture=mixture,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One model and what keeps its experts busy: weights of the two losses, step of the selection bias."""

    name: str
    config: ModelConfig
    balance: float = 0.0
    z: float = 0.0
    bias_step: float = 0.0

    @property
    def parameters(self) -> int:
        return count.parameters(self.config)

    @property
    def active_parameters(self) -> int:
        return count.active_parameters(self.config)


def recipe(name: str, vocab_size: int, shape: Shape) -> Recipe:
    """The recipe of that name. Raises ValueError for an unknown name or experts that don't divide."""
    if name not in NAMES:
        raise ValueError(f"recipes are {', '.join(NAMES)}, got {name!r}")
    if shape.hidden % shape.k:
        raise ValueError(f"{shape.k} experts cannot share a width of {shape.hidden}")
    width = shape.hidden // shape.k
    if name == "dense":
        return Recipe(name=name, config=shape.config(vocab_size, shape.hidden))
    if name == "dense-total":
        return Recipe(name=name, config=shape.config(vocab_size, shape.experts * width))
    biased = name == "mixture-bias"
    experts = Mixture(experts=shape.experts, k=shape.k, hidden_dim=width, selection_bias=biased)
    config = shape.config(vocab_size, shape.hidden, experts)
    if biased:
        return Recipe(name=name, config=config, bias_step=BIAS_STEP)
    if name == "mixture-unbalanced":
        return Recipe(name=name, config=config)
    return Recipe(name=name, config=config, balance=BALANCE, z=Z)


def schedule(steps: int) -> TrainConfig:
    """The schedule that all recipes share."""
    return TrainConfig(steps=steps, rate=5e-3, warmup=max(1, steps // 20))


def initialise(model: Transformer, seed: int) -> None:
    """Weights before the first step: N(0, 1/fan-in), so that what leaves a matrix is as large as what enters
    (LeCun et al. 1998, Efficient BackProp, section 4.6). Those that write to the residual stream are divided
    by the root of how many do (GPT-2: Radford et al. 2019, section 2.3)."""
    random = torch.Generator().manual_seed(seed)
    writers = 2 * model.config.layers
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            spread = weight.shape[-1] ** -0.5
            writes = "attention.out" in name or "down" in name
            torch.nn.init.normal_(weight, std=spread / writers**0.5 if writes else spread, generator=random)
