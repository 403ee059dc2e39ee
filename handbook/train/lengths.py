"""How long the examples of a set are: what decides the budget of a row and the limit of an example."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handbook.train.examples import Example

PERCENTILES = (0, 50, 90, 99, 100)


@dataclass(frozen=True, slots=True)
class Lengths:
    """tokens: of all examples; counted: those that are trained on. percentiles: lengths at PERCENTILES.
    over: how many examples are longer than `limit`; beyond: how many tokens they have too many. padded:
    tokens that batches of `batch` in the order given would take, each filled up to its longest."""

    examples: int
    tokens: int
    counted: int
    percentiles: tuple[int, ...]
    limit: int
    over: int
    beyond: int
    batch: int
    padded: int

    def __str__(self) -> str:
        spread = ", ".join(
            f"{percent} %: {length}" for percent, length in zip(PERCENTILES, self.percentiles, strict=True)
        )
        return (
            f"{self.examples} examples, {self.tokens} tokens, {self.counted / self.tokens:.0%} trained on\n"
            f"length by percentile: {spread}\n"
            f"longer than {self.limit}: {self.over} examples, by {self.beyond} tokens\n"
            f"padding would make {self.padded / self.tokens:.2f} times the tokens in batches of {self.batch}"
        )


def lengths_of(examples: Sequence[Example], limit: int, batch: int = 8) -> Lengths:
    """Raises ValueError for no examples."""
    if not examples:
        raise ValueError("there are no examples to measure")
    sizes = np.array([len(example) for example in examples])
    spread = np.percentile(sizes, PERCENTILES, method="higher")
    parts = [sizes[start : start + batch] for start in range(0, len(sizes), batch)]
    return Lengths(
        examples=len(examples),
        tokens=int(sizes.sum()),
        counted=sum(example.weight for example in examples),
        percentiles=tuple(int(length) for length in spread),
        limit=limit,
        over=int((sizes > limit).sum()),
        beyond=int((sizes - limit).clip(0).sum()),
        batch=batch,
        padded=int(sum(part.max() * len(part) for part in parts)),
    )
