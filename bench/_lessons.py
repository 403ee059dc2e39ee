"""Examples as steps of training: read into tokens once, pairs of one statement in one step, lengths mixed.

A step is a function of its number alone, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _entailments import Example

if TYPE_CHECKING:
    from handbook.train.entailment import Pairs

PREMISE, STATEMENT = 96, 64  # tokens that are read of each
TOGETHER = 8  # pairs of one statement in a step, at most
Group = Sequence[Example]


def chunks(groups: Sequence[Group], random_: random.Random, most: int = TOGETHER) -> list[list[Example]]:
    """Groups cut to `most` pairs, each piece with the shares of labels of the whole."""
    found = []
    for group in groups:
        shuffled = random_.sample(list(group), len(group))
        parts = -(-len(shuffled) // most)
        ordered = sorted(shuffled, key=lambda each: each.label)
        found += [ordered[part::parts] for part in range(parts)]
    return found


def limited(groups: list[list[Example]], most: int, random_: random.Random) -> list[list[Example]]:
    """Whole groups, drawn at random, of about `most` examples; all where most is 0."""
    if not most:
        return groups
    kept: list[list[Example]] = []
    total = 0
    for group in random_.sample(groups, len(groups)):
        if total >= most:
            break
        kept.append(group)
        total += len(group)
    return kept


class Lessons:
    """Steps of about `tokens` tokens each, round after round, each in an order of the seed; a group is never
    cut in two."""

    def __init__(self, tokenizer: Any, rounds: Sequence[Sequence[Group]], tokens: int, seed: int) -> None:
        random_ = random.Random(seed)
        groups: list[Group] = []
        for each in rounds:
            mixed = list(each)
            random_.shuffle(mixed)
            groups += mixed
        names = {
            text: place for place, text in enumerate(dict.fromkeys(e.statement for g in groups for e in g))
        }
        self._read = _tokens(tokenizer, [(e.premise, e.statement) for g in groups for e in g])
        self._rows: list[list[tuple[int, int, int]]] = []
        place = 0
        parts = []
        for group in groups:
            parts.append([(place + n, each.label, names[each.statement]) for n, each in enumerate(group)])
            place += len(group)
        row: list[tuple[int, int, int]] = []
        size = 0
        for part in parts:
            length = sum(len(self._read[at][0]) + len(self._read[at][1]) for at, *_ in part)
            if row and size + length > tokens:
                self._rows.append(row)
                row, size = [], 0
            row = row + part
            size += length
        self._rows.append(row)
        self.tokens = sum(len(a) + len(b) for a, b in self._read)
        self.pairs = place

    def __len__(self) -> int:
        return len(self._rows)

    def __call__(self, step: int) -> list[Pairs]:
        from handbook.train.entailment import packed

        return [packed([(*self._read[at], label, name) for at, label, name in self._rows[step % len(self)]])]


def _tokens(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
    """Ids of the premise with both its marks, and of the statement with its end."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(PREMISE)
    premises = [one.ids for one in tokenizer.encode_batch_fast([premise for premise, _ in pairs])]
    tokenizer.enable_truncation(STATEMENT)
    statements = [one.ids[1:] for one in tokenizer.encode_batch_fast([text for _, text in pairs])]
    return list(zip(premises, statements, strict=True))


def logits_of(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], budget: int = 2048) -> Any:
    """[N, 3] of a model in training; fp32, without gradients."""
    import torch

    from handbook.embed import batches
    from handbook.train.entailment import packed

    read = _tokens(tokenizer, pairs)
    found = np.empty((len(read), 3), np.float32)
    model.eval()
    with torch.inference_mode():
        for batch in batches([len(a) + len(b) for a, b in read], budget):
            ordered = sorted(batch, key=lambda at: len(read[at][0]) + len(read[at][1]))
            each = packed([(*read[at], 0, -1) for at in ordered])
            x = model.alone(each.tokens, each.lengths, each.types)
            found[ordered] = model.together(x, each.lengths, each.firsts).numpy()
    model.train()
    return found


def digest(files: Sequence[Path]) -> str:
    """SHA-256 over files by name and content."""
    import hashlib

    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(file.name.encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()
