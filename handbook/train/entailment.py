"""Training an entailer: three classes, and the text that says a statement before those that don't.

Cross entropy over the classes (Bowman et al. 2015, arXiv:1508.05326) learns most from pairs that differ much.
What a grader has to tell apart differs little: the right answer, the confident wrong one with the same words
and the one beside the point. So pairs of one statement stand in one batch, and a second term asks that each
text that says it scores above all that do not: the cross entropy of the right one among them (van den Oord et
al. 2018, arXiv:1807.03748, equation 4), as in `handbook.train.ranking`.

Axes: B pairs, N tokens of all of them end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from handbook.model.cross import CrossEncoder
from handbook.model.entails import CLASSES, SAYS
from handbook.train.loop import Losses

NOT_SAID = 3  # a label beside the classes: silent or denied, it is not known which


@dataclass(frozen=True, slots=True)
class Pairs:
    """What is read at once. tokens, types [N]; of each pair its length, how many tokens are the premise's,
    its label (a class or NOT_SAID) and its statement (pairs of one statement are compared; -1: of none)."""

    tokens: Tensor
    types: Tensor
    lengths: tuple[int, ...]
    firsts: tuple[int, ...]
    labels: tuple[int, ...]
    statements: tuple[int, ...]

    @property
    def weight(self) -> float:
        return len(self.lengths)


def packed(
    pairs: Sequence[tuple[Sequence[int], Sequence[int], int, int]],
) -> Pairs:
    """pairs: (ids of the premise with its marks, ids of the statement with its end, label, statement's name).
    The shortest first, so that pairs of equal length stand together."""
    ordered = sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
    return Pairs(
        torch.tensor([token for first, second, *_ in ordered for token in (*first, *second)]),
        torch.tensor(
            [kind for first, second, *_ in ordered for kind in (*[0] * len(first), *[1] * len(second))]
        ),
        tuple(len(first) + len(second) for first, second, *_ in ordered),
        tuple(len(first) for first, *_ in ordered),
        tuple(label for *_, label, _ in ordered),
        tuple(name for *_, name in ordered),
    )


def class_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean of -log p: of the class, or of 'silent or denied' for NOT_SAID. logits [B, 3], labels [B]."""
    known = labels < CLASSES
    log_p = F.log_softmax(logits, dim=-1)
    not_said = torch.logsumexp(torch.cat([log_p[:, :SAYS], log_p[:, SAYS + 1 :]], dim=1), dim=1)
    picked = log_p.gather(1, labels.clamp(max=CLASSES - 1)[:, None])[:, 0]
    loss = -torch.where(known, (1 - smoothing) * picked + smoothing * log_p.mean(dim=1), not_said)
    return loss.mean()


def contrast_loss(logits: Tensor, labels: Tensor, statements: Tensor) -> Tensor:
    """Mean over texts that say their statement of -log softmax of their score among those that do not."""
    rest = torch.logsumexp(torch.cat([logits[:, :SAYS], logits[:, SAYS + 1 :]], dim=1), dim=1)
    scores = logits[:, SAYS] - rest
    says = (labels == SAYS) & (statements >= 0)
    against = (statements[:, None] == statements[None, :]) & (labels != SAYS)[None, :]  # [B, B]
    rows = torch.nonzero(says & against.any(dim=1))[:, 0]
    if not len(rows):
        return logits.sum() * 0.0
    others = scores[None, :].expand(len(rows), -1).masked_fill(~against[rows], -torch.inf)
    own = scores[rows]
    return (torch.logsumexp(torch.cat([own[:, None], others], dim=1), dim=1) - own).mean()


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss, its parts, and the share of pairs that are told right as said or not. For `loop.run`."""

    contrast: float = 0.5
    smoothing: float = 0.02

    def __call__(self, model: nn.Module, pairs: Pairs) -> Losses:
        assert isinstance(model, CrossEncoder)
        with sdpa_kernel(SDPBackend.MATH):  # short pairs: the fast one takes twice the time on the way back
            x = model.alone(pairs.tokens, pairs.lengths, pairs.types)
            logits = model.together(x, pairs.lengths, pairs.firsts).float()
        labels, statements = torch.tensor(pairs.labels), torch.tensor(pairs.statements)
        classes = class_loss(logits, labels, self.smoothing)
        contrast = contrast_loss(logits, labels, statements)
        right = ((logits.argmax(dim=1) == SAYS) == (labels == SAYS)).float().mean()
        total = classes + self.contrast * contrast
        return {"total": total, "classes": classes.detach(), "contrast": contrast.detach(), "right": right}
