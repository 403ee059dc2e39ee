"""From a text to batches: characters as tokens, a held-out tail, windows drawn by seed and step.

Axes: B sequences in a batch, T characters in each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from handbook.errors import TextUnavailable

HELD_OUT = 0.1  # share of the text, its end, that training never sees


class Characters:
    """A tokenizer whose tokens are the characters of one text, in code point order."""

    def __init__(self, text: str) -> None:
        self.symbols = "".join(sorted(set(text)))
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> list[int]:
        """Raises ValueError that names the characters that the text it was made of lacks."""
        if unknown := sorted(set(text) - self._ids.keys()):
            raise ValueError(f"no token for {', '.join(map(repr, unknown))}")
        return [self._ids[symbol] for symbol in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.symbols[i] for i in ids)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A text in two parts, as token ids [N] each, and its tokenizer."""

    tokenizer: Characters
    train: Tensor
    held_out: Tensor

    @classmethod
    def of(cls, text: str, length: int) -> "Corpus":
        """Split a text. Raises TextUnavailable where a part is too short for one window of `length`."""
        need = round((length + 1) / HELD_OUT) + 1
        if len(text) < need:
            raise TextUnavailable(
                f"The text has {len(text)} characters; windows of {length} need at least {need}.",
                "Name a longer text.",
            )
        tokenizer = Characters(text)
        ids = torch.tensor(tokenizer.encode(text))
        border = len(ids) - int(len(ids) * HELD_OUT)
        return cls(tokenizer, ids[:border], ids[border:])


class Windows(NamedTuple):
    """A batch of texts of one length: tokens and what comes after each, [B, T] both. All of them count."""

    tokens: Tensor
    targets: Tensor

    @property
    def weight(self) -> float:
        return float(self.targets.numel())


def batch_at(ids: Tensor, seed: int, step: int, batch: int, length: int) -> Windows:
    """Windows at random places, the same for the same (seed, step), of ids [N].

    No state goes from one step to the next, so a run that stopped goes on with the batches it would have had.
    """
    starts = np.random.default_rng((seed, step)).integers(0, len(ids) - length, size=batch)
    windows = ids[torch.from_numpy(starts)[:, None] + torch.arange(length + 1)]
    return Windows(windows[:, :-1], windows[:, 1:])


def windows(ids: Tensor, batch: int, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All of ids once, in windows side by side: inputs, targets [<= B, T]; what is left over is dropped."""
    count = (len(ids) - 1) // length
    inputs = ids[: count * length].view(count, length)
    targets = ids[1 : count * length + 1].view(count, length)
    yield from zip(torch.split(inputs, batch), torch.split(targets, batch), strict=True)
