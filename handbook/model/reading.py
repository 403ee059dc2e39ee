"""Reading a model: what its heads look at, and what it would say after each block.

Axes: B batch, H heads, T tokens, L layers, C width, V vocabulary.
"""

import torch
from torch import Tensor

from handbook.model.transformer import Trace, Transformer

HABITS = ("the first token", "the token before", "itself")


def trace_of(model: Transformer, ids: list[int]) -> Trace:
    """Everything that one forward pass over ids leaves behind."""
    trace = Trace()
    with torch.inference_mode():
        model(torch.tensor([ids], device=model.device), trace=trace, last_only=True)
    return trace


def head_habits(weights: Tensor) -> Tensor:
    """Mean weight that a layer's heads give to each of `HABITS`: weights [1, H, T, T] -> [3, H].

    Over the queries from the third on, for which the three are different tokens; with fewer, over all.
    """
    start = 2 if weights.shape[-1] > 2 else 0
    rows = weights[0, :, start:]
    first = rows[..., 0].mean(dim=-1)
    before = rows.diagonal(max(start - 1, 0), dim1=1, dim2=2).mean(dim=-1)
    itself = rows.diagonal(start, dim1=1, dim2=2).mean(dim=-1)
    return torch.stack([first, before, itself])


def lens(model: Transformer, trace: Trace, position: int) -> Tensor:
    """Next-token probabilities at a position, after the embedding and after each block -> [L + 1, V].

    The logit lens: final norm and head on the residual stream of every depth (nostalgebraist 2020).
    """
    with torch.inference_mode():
        return model.logits_of(torch.stack([hidden[0, position] for hidden in trace.hidden])).softmax(dim=-1)


def lens_choices(model: Transformer, trace: Trace) -> Tensor:
    """The most likely next token at every depth and position: [L + 1, T]."""
    with torch.inference_mode():
        return torch.stack([model.logits_of(hidden)[0].argmax(dim=-1) for hidden in trace.hidden])


def settled_after(choices: Tensor) -> Tensor:
    """After how many blocks a position's choice is the final one and stays it: [L + 1, T] -> [T]."""
    return len(choices) - (choices == choices[-1]).flip(0).cumprod(dim=0).sum(dim=0)
