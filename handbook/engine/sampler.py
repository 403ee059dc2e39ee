"""Drawing the next token from a model's logits: small filters, applied in a fixed order, then one draw.

A filter sets the logits of tokens that may not be drawn to -inf and leaves the others. All are pure and take
and give logits [V]. The order is that of transformers: repetition penalty, temperature, top-k, top-p, min-p.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from handbook.chat import Sampling


def repetition_penalty(logits: Tensor, history: Sequence[int], penalty: float) -> Tensor:
    """Make tokens of the history less likely: positive logits are divided by penalty, negative ones
    multiplied.

    Keskar et al. 2019, CTRL (arXiv:1909.05858), section 4.1. penalty 1 changes nothing.
    """
    if penalty == 1.0 or not history:
        return logits
    seen = torch.tensor(sorted(set(history)), device=logits.device)
    scores = logits[seen]
    return logits.index_copy(0, seen, torch.where(scores > 0, scores / penalty, scores * penalty))


def top_k_filter(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest (and what equals the last of them). Fan et al. 2018 (arXiv:1805.04833). 0 keeps
    all."""
    if k <= 0 or k >= len(logits):
        return logits
    return logits.masked_fill(logits < logits.topk(k).values[-1], -math.inf)


def top_p_filter(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of tokens whose probabilities sum to at least p, the largest always.

    Nucleus sampling, Holtzman et al. 2019 (arXiv:1904.09751), equation 2. p = 1 keeps all.
    """
    if p >= 1.0:
        return logits
    probabilities, order = logits.softmax(dim=-1).sort(descending=True, stable=True)
    before = probabilities.cumsum(dim=-1) - probabilities  # what larger tokens sum to
    drop = before >= p
    drop[0] = False
    return logits.index_fill(0, order[drop], -math.inf)


def min_p_filter(logits: Tensor, p: float) -> Tensor:
    """Keep tokens that are at least p times as likely as the most likely one. Nguyen et al. 2024
    (arXiv:2407.01082), section 3. p = 0 keeps all."""
    if p <= 0.0:
        return logits
    return logits.masked_fill(logits < logits.max() + math.log(p), -math.inf)


def sample(
    logits: Tensor, sampling: Sampling, history: Sequence[int] = (), generator: torch.Generator | None = None
) -> int:
    """The next token's id: logits [V] of one position; temperature 0 takes the likeliest.

    history: the ids so far, for the repetition penalty. generator: where the randomness comes from; the same
    seed gives the same tokens.
    """
    logits = repetition_penalty(logits.float(), history, sampling.repetition_penalty)
    if sampling.temperature <= 0:
        return int(logits.argmax())
    logits = top_k_filter(logits / sampling.temperature, sampling.top_k)
    logits = min_p_filter(top_p_filter(logits, sampling.top_p), sampling.min_p)
    return int(torch.multinomial(logits.softmax(dim=-1), 1, generator=generator))
