"""Attention by numbers: why scores are divided, what is lost without positions, what groups are equal to."""

import torch

from handbook.lab.transformer.subjects import SMOLLM2, random_heads
from handbook.model.attention import Attention, attention_weights, causal_mask


def softmax_peaks(scale: float, small: bool) -> list[float]:
    """Mean largest weight of Gaussian queries over 128 Gaussian keys, D = 64, per seed."""
    peaks = []
    for seed in range(3 if small else 10):
        q, k, _ = random_heads(128, SMOLLM2.heads, seed)
        peaks.append(attention_weights(q, k, scale=scale).amax(dim=-1).mean().item())
    return peaks


def sorted_weights(width: int, temperature: float) -> dict[str, list[float]]:
    """Mean weight of the most attended of 32 Gaussian keys, of the next, and so on, with and without the
    division by the root of `width`. temperature divides the scores once more.
    """
    q, k, _ = random_heads(32, SMOLLM2.heads, D=width)
    return {
        name: attention_weights(q, k, scale=scale / temperature)
        .sort(descending=True)[0]
        .mean((0, 1, 2))
        .tolist()
        for name, scale in (("q·k", 1.0), ("q·k / √D", width**-0.5))
    }


def unscaled_softmax_peak(small: bool = True) -> list[float]:
    return softmax_peaks(1.0, small)


def scaled_softmax_peak(small: bool = True) -> list[float]:
    return softmax_peaks(SMOLLM2.head_dim**-0.5, small)


def no_position_equivariance(small: bool = True) -> list[float]:
    """Largest difference between permuting a layer's input and permuting its output, per seed."""
    differences = []
    for seed in range(2 if small else 8):
        torch.manual_seed(seed)
        layer, x, order = Attention(576, 9, 3, 64), torch.randn(1, 128, 576), torch.randperm(128)
        with torch.no_grad():
            differences.append((layer(x[:, order]) - layer(x)[:, order]).abs().max().item())
    return differences


def gqa_equals_repeated_mha(small: bool = True) -> list[float]:
    """Largest difference between a grouped layer and a multi-head one whose key and value weights repeat
    its own, per seed.
    """
    H, J, D = SMOLLM2.heads, SMOLLM2.kv_heads, SMOLLM2.head_dim
    differences = []
    for seed in range(2 if small else 8):
        torch.manual_seed(seed)
        grouped, multi = Attention(H * D, H, J, D), Attention(H * D, H, H, D)
        weights = {name: weight.detach() for name, weight in grouped.state_dict().items()}
        for name in ("key.weight", "value.weight"):
            weights[name] = weights[name].unflatten(0, (J, D)).repeat_interleave(H // J, dim=0).flatten(0, 1)
        multi.load_state_dict(weights)
        x, mask = torch.randn(2, 128, H * D), causal_mask(128)
        with torch.no_grad():
            differences.append((grouped(x, mask) - multi(x, mask)).abs().max().item())
    return differences
