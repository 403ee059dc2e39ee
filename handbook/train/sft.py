"""Supervised fine-tuning: the mean negative log-likelihood of the tokens that the assistant should say.

Ouyang et al. 2022 (arXiv:2203.02155), section 3.5, step one. Prompts are read and not learned: their targets
are IGNORE.

Axes: N tokens packed in one row.

Book: model-training/fine-tuning-strategies
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from handbook.model.transformer import Transformer
from handbook.train.logprobs import Counted, row_logprobs
from handbook.train.packing import IGNORE

if TYPE_CHECKING:
    from handbook.train.loop import Losses


def sft_loss(logprobs: Tensor, targets: Tensor) -> Tensor:
    """-mean over targets that count of log p(target | what came before): [N], [N] -> scalar, in nats.

    Raises ValueError where none counts.
    """
    counted = int((targets != IGNORE).sum())
    if not counted:
        raise ValueError("no target counts: every answer is empty or cut off")
    return -logprobs.sum() / counted


@dataclass(frozen=True, slots=True)
class Sft:
    """The objective: `sft_loss` of a packed row. checkpointing: see `forward.hidden`."""

    checkpointing: bool | None = None

    def __call__(self, model: nn.Module, packed: Counted) -> "Losses":
        assert isinstance(model, Transformer)
        loss = sft_loss(row_logprobs(model, packed, self.checkpointing), packed.targets)
        return {"total": loss, "text": loss}
