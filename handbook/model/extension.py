"""Context extension: RoPE's angles changed so that a model reads further than it was trained.

Position interpolation (Chen et al. 2023, arXiv:2306.15595, section 2.3) squeezes all positions into the
trained range. "NTK-aware" scaling raises the base instead, which squeezes slow pairs and spares fast ones;
dynamic NTK raises it no further than the text at hand needs.
YaRN (Peng et al. 2023, arXiv:2309.00071) chooses by pair: turned often within the trained range, keep; never
a full turn, squeeze; a ramp between. Llama 3.1 does nearly the same with other bounds. LongRoPE (Ding et al.
2024, arXiv:2402.13753) has each pair's squeeze found by search, and a checkpoint brings them as two lists.

Axes: D head size.

Book: architectures/transformer-deep-dive
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # what a configuration says is read without torch
    from torch import Tensor

ScalingKind = Literal["linear", "dynamic", "yarn", "llama3", "longrope"]


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """What a checkpoint says about its extension.

    factor: how many times the trained context. original_context: positions it was trained on; linear needs
    none. low, high: full turns within the trained range, below and above which a pair is squeezed or kept;
    YaRN's beta_slow and beta_fast. short, long: LongRoPE's factor for each pair, in texts up to the trained
    context and beyond it. attention: what YaRN and LongRoPE multiply cos and sin with; None derives it from
    factor.
    """

    kind: ScalingKind
    factor: float
    original_context: int = 0
    low: float = 1.0
    high: float = 32.0
    attention: float | None = None
    short: tuple[float, ...] = ()
    long: tuple[float, ...] = ()

    def apply(self, frequencies: Tensor, theta: float, length: int = 0) -> tuple[Tensor, float]:
        """Frequencies [D/2] of the trained model -> frequencies [D/2] of the extended one, and a factor for
        cos and sin. length: tokens of the text so far, which dynamic NTK and LongRoPE go by: keys that a
        cache took in under earlier frequencies stay as they were turned."""
        if self.kind == "linear":
            return linear_frequencies(frequencies, self.factor), 1.0
        if self.kind == "dynamic":
            from handbook.model.rope import rope_frequencies

            dim = 2 * len(frequencies)
            base = dynamic_ntk_theta(theta, self.factor, dim, length, self.original_context)
            return rope_frequencies(dim, base), 1.0
        if self.kind == "llama3":
            turns = self.original_context, self.low, self.high
            return llama3_frequencies(frequencies, self.factor, *turns), 1.0
        if self.kind == "longrope":
            pairs = self.long if length > self.original_context else self.short
            again = longrope_attention(self.factor, self.original_context)
            return longrope_frequencies(
                frequencies, pairs
            ), again if self.attention is None else self.attention
        scale = yarn_attention(self.factor) if self.attention is None else self.attention
        turns = self.original_context, self.low, self.high
        return yarn_frequencies(frequencies, self.factor, *turns, theta=theta), scale


def linear_frequencies(frequencies: Tensor, factor: float) -> Tensor:
    """Position interpolation: position m counts as m / factor. Chen et al. 2023, equation 4."""
    return frequencies / factor


def ntk_theta(theta: float, factor: float, dim: int) -> float:
    """The base whose slowest pair turns factor times slower and whose fastest stays: theta *
    factor^(D/(D-2)).

    YaRN paper, definition 1.
    """
    return float(theta * factor ** (dim / (dim - 2)))


def dynamic_ntk_theta(theta: float, factor: float, dim: int, length: int, original_context: int) -> float:
    """`ntk_theta` for a text of `length` tokens: the trained base up to the trained context, then a base that
    grows with the text. As transformers has it, with the factor in; YaRN paper, section 3.3, without.

    Keys that a cache took in under an earlier base stay as they were turned, so a text that grows past the
    trained context token by token gets other logits than the same text in one piece.
    """
    grown = factor * max(length, original_context) / original_context - (factor - 1)
    return ntk_theta(theta, grown, dim)


def llama3_frequencies(
    frequencies: Tensor, factor: float, original_context: int, low: float, high: float
) -> Tensor:
    """Pairs with fewer than `low` turns in the trained context are squeezed, with more than `high` kept;
    between them a ramp over the number of turns, as YaRN's definition 2 has it (Llama 3.1: low 1, high 4)."""
    turns = original_context * frequencies / (2 * math.pi)
    keep = ((turns - low) / (high - low)).clamp(0, 1)
    return frequencies * keep + frequencies / factor * (1 - keep)


def yarn_frequencies(
    frequencies: Tensor, factor: float, original_context: int, low: float, high: float, *, theta: float
) -> Tensor:
    """YaRN's "NTK-by-parts". The authors' code, which every checkpoint was made with, runs the ramp over the
    index of the pair, from the pair with `high` turns to the pair with `low`, where the paper's
    definition 2 runs it over the turns themselves; this follows the code."""
    import torch

    pairs = len(frequencies)

    def pair_with(turns: float) -> float:
        return pairs * math.log(original_context / (turns * 2 * math.pi)) / math.log(theta)

    first = max(math.floor(pair_with(high)), 0)
    last = min(math.ceil(pair_with(low)), 2 * pairs - 1)
    squeeze = ((torch.arange(pairs) - first) / max(last - first, 0.001)).clamp(0, 1)
    return frequencies * (1 - squeeze) + frequencies / factor * squeeze


def yarn_attention(factor: float, weight: float = 1.0) -> float:
    """sqrt(1/t) = 0.1 ln(factor) + 1: scales queries and keys alike, so the logits by its square. YaRN paper,
    section 3.4. weight: DeepSeek's mscale, on the logarithm."""
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0


def longrope_frequencies(frequencies: Tensor, factors: Sequence[float]) -> Tensor:
    """Each pair squeezed by a factor of its own: [D/2] and D/2 factors -> [D/2]. Ding et al. 2024, equation
    2, with one list for long texts and one for those within the trained context (section 3.3)."""
    return frequencies / frequencies.new_tensor(factors)


def longrope_attention(factor: float, original_context: int) -> float:
    """sqrt(1 + ln(factor) / ln(original_context)), on cos and sin, as Phi-3's long checkpoints were made."""
    return math.sqrt(1 + math.log(factor) / math.log(original_context)) if factor > 1 else 1.0
