"""Rounding by numbers: what 8 bits cost SmolLM2-135M, in perplexity and in KL, on held-out Tiny Shakespeare.

The numbers are those of the kernels: weights of whole numbers with a scale for each output, activations with
one for each token. Here both are rounded and multiplied in fp32, which differs from whole-number products by
the last digits only, and runs anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from handbook.engine.kernels.pack import BLOCK, quantize, rotate
from handbook.engine.kernels.plain import quantize_rows
from handbook.lab import kit
from handbook.model.cache import KVCache
from handbook.model.transformer import Transformer
from handbook.settings import load as load_settings
from handbook.train import text

LENGTH = 512  # tokens of a window
Turn = Callable[[Tensor], Tensor]


def straight(x: Tensor) -> Tensor:
    return x


def turned(x: Tensor) -> Tensor:
    """Blocks of 64 rotated by a Hadamard matrix, where the width has such blocks."""
    return rotate(x) if x.shape[-1] % BLOCK == 0 else x


def rounded_rows(x: Tensor) -> Tensor:
    """Each row of the last axis as the 8-bit numbers times a scale that it becomes: [..., K] -> [..., K]."""
    whole, scales = quantize_rows(x.flatten(0, -2))
    return (whole * scales[:, None]).view_as(x)


def rounded_weight(weight: Tensor) -> Tensor:
    """[N, K], a scale for each output."""
    whole, scales = quantize(weight)
    return whole.float() * scales[:, None]


def rounded_model(model: Transformer, turn: Turn) -> Transformer:
    """A copy with all products in 8 bits, after `turn` of activations and weights alike; the embedding stays
    as it is."""
    twin = _twin(model)
    for module in twin.modules():
        if isinstance(module, nn.Linear):
            weight = rounded_weight(turn(module.weight.detach()))
            module.weight = nn.Parameter(weight, requires_grad=False)
            if module is not twin.head:  # which is applied as a function, behind the last norm
                module.register_forward_pre_hook(lambda _, inputs: (rounded_rows(turn(inputs[0])),))
    twin.norm.register_forward_hook(lambda _, __, out: rounded_rows(turn(out)))
    return twin


class RoundedCache(KVCache):
    """Keys and values in 8 bits with a scale for each position and head."""

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return super().append(layer, rounded_rows(k), rounded_rows(v))


def _twin(model: Transformer) -> Transformer:
    """The same weights under another roof."""
    with torch.device("meta"):
        twin = Transformer(model.config)
    twin.load_state_dict(model.state_dict(), assign=True)
    if twin.head is None:  # one of its own, since the embedding is not rounded
        twin.head = nn.Linear(1, 1, bias=False)
        twin.head.weight = model.embed.weight
    return twin.eval().requires_grad_(False)


@dataclass(frozen=True)
class Cost:
    """perplexity: over that in fp32. kl: nats per token, from the distribution in fp32."""

    perplexity: float
    kl: float


def windows(small: bool) -> list[list[int]]:
    """The text's last pieces in SmolLM2's tokens. Raises TextUnavailable, ModelUnavailable."""
    count, length = (1, 256) if small else (4, LENGTH)
    end = text.read(text.pinned(load_settings()))[-6 * count * length :]
    ids = kit.chat_model().tokenizer.encode(end, special=False)[-count * length :]
    return [ids[start : start + length] for start in range(0, count * length, length)]


def compare(run: Callable[[Tensor], Tensor], small: bool) -> Cost:
    """run: ids [1, T] -> logits [1, T, V]."""
    more, kl, steps = 0.0, 0.0, 0
    with kit.quiet():
        for piece, right in exact(small):
            got = run(piece)[0].log_softmax(dim=-1)
            kl += float((right.exp() * (right - got)).sum())
            more += float((right - got)[:-1].gather(1, piece[0, 1:, None]).sum())
            steps += len(right)
    return Cost(float(torch.tensor(more / steps).exp()), kl / steps)


@cache
def exact(small: bool) -> list[tuple[Tensor, Tensor]]:
    """Each window [1, T] and its log-probabilities in fp32 [T, V]."""
    model = kit.chat_model().model
    with kit.quiet():
        return [(ids, model(ids)[0].log_softmax(dim=-1)) for ids in map(_row, windows(small))]


def _row(ids: list[int]) -> Tensor:
    return torch.tensor([ids])


@cache
def products(turn: Turn, small: bool) -> Cost:
    return compare(rounded_model(kit.chat_model().model, turn), small)


@cache
def rounded_kv(small: bool) -> Cost:
    model = kit.chat_model().model
    c = model.config

    def run(ids: Tensor) -> Tensor:
        logits: Tensor = model(ids, RoundedCache(c.layers, c.kv_heads, c.head_dim, ids.shape[1]))
        return logits

    return compare(run, small)


def int8_token_scale_perplexity(small: bool = True) -> float:
    return products(straight, small).perplexity


def int8_token_scale_kl(small: bool = True) -> float:
    return products(straight, small).kl


def int8_hadamard_perplexity(small: bool = True) -> float:
    return products(turned, small).perplexity


def int8_hadamard_kl(small: bool = True) -> float:
    return products(turned, small).kl


def int8_kv_perplexity(small: bool = True) -> float:
    return rounded_kv(small).perplexity
