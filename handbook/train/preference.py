"""Training on pairs: two answers to one prompt, of which people chose the first.

A micro-batch is one packed row, chosen answers first and rejected ones behind them, so that one forward pass
reads both sides. The objectives here turn it into the losses of `dpo`, `orpo` and `reward`.

DPO needs each answer's log-probability under the reference as well. It never changes, so it is computed once
before training (`with_reference`) and kept with the pair; or each time, by the model without its adapters.

Axes: B pairs, D = 2 B documents packed in one row of N tokens.

Book: model-training/preference-alignment
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from handbook.errors import HandbookError
from handbook.model.transformer import Transformer
from handbook.train.dpo import check, dpo_loss, dpo_margin
from handbook.train.examples import Example
from handbook.train.forward import hidden
from handbook.train.logprobs import head_of, per_document, row_logprobs, token_logprobs
from handbook.train.loop import Losses, lowered
from handbook.train.lora import lora_layers, without_adapters
from handbook.train.orpo import odds_ratio_loss
from handbook.train.packing import IGNORE, Packed, bins, pack
from handbook.train.reward import RewardModel, reward_loss


@dataclass(frozen=True, slots=True)
class ExamplePair:
    """Two encoded answers to one prompt, each with the prompt before it.

    reference: log-probability of each whole answer under the reference, where it is known already. Raises
    ValueError where an answer has no token.
    """

    chosen: Example
    rejected: Example
    reference: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not (self.chosen.weight and self.rejected.weight):
            raise ValueError(
                f"both answers need a token, got {self.chosen.weight} and {self.rejected.weight}"
            )

    def __len__(self) -> int:
        """Tokens that it takes of a row."""
        return len(self.chosen) + len(self.rejected)


@dataclass(frozen=True, slots=True, eq=False)
class PackedPairs(Packed):
    """B pairs in one row: B chosen documents, then the B rejected ones in the same order. weight: B.

    reference [2 B]: log-probabilities of whole answers under the reference, None where they are not known.
    """

    reference: Tensor | None = None

    def to(self, device: torch.device | str) -> "PackedPairs":
        """The same on another device."""
        tokens, targets, positions = (each.to(device) for each in (self.tokens, self.targets, self.positions))
        reference = None if self.reference is None else self.reference.to(device)
        return replace(self, tokens=tokens, targets=targets, positions=positions, reference=reference)


def pack_pairs(pairs: Sequence[ExamplePair]) -> PackedPairs:
    """Lay pairs in one row: what `packing.Rows` takes to make micro-batches of them. Raises ValueError for
    none."""
    row = pack([pair.chosen for pair in pairs] + [pair.rejected for pair in pairs])
    known = [pair.reference for pair in pairs if pair.reference is not None]
    reference = torch.tensor(known).T.flatten() if len(known) == len(pairs) else None
    return PackedPairs(row.tokens, row.targets, row.positions, row.bounds, float(len(pairs)), reference)


def answer_lengths(pairs: Packed) -> Tensor:
    """Tokens of each answer that count: [D], fp32."""
    return per_document((pairs.targets != IGNORE).float(), pairs.bounds)


def halves(values: Tensor) -> tuple[Tensor, Tensor]:
    """[2 B] -> chosen [B], rejected [B]."""
    chosen, rejected = values.chunk(2)
    return chosen, rejected


@contextmanager
def as_reference(model: nn.Module) -> Iterator[None]:
    """The model as it was before its adapters, and without gradients.

    Raises HandbookError where that is no reference: nothing but adapters may train.
    """
    adapted = {id(p) for layer in lora_layers(model).values() for p in layer.parameters()}
    others = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in adapted]
    if others or not adapted:
        what = f"{others[0]} and {len(others) - 1} others train beside them" if others else "it has none"
        raise HandbookError(
            f"The reference should be the model without its adapters, and {what}.",
            "Compute the reference before training: with_reference(model, pairs).",
        )
    with torch.no_grad(), without_adapters(model):
        yield


@torch.no_grad()
def with_reference(
    model: Transformer, pairs: Sequence[ExamplePair], budget: int = 4096, precision: str = "fp32"
) -> list[ExamplePair]:
    """The pairs with their log-probabilities under `model` as it is now, without adapters: the reference.

    It should be ready to train (`precision.prepare`, adapters before that): in bf16 an answer's logarithm is
    off by a third of a nat or more, and cancels only against one that was computed in the same way.

    budget: tokens that are read at a time; a longer pair is read alone. precision: as in training.
    """
    training = model.training
    model.eval()
    found = list(pairs)
    lengths = [len(pair) for pair in pairs]
    try:
        for row in bins(lengths, max([budget, *lengths]), seed=0, epoch=0):
            packed = pack_pairs([pairs[index] for index in row])
            with lowered(model, precision), without_adapters(model):
                sums = per_document(row_logprobs(model, packed), packed.bounds)
            for index, chosen, rejected in zip(row, *(half.tolist() for half in halves(sums)), strict=True):
                found[index] = replace(pairs[index], reference=(chosen, rejected))
    finally:
        model.train(training)
    return found


@dataclass(frozen=True, slots=True)
class Dpo:
    """DPO's objective: the mean of `dpo.dpo_loss` over pairs; its arguments are there.

    normalised: log-probabilities are means over an answer's tokens instead of sums; None does so for ipo, as
    trl does. reference_free: the policy's alone. checkpointing: see `forward.hidden`.

    Beside the loss it tells `margin` (beta times the margin), `accuracy` (share of the pairs where that is
    above 0, the target left out), `chosen` and `rejected` (log of policy over reference, whole answers).
    """

    beta: float = 0.1
    kind: str = "sigmoid"
    label_smoothing: float = 0.0
    normalised: bool | None = None
    reference_free: bool = False
    target: float = 0.0
    checkpointing: bool | None = None

    def __post_init__(self) -> None:
        check(self.beta, self.kind, self.label_smoothing)

    def __call__(self, model: nn.Module, pairs: PackedPairs) -> Losses:
        assert isinstance(model, Transformer)
        sums = per_document(row_logprobs(model, pairs, self.checkpointing), pairs.bounds)
        base = None if self.reference_free else self.reference(model, pairs)
        normalised = self.kind == "ipo" if self.normalised is None else self.normalised
        tokens = answer_lengths(pairs) if normalised else torch.ones_like(sums)
        chosen, rejected = halves(sums / tokens)
        reference = (None, None) if base is None else halves(base / tokens)
        losses = dpo_loss(
            chosen,
            rejected,
            reference[0],
            reference[1],
            self.beta,
            self.kind,
            self.label_smoothing,
            self.target,
        )
        with torch.no_grad():
            margin = dpo_margin(chosen, rejected, *reference)
            moved, moved_rejected = halves(sums if base is None else sums - base)
        return {
            "total": losses.mean(),
            "margin": self.beta * margin.mean(),
            "accuracy": (margin > 0).float().mean(),
            "chosen": moved.mean(),
            "rejected": moved_rejected.mean(),
        }

    def reference(self, model: Transformer, pairs: PackedPairs) -> Tensor:
        """[2 B], kept with the pairs or computed without the model's adapters. Raises HandbookError as
        `as_reference`."""
        if pairs.reference is not None:
            return pairs.reference
        with as_reference(model):
            return per_document(row_logprobs(model, pairs), pairs.bounds)


@dataclass(frozen=True, slots=True)
class Orpo:
    """ORPO's objective: the mean of `orpo.orpo_loss` over pairs. weight: lambda, of the odds ratio.

    prompt: the likelihood that fine-tuning raises is that of the prompt's tokens too, as in trl, which also
    takes its mean over the tokens of the batch at once. Here each pair's is a mean of its own (equation 3),
    so that a batch cut in parts is the same batch.

    Beside the loss it tells `text` (mean negative log-likelihood), `odds` (the odds ratio's loss) and
    `accuracy` (share of the pairs where the chosen answer is likelier by token).
    """

    weight: float = 0.1
    prompt: bool = False
    checkpointing: bool | None = None

    def __call__(self, model: nn.Module, pairs: PackedPairs) -> Losses:
        assert isinstance(model, Transformer)
        weight, bias = head_of(model)
        states = hidden(model, pairs, self.checkpointing)
        targets = with_prompts(pairs) if self.prompt else pairs.targets
        every = token_logprobs(states, weight, targets, bias, model.config.logit_softcap)
        answers = every.where(pairs.targets != IGNORE, 0.0)
        chosen, rejected = halves(per_document(answers, pairs.bounds) / answer_lengths(pairs))
        odds = odds_ratio_loss(chosen, rejected)
        text = -chosen
        if self.prompt:
            tokens = per_document((targets != IGNORE).float(), pairs.bounds)
            text = -halves(per_document(every, pairs.bounds) / tokens.clamp(min=1))[0]
        return {
            "total": (text + self.weight * odds).mean(),
            "text": text.mean(),
            "odds": odds.mean(),
            "accuracy": (chosen > rejected).float().mean(),
        }


def with_prompts(pairs: PackedPairs) -> Tensor:
    """Targets [N] where the prompts of the chosen half count as well: the next token within a document."""
    following = pairs.tokens.roll(-1)
    ends = torch.tensor(pairs.bounds[1:], device=following.device) - 1
    following = following.index_fill(0, ends, IGNORE)
    half = pairs.bounds[len(pairs.bounds) // 2]
    return torch.cat((following[:half], pairs.targets[half:]))


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward model's objective: the mean of `reward.reward_loss` over pairs, for a `RewardModel`.

    Beside the loss it tells `margin` and `accuracy` of the rewards, and `level`, their mean.
    """

    centring: float = 0.0

    def __call__(self, model: nn.Module, pairs: PackedPairs) -> Losses:
        if not isinstance(model, RewardModel):
            raise HandbookError(
                f"Rewards are trained with a RewardModel, got a {type(model).__name__}.",
                "Make one of the decoder: RewardModel(decoder).",
            )
        rewards = model(pairs)
        chosen, rejected = halves(rewards)
        with torch.no_grad():
            margin = chosen - rejected
        return {
            "total": reward_loss(chosen, rejected, centring=self.centring).mean(),
            "margin": margin.mean(),
            "accuracy": (margin > 0).float().mean(),
            "level": rewards.detach().mean(),
        }
