"""Documents that begin alike, computed once: two answers to one prompt, or a group's many.

A row's hidden state hangs on itself and what came before it in its document, so two documents that begin with
the same tokens have the same states there, and their keys and values too. The row is laid anew: what a group
shares once, then what each member has of its own, which sees the shared stretch before itself. Exact: the
states are the same, and backward sums what the members say of the shared ones.

Axes: N tokens of the packed row, M of the row laid anew, D documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from handbook.train.forward import Row
from handbook.train.kernels.twin import Stretch

LEAST = 8  # tokens that a shared beginning must have to be worth a stretch of its own


@dataclass(frozen=True, slots=True)
class Laid:
    """A row laid anew. rows [M]: which of the packed row's tokens it has. back [N]: where each packed token's
    state is to be found in it; None where all is as it was."""

    stretches: tuple[Stretch, ...]
    rows: Tensor
    back: Tensor | None


def lay(packed: Row) -> Laid:
    """Find documents that begin alike, and lay them so that what they share is there once."""
    tokens, bounds = packed.tokens.tolist(), packed.bounds
    documents = [tuple(tokens[a:b]) for a, b in pairwise(bounds)]
    groups = alike(documents)
    if all(len(group) == 1 for group, _ in groups):
        stretches = tuple(Stretch(a, b) for a, b in pairwise(bounds))
        return Laid(stretches, torch.arange(len(tokens)), None)
    rows: list[int] = []
    back = torch.empty(len(tokens), dtype=torch.int64)
    found: list[Stretch] = []
    for group, shared in groups:
        first, prefix = len(rows), None
        if shared:
            rows += range(bounds[group[0]], bounds[group[0]] + shared)
            prefix = len(found)
            found.append(Stretch(first, len(rows)))
        for document in group:
            begin, own = bounds[document], len(rows)
            back[begin : begin + shared] = torch.arange(first, first + shared)
            rows += range(begin + shared, bounds[document + 1])
            back[begin + shared : bounds[document + 1]] = torch.arange(own, len(rows))
            found.append(Stretch(own, len(rows), prefix))
    return Laid(tuple(found), torch.tensor(rows), back)


def alike(documents: Sequence[tuple[int, ...]], least: int = LEAST) -> list[tuple[list[int], int]]:
    """Groups of documents, and how many tokens all of a group begin with; 0 for a document by itself.

    In the order of their tokens those that begin alike stand together. One of them may end where the shared
    stretch ends, so its last token is left out of it.
    """
    groups: list[tuple[list[int], int]] = []
    for index in sorted(range(len(documents)), key=lambda i: documents[i]):
        document = documents[index]
        if groups:
            group, shared = groups[-1]
            first = documents[group[0]]
            most = min(len(document), len(first)) - 1 if len(group) == 1 else min(len(document) - 1, shared)
            common = next((i for i in range(most) if document[i] != first[i]), most)
            if common >= max(least, shared // 2):
                groups[-1] = [*group, index], common
                continue
        groups.append(([index], 0))
    return groups
