"""Positions by numbers: what rotation keeps and loses, what a model makes of angles that are new to it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from handbook.lab import kit
from handbook.lab.transformer.subjects import SMOLLM2, passage_tokens, random_heads
from handbook.model import counting
from handbook.model.config import ModelConfig
from handbook.model.extension import RopeScaling, ntk_theta
from handbook.model.rope import apply_rope, half_split_to_interleaved, rope_frequencies, rope_tables

THETA = 10_000.0  # the base of the RoFormer paper; SmolLM2 has 100,000


def rope_scores(q: Tensor, k: Tensor, distances: Sequence[int], theta: float = THETA) -> Tensor:
    """q . k with the key at position 0 and the query at each distance: q, k [D] -> [len(distances)]."""
    cos, sin = rope_tables(torch.as_tensor(distances), q.shape[-1], theta)
    return apply_rope(q.expand(len(cos), -1), cos, sin) @ k


def decay_curves(distances: Sequence[int], theta: float) -> dict[str, list[float]]:
    """Scores over |q||k| at distances, of equal vectors and of two random pairs, D = 64."""
    pairs = {"q = k = all ones": torch.ones(2, 64)}
    for seed in (1, 2):
        draw = torch.Generator().manual_seed(seed)
        pairs[f"random q and k, draw {seed}"] = torch.randn(2, 64, generator=draw)
    return {
        name: (rope_scores(q, k, distances, theta) / (q.norm() * k.norm())).tolist()
        for name, (q, k) in pairs.items()
    }


def rope_relative_shift(small: bool = True) -> list[float]:
    """Largest change of a rotated score, over |q||k|, when both positions move on by 1,000, per seed."""
    changes = []
    for seed in range(3 if small else 10):
        q, k, _ = random_heads(64, SMOLLM2.heads, seed)
        scores = []
        for shift in (0, 1000):
            tables = rope_tables(torch.arange(64) + shift, 64, THETA)
            scores.append(apply_rope(q, *tables) @ apply_rope(k, *tables).transpose(-2, -1))
        lengths = q.norm(dim=-1)[..., None] * k.norm(dim=-1)[..., None, :]
        changes.append(((scores[0] - scores[1]).abs() / lengths).max().item())
    return changes


def rope_decay_512(small: bool = True) -> float:
    near, far = rope_scores(torch.ones(64), torch.ones(64), [0, 512]).tolist()
    return float(far / near)


def rope_random_spread(small: bool = True) -> list[float]:
    """Standard deviation of the scores of independent Gaussian q and k at distance 512 over that at 0, per
    seed.
    """
    ratios = []
    for seed in range(3 if small else 10):
        q, k, _ = random_heads(512, SMOLLM2.heads, seed)
        moved = apply_rope(q, *rope_tables(torch.tensor([512]), 64, THETA))
        ratios.append(((moved * k).sum(-1).std() / (q * k).sum(-1).std()).item())
    return ratios


def perplexity(
    small: bool, config: ModelConfig = SMOLLM2, weights: Mapping[str, Tensor] | None = None
) -> float:
    """Of SmolLM2-135M on the passage, under another config or with other weights."""
    loaded = kit.chat_model()
    ids = torch.tensor([passage_tokens(small)])
    model = counting.shape_only(replace(config, norm_eps=loaded.config.norm_eps))
    state = loaded.model.state_dict() if weights is None else weights
    model.load_state_dict(state, assign=True)  # shares the tensors, copies nothing
    with kit.quiet():
        return torch.nn.functional.cross_entropy(model(ids)[0, :-1], ids[0, 1:]).exp().item()


@cache
def unchanged_perplexity(small: bool) -> float:
    return perplexity(small)


def no_rope_perplexity(small: bool = True) -> float:
    still = replace(SMOLLM2, rope_scaling=RopeScaling("linear", 1e12))  # every angle becomes zero
    return perplexity(small, still) / unchanged_perplexity(small)


def rope_pairing_perplexity(small: bool = True) -> float:
    weights = dict(kit.chat_model().model.state_dict())
    for name, weight in weights.items():
        if name.endswith(("attention.query.weight", "attention.key.weight")):
            weights[name] = half_split_to_interleaved(weight, len(weight) // SMOLLM2.head_dim)
    return perplexity(small, weights=weights) / unchanged_perplexity(small)


def interpolation_untrained_perplexity(small: bool = True) -> float:
    squeezed = replace(SMOLLM2, rope_scaling=RopeScaling("linear", 4.0))
    return perplexity(small, squeezed) / unchanged_perplexity(small)


def ntk_untrained_perplexity(small: bool = True) -> float:
    raised = replace(SMOLLM2, rope_theta=ntk_theta(SMOLLM2.rope_theta, 4.0, SMOLLM2.head_dim))
    return perplexity(small, raised) / unchanged_perplexity(small)


def yarn_untrained_perplexity(small: bool = True) -> float:
    by_parts = replace(SMOLLM2, rope_scaling=RopeScaling("yarn", 4.0, original_context=SMOLLM2.context))
    return perplexity(small, by_parts) / unchanged_perplexity(small)


def wavelengths(dim: int, theta: float, factor: float, original: int) -> dict[str, list[float]]:
    """Tokens for a full turn of each pair [dim / 2], by method of extension.

    original: the context that was trained. Bounds as published: YaRN 1 and 32 turns, Llama 3.1 1 and 4.
    """
    trained = rope_frequencies(dim, theta)
    found = {
        "as trained": trained,
        "linear": RopeScaling("linear", factor).apply(trained, theta)[0],
        "NTK": rope_frequencies(dim, ntk_theta(theta, factor, dim)),
        "YaRN": RopeScaling("yarn", factor, original).apply(trained, theta)[0],
        "Llama 3": RopeScaling("llama3", factor, original, low=1, high=4).apply(trained, theta)[0],
    }
    return {name: (math.tau / frequencies).tolist() for name, frequencies in found.items()}
