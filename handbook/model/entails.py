"""What a cross-encoder says of a statement: that a text says it, does not say it, or contradicts it.

The three classes are those of Bowman et al. 2015 (arXiv:1508.05326), section 2: entailment, neutral,
contradiction. The head compares what the encoder made of both halves of a pair by their difference and their
product (Mou et al. 2016, arXiv:1512.08422, section 2.3), beside the first token, which sees the whole pair
(Devlin et al. 2019, arXiv:1810.04805, section 4.1). An encoder of sentences is a good place to start from,
because its means are near each other where two texts mean the same.

The file has what training changed, and nothing more: each matrix of the blocks as the difference to the
installed encoder's, in 8 bits a number with a scale a row. The difference is small, so rounding it costs a
hundredth of what rounding the weights would.

Axes: B pairs, N tokens of all of them end to end, C width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from handbook.errors import ModelFileError
from handbook.model.cross import CrossEncoder
from handbook.model.encoder import Encoder, load_encoder
from handbook.model.weights.safetensors import SafetensorsWeights

SAYS, SILENT, DENIES = 0, 1, 2
CLASSES: Final = 3
COSINE = 5.0  # what the cosine of the two means counts at the start, for the first class
HALF = 0.5  # around which it counts
LEVELS = 127


class Entails(nn.Module):
    """Pairs [N, C], how long each is and how many of its tokens are the premise's -> logits [B, 3]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out = nn.Linear(4 * dim, CLASSES)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.near = nn.Parameter(torch.tensor([COSINE, 0.0, 0.0]))

    def forward(self, x: Tensor, lengths: Sequence[int], firsts: Sequence[int]) -> Tensor:
        x = x.float()
        premise, statement, begins = _means(x, lengths, firsts)
        cosine = F.cosine_similarity(premise, statement, dim=-1)
        seen = torch.cat(
            [x.index_select(0, begins), statement, (premise - statement).abs(), premise * statement], dim=-1
        )
        logits: Tensor = self.out(seen) + (cosine - HALF)[:, None] * self.near
        return logits


def _means(x: Tensor, lengths: Sequence[int], firsts: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean over each pair's premise and over its statement, [B, C] each, and where each pair begins [B]."""
    sizes = torch.tensor(
        [n for length, first in zip(lengths, firsts, strict=True) for n in (first, length - first)]
    )
    halves = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    sums = x.new_zeros(len(sizes), x.shape[1]).index_add(0, halves, x)
    means = (sums / sizes[:, None]).view(-1, 2, x.shape[1])
    return means[:, 0], means[:, 1], sizes.view(-1, 2).sum(1).cumsum(0) - sizes.view(-1, 2).sum(1)


def new_entailer(encoder: Encoder) -> CrossEncoder:
    """A pair is one text from the first block on: a word of the statement looks at words of the premise in
    every block. The embeddings stay as they are, blocks and head train."""
    model = CrossEncoder(encoder, Entails(encoder.config.dim))
    model.requires_grad_(True)
    for frozen in (encoder.words, encoder.positions, encoder.types):
        frozen.requires_grad_(False)
    return model


def changed_bytes(model: CrossEncoder, base: Encoder, about: Mapping[str, str]) -> bytes:
    """What `load_entailer` reads. about: said in the file's header, with `base`, the encoder's name."""
    before = base.state_dict()
    tensors: dict[str, Tensor] = {}
    for name, value in model.encoder.state_dict().items():
        change = value.detach().float() - before[name].float()
        if not change.any():
            continue
        if change.ndim == 2:
            scale = (change.abs().amax(dim=1, keepdim=True) / LEVELS).clamp(min=1e-12)
            tensors[f"{name}.change"] = (change / scale).round().to(torch.int8)
            tensors[f"{name}.scale"] = scale[:, 0].contiguous()
        else:
            tensors[f"{name}.change"] = change.contiguous()
    tensors |= {
        f"head.{name}": v.detach().float().contiguous() for name, v in model.head.state_dict().items()
    }
    return save(tensors, dict(about))


def base_of(file: Path) -> str:
    """The encoder that a change was trained for. Raises ModelFileError."""
    try:
        with safe_open(file, framework="pt") as opened:
            about = dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{file.name} cannot be read: {error}.", "Reinstall the handbook.") from error
    if "base" not in about:
        raise ModelFileError(f"{file.name} doesn't say its base.", "Reinstall the handbook.")
    return str(about["base"])


def load_entailer(folder: Path, file: Path) -> CrossEncoder:
    """The encoder of a folder with the change of a file added to its weights, so it costs nothing to run.

    Raises ModelFileError where the change is damaged or was trained for another encoder.
    """
    base_of(file)
    encoder = load_encoder(folder)
    model = CrossEncoder(encoder, Entails(encoder.config.dim))
    weights = SafetensorsWeights(file)
    _refuse(file, weights.shapes, model)
    for name, value in encoder.named_parameters():
        if f"{name}.change" in weights.shapes:
            change = weights.tensor(f"{name}.change").float()
            if value.ndim == 2:
                change *= weights.tensor(f"{name}.scale").float()[:, None]
            value.data = value.data + change
    model.head.load_state_dict({n: weights.tensor(f"head.{n}").float() for n in model.head.state_dict()})
    return model.eval().requires_grad_(False)


def _refuse(file: Path, found: Mapping[str, tuple[int, ...]], model: CrossEncoder) -> None:
    """Raises ModelFileError where a tensor is missing, unknown or of another shape."""
    wanted = {f"head.{name}": tuple(value.shape) for name, value in model.head.state_dict().items()}
    for name, value in model.encoder.named_parameters():
        if f"{name}.change" in found:
            wanted[f"{name}.change"] = tuple(value.shape)
            if value.ndim == 2:
                wanted[f"{name}.scale"] = (value.shape[0],)
    if wrong := sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name)):
        raise ModelFileError(
            f"{file.name} doesn't fit its encoder: {', '.join(wrong[:5])}.", "Reinstall the handbook."
        )
