"""Training a cross-encoder: of several passages the one that answers should get the highest score.

The loss is the cross entropy of the right passage among the others that were found for its question: the
listwise loss of Cao et al. 2007 (ICML, "Learning to Rank: From Pairwise Approach to Listwise Approach") with
one relevant item, in deep learning known as InfoNCE (van den Oord et al. 2018, arXiv:1807.03748, equation 4).
What the others are decides what is learned: passages that a retriever found and that are wrong are hard,
random ones are told apart by a word.

The lower blocks don't train here and read each text alone, so what they make of it is worked out once and
kept (`Kept`), and a step computes the upper blocks only.

Axes: G questions, K passages of each, the right one first; N tokens of G K pairs end to end.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from handbook.model.cross import CrossEncoder, paired
from handbook.train.context import lowered
from handbook.train.loop import Losses

BEST_FIRST = 0


@dataclass(frozen=True, slots=True)
class Groups:
    """What is read at once: pairs [N, C] as `CrossEncoder.together` takes them, `each` of them a question."""

    tokens: Tensor
    lengths: tuple[int, ...]
    firsts: tuple[int, ...]
    each: int

    @property
    def weight(self) -> float:
        return len(self.lengths) / self.each


def ranking_loss(scores: Tensor) -> Tensor:
    """Mean over questions of -log softmax(scores)[0]: scores [G, K], the right passage's first."""
    return F.cross_entropy(scores, torch.full((len(scores),), BEST_FIRST))


def objective(model: nn.Module, groups: Groups) -> Losses:
    """The loss, and the share of questions whose right passage has the highest score.

    torch's fast attention takes twice the time of the plain one here on the way back, pairs being short.
    """
    assert isinstance(model, CrossEncoder)
    with sdpa_kernel(SDPBackend.MATH):
        scores = model.together(groups.tokens, groups.lengths, groups.firsts)
    table = scores.float().view(-1, groups.each)
    first = (table.argmax(dim=1) == BEST_FIRST).float().mean()
    return {"total": ranking_loss(table), "first": first.detach()}


class Kept:
    """What the lower blocks make of texts, worked out when first asked for and held in bf16.

    texts: as token ids. precision: that they are computed in.
    """

    def __init__(self, model: CrossEncoder, texts: Sequence[Sequence[int]], precision: str = "bf16") -> None:
        self._model, self._texts, self._precision = model, texts, precision
        self._held: dict[int, Tensor] = {}

    def __call__(self, places: Sequence[int]) -> list[Tensor]:
        """[T, C] of each of these texts."""
        missing = sorted({p for p in places if p not in self._held}, key=lambda p: len(self._texts[p]))
        if missing:
            lengths = [len(self._texts[place]) for place in missing]
            ids = torch.tensor([token for place in missing for token in self._texts[place]])
            with torch.no_grad(), lowered(self._model, self._precision):
                x = self._model.alone(ids, lengths).to(torch.bfloat16)
            self._held |= {p: part.clone() for p, part in zip(missing, torch.split(x, lengths), strict=True)}
        return [self._held[place] for place in places]


def grouped(questions: Kept, passages: Kept, rows: Sequence[tuple[int, Sequence[int]]]) -> Groups:
    """rows: (question, its passages, the right one first), each with as many."""
    asked = questions([question for question, found in rows for _ in found])
    x, lengths, firsts = paired(asked, passages([place for _, found in rows for place in found]))
    return Groups(x.float(), tuple(lengths), tuple(firsts), len(rows[0][1]))
