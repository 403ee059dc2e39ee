"""Log-probabilities of given tokens without the logits of all: what SFT, DPO and ORPO are made of.

A row of logits is V wide, and a batch of them with its softmax and its gradient is where a training step's
memory peaks. Here a chunk of rows is computed, reduced to one number a row and forgotten. Backward needs
d logp / dh, which is as narrow as h: one softmax and one product while the chunk is there, one multiplication
by the incoming gradient later. Only rows that count are computed at all.

Two ways to the same numbers: `token_logprobs_plain` holds the logits, `token_logprobs` does not.

Axes: N tokens, n of them that count, C width, V vocabulary.

Book: model-training/fine-tuning-strategies
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.model.attention import soft_cap
from handbook.model.transformer import Transformer
from handbook.train.forward import Row, hidden
from handbook.train.kernels import native
from handbook.train.packing import IGNORE

CHUNK = 256  # rows of logits that are held at a time
ENOUGH = 1 << 18  # logits that are worth a call of the kernels, which may have to be compiled first


def token_logprobs_plain(
    hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None = None, softcap: float | None = None
) -> Tensor:
    """`token_logprobs` by way of all logits [N, V], for reading and for tests."""
    logits = F.linear(hidden, weight.to(hidden.dtype), bias).float()
    if softcap is not None:
        logits = soft_cap(logits, softcap)
    counted = targets != IGNORE
    picked = logits.gather(1, targets.where(counted, 0)[:, None])[:, 0]
    return (picked - logits.logsumexp(dim=1)).where(counted, 0.0)


class _TokenLogprobs(torch.autograd.Function):
    """log softmax(softcap(h W^T + b))[target] of n rows; see `token_logprobs`."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        softcap: float | None,
        chunk: int,
    ) -> Tensor:
        wide = weight.detach().to(rows.dtype)
        out = torch.empty(len(rows), dtype=torch.float32, device=rows.device)
        slopes = torch.empty_like(rows) if ctx.needs_input_grad[0] else None
        kernels = _kernels(rows, wide, bias, softcap)
        room = torch.empty(min(chunk, len(rows)) if kernels else 0, len(wide), dtype=rows.dtype)
        for start in range(0, len(rows), chunk):
            part = slice(start, start + chunk)
            if kernels is not None:
                narrow = torch.mm(rows[part], wide.T, out=room[: len(rows[part])])
                out[part] = kernels.pick(narrow, targets[part], slopes is not None)
                if slopes is not None:
                    torch.mm(narrow, wide, out=slopes[part])
                continue
            logits, bend = _logits(rows[part], wide, bias, softcap)
            total = logits.logsumexp(dim=1)
            out[part] = logits.gather(1, targets[part, None])[:, 0] - total
            if slopes is not None:
                slopes[part] = _slope(logits, total, targets[part], bend).to(rows.dtype) @ wide
        trains = ctx.needs_input_grad[1] or (bias is not None and ctx.needs_input_grad[2])
        ctx.save_for_backward(slopes, *((rows, weight, bias, targets) if trains else ()))
        ctx.softcap, ctx.chunk = softcap, chunk
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        slopes, *head = ctx.saved_tensors
        to_rows = None if slopes is None else (slopes * grad[:, None]).to(slopes.dtype)
        if not head:
            return to_rows, None, None, None, None, None
        rows, weight, bias, targets = head
        to_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        to_bias = torch.zeros_like(bias, dtype=torch.float32) if ctx.needs_input_grad[2] else None
        wide = weight.detach().to(rows.dtype)
        for start in range(0, len(rows), ctx.chunk):
            part = slice(start, start + ctx.chunk)
            logits, bend = _logits(rows[part], wide, bias, ctx.softcap)
            slope = _slope(logits, logits.logsumexp(dim=1), targets[part], bend) * grad[part, None]
            if to_weight is not None:
                to_weight += slope.to(rows.dtype).T @ rows[part]
            if to_bias is not None:
                to_bias += slope.sum(dim=0)
        return (
            to_rows,
            None if to_weight is None else to_weight.to(weight.dtype),
            None if to_bias is None else to_bias.to(bias.dtype),
            None,
            None,
            None,
        )


def _kernels(
    rows: Tensor, weight: Tensor, bias: Tensor | None, softcap: float | None
) -> native.Native | None:
    """Training's kernels, where they can take the softmax of these logits and there is enough of it."""
    fits = rows.dtype == torch.bfloat16 and rows.device.type == "cpu" and bias is None and softcap is None
    if not fits or len(weight) % 16 or len(rows) * len(weight) < ENOUGH:
        return None
    found = native.load()
    return None if isinstance(found, str) else found


def _logits(
    rows: Tensor, weight: Tensor, bias: Tensor | None, softcap: float | None
) -> tuple[Tensor, Tensor | None]:
    """Logits [n, V] in fp32, and how much each still moves with what came before the cap (None: one)."""
    logits = F.linear(rows, weight, None if bias is None else bias.to(rows.dtype)).float()
    if softcap is None:
        return logits, None
    logits = soft_cap(logits, softcap)
    return logits, 1 - (logits / softcap).square()  # d cap tanh(x / cap) / dx


def _slope(logits: Tensor, total: Tensor, targets: Tensor, bend: Tensor | None) -> Tensor:
    """d logp / d logits = onehot - softmax, [n, V]. Uses up the logits."""
    slope = logits.sub_(total[:, None]).exp_().neg_()
    slope.scatter_add_(1, targets[:, None], torch.ones_like(targets[:, None], dtype=slope.dtype))
    return slope if bend is None else slope.mul_(bend)


def token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    bias: Tensor | None = None,
    softcap: float | None = None,
    chunk: int = CHUNK,
) -> Tensor:
    """log p of each target: hidden [N, C] (behind the last norm), weight [V, C], targets [N] -> fp32 [N].

    0 where the target is IGNORE; those rows cost nothing. Gradients go to hidden, and to weight and bias
    where they train (for these the logits are computed once more). Products run in hidden's dtype,
    or autocast's. Raises ValueError for a target outside the vocabulary.
    """
    if hidden.shape[:1] != targets.shape or hidden.shape[1] != weight.shape[1]:
        raise ValueError(
            f"expected hidden [N, C], weight [V, C], targets [N], got {[*hidden.shape]}, {[*weight.shape]}, "
            f"{[*targets.shape]}"
        )
    place = (targets != IGNORE).nonzero()[:, 0]
    wanted = targets.index_select(0, place)
    if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < len(weight):
        raise ValueError(
            f"targets are 0 to {len(weight) - 1} or {IGNORE}, got {int(wanted.min())} to {int(wanted.max())}"
        )
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        hidden = hidden.to(torch.get_autocast_dtype(device))
    rows = hidden if len(place) == len(hidden) else hidden.index_select(0, place)
    found = _TokenLogprobs.apply(rows, weight, bias, wanted, softcap, chunk)  # type: ignore[no-untyped-call]
    return found.new_zeros(len(hidden)).index_copy(0, place, found)  # type: ignore[no-any-return]


def head_of(model: Transformer) -> tuple[Tensor, Tensor | None]:
    """Weight [V, C] and bias of what makes logits; the embedding where they are tied."""
    return (model.embed.weight, None) if model.head is None else (model.head.weight, model.head.bias)


class Counted(Row, Protocol):
    """A packed row with its targets [N]."""

    @property
    def targets(self) -> Tensor: ...


def row_logprobs(model: Transformer, packed: Counted, checkpointing: bool | None = None) -> Tensor:
    """log p of a packed row's targets -> fp32 [N], 0 where they don't count."""
    weight, bias = head_of(model)
    states = hidden(model, packed, checkpointing)
    return token_logprobs(states, weight, packed.targets, bias, model.config.logit_softcap)


def per_document(values: Tensor, bounds: Sequence[int]) -> Tensor:
    """Sums over documents: values [N], bounds [D + 1] -> [D]."""
    lengths = [end - start for start, end in pairwise(bounds)]
    return torch.stack([part.sum() for part in torch.split(values, lengths)])
