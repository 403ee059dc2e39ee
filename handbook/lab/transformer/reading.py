"""Reading a model by numbers: where SmolLM2's heads look, and when its choices settle."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.return_types import topk

from handbook.lab import charts, kit
from handbook.lab.transformer.subjects import SMOLLM2, passage_tokens
from handbook.model import reading
from handbook.model.tokenizer import Tokenizer
from handbook.model.transformer import Trace


@cache
def passage_trace(small: bool) -> Trace:
    with kit.quiet():
        return reading.trace_of(kit.chat_model().model, passage_tokens(small))


def first_token_attention_share(small: bool = True) -> float:
    return torch.stack([layer[0, :, 16:, 0].mean() for layer in passage_trace(small).attention]).mean().item()


@cache
def passage_choices(small: bool) -> Tensor:
    """The lens's choice at every depth and position of the passage: [L + 1, T]."""
    with kit.quiet():
        return reading.lens_choices(kit.chat_model().model, passage_trace(small))


def lens_rows(tokenizer: Tokenizer, top: topk) -> list[dict[str, Any]]:
    """A row of a table for each depth, of the k best tokens there: values and indices [L + 1, k]."""
    return [
        {"blocks": depth}
        | {
            f"{place}.": (charts.visible(tokenizer.decode([token])), share)
            for place, (token, share) in enumerate(zip(tokens, shares, strict=True), start=1)
        }
        for depth, (tokens, shares) in enumerate(zip(top.indices.tolist(), top.values.tolist(), strict=True))
    ]


def logit_lens_settles(small: bool = True) -> float:
    return reading.settled_after(passage_choices(small)).double().quantile(0.5).item()


def logit_lens_half_depth_agreement(small: bool = True) -> float:
    choices = passage_choices(small)
    return (choices[SMOLLM2.layers // 2] == choices[-1]).double().mean().item()
