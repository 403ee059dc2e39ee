"""What a policy makes of pairs that it never saw, measured against the reference that it started from.

Accuracy alone says little: a policy can tell answers apart ever better while it makes both less likely and
moves far from the reference. So both logs of the margin's two sides and the distance are told beside it.

Axes: P pairs held out, n tokens of their answers, C width, V vocabulary.

Book: model-training/preference-alignment
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.model.attention import soft_cap
from handbook.model.transformer import Transformer
from handbook.train.forward import hidden
from handbook.train.logprobs import CHUNK, head_of, per_document, token_logprobs
from handbook.train.loop import lowered
from handbook.train.packing import IGNORE, bins
from handbook.train.preference import ExamplePair, answer_lengths, as_reference, halves, pack_pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """Means over held-out pairs; logs in nats.

    accuracy: share where the policy moved towards the chosen answer, policy over reference; a tie is half, so
    the reference itself has 0.5. likelier: share where the chosen answer is likelier by token under the
    policy. margin: log (policy / reference) of the chosen answer less that of the rejected one, without beta;
    chosen, rejected: its two sides. kl: of the policy from the reference, nats a token, at every place of
    both answers: exact there, of the next token, on this text and not on the policy's own. longer: tokens
    that the answer which the policy moved towards has over the other; longer_chosen: that the chosen one has.
    """

    pairs: int
    accuracy: float
    likelier: float
    margin: float
    chosen: float
    rejected: float
    kl: float
    longer: float
    longer_chosen: float


@torch.no_grad()
def held_out_pairs(
    model: Transformer,
    pairs: Sequence[ExamplePair],
    reference: Transformer | None = None,
    budget: int = 4096,
    precision: str = "fp32",
) -> Margins:
    """Read all pairs once, in rows of `budget` tokens or one pair. reference: None for the model without its
    adapters. Raises ValueError for no pairs, HandbookError as `preference.as_reference`."""
    if not pairs:
        raise ValueError("there are no pairs to measure on")
    training = model.training
    model.eval()
    found: list[tuple[Tensor, ...]] = []
    lengths = [len(pair) for pair in pairs]
    try:
        for row in bins(lengths, max([budget, *lengths]), seed=0, epoch=0):
            with lowered(model, precision):
                found.append(_measured(model, [pairs[index] for index in row], reference))
    finally:
        model.train(training)
    policy, base, tokens, kl = (torch.cat(values, dim=-1).double() for values in zip(*found, strict=True))
    moved = policy - base  # [2, P]: chosen, rejected
    margin = moved[0] - moved[1]
    means, apart = policy / tokens, tokens[0] - tokens[1]
    return Margins(
        pairs=len(pairs),
        accuracy=((margin > 0).double() + 0.5 * (margin == 0)).mean().item(),
        likelier=(means[0] > means[1]).double().mean().item(),
        margin=margin.mean().item(),
        chosen=moved[0].mean().item(),
        rejected=moved[1].mean().item(),
        kl=(kl.sum() / tokens.sum()).item(),
        longer=(margin.sign() * apart).mean().item(),
        longer_chosen=apart.mean().item(),
    )


def _measured(
    model: Transformer, pairs: Sequence[ExamplePair], reference: Transformer | None
) -> tuple[Tensor, ...]:
    """Of each answer [2, B]: log-probability under policy and reference, tokens, and the sum of their KL."""
    packed = pack_pairs(pairs)
    other = model if reference is None else reference
    states = hidden(model, packed)
    with as_reference(model) if reference is None else nullcontext():
        base = hidden(other, packed)
    sums = []
    for each, rows in ((model, states), (other, base)):
        weight, bias = head_of(each)
        logprobs = token_logprobs(rows, weight, packed.targets, bias, each.config.logit_softcap)
        sums.append(per_document(logprobs, packed.bounds))
    place = (packed.targets != IGNORE).nonzero()[:, 0]
    kl = torch.zeros(len(packed.targets), device=states.device)
    kl[place] = divergence(model, states[place], other, base[place])
    kept = (*sums, answer_lengths(packed), per_document(kl, packed.bounds))
    return tuple(torch.stack(halves(values.cpu())) for values in kept)


def divergence(
    policy: Transformer, states: Tensor, reference: Transformer, base: Tensor, chunk: int = CHUNK
) -> Tensor:
    """KL(policy || reference) of the next token at n places, from both models' hidden states behind the last
    norm: [n, C] each -> [n], nats. Exact, over the whole vocabulary, `chunk` rows of logits at a time."""
    parts = []
    for start in range(0, len(states), chunk):
        part = slice(start, start + chunk)
        log_p, log_q = (logs(model, rows[part]) for model, rows in ((policy, states), (reference, base)))
        parts.append((log_p.exp() * (log_p - log_q)).sum(dim=1))
    return torch.cat(parts) if parts else states.new_zeros(0)


def logs(model: Transformer, states: Tensor) -> Tensor:
    """log p of every token, [n, C] -> fp32 [n, V]."""
    weight, bias = head_of(model)
    logits = F.linear(states, weight.to(states.dtype), bias).float()
    cap = model.config.logit_softcap
    return (logits if cap is None else soft_cap(logits, cap)).log_softmax(dim=1)
