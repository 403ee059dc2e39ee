"""Stage 8, last: which passages go into the context, and in which order they stand there.

A model uses what stands at the beginning and at the end of a long context better than what stands in its
middle: Liu et al. 2023, "Lost in the Middle: How Language Models Use Long Contexts" (arXiv:2307.03172),
section 2.3. So the weakest passages go into the middle.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from handbook.rag.columns import body
from handbook.rag.nouns import Found
from handbook.rag.tokens import Count

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Packed:
    """kept: what goes into the context, best first. left: what does not. tokens: of what is kept."""

    kept: tuple[Found, ...]
    left: tuple[Found, ...]
    tokens: int


def pack(
    found: Sequence[Found], budget: int, count: Count, most: int | None = None, wrapping: int = 0
) -> Packed:
    """As many hits as fit, taken in their order; one that is too long is passed over, and shorter ones behind
    it still get in. None is cut: what is cited stands in the context whole.

    Args:
        budget: tokens that the hits may have together, titles and wrapping counted.
        count: tokens of a text.
        most: hits at most.
        wrapping: tokens that go around each hit (tags, numbers).
    Raises ValueError for a negative budget, most or wrapping.
    """
    if min(budget, wrapping, most or 0) < 0:
        raise ValueError(
            f"expected a budget, most and wrapping of 0 or more, got {budget}, {most} and {wrapping}"
        )
    kept: list[Found] = []
    left: list[Found] = []
    tokens = 0
    for one in found:
        cost = wrapping + count(body(one.row)) if most is None or len(kept) < most else budget + 1
        if tokens + cost <= budget:
            kept.append(one)
            tokens += cost
        else:
            left.append(one)
    return Packed(tuple(kept), tuple(left), tokens)


def ends_first(items: Sequence[T]) -> list[T]:
    """Best first -> the best at both ends and the weakest in the middle: 1 2 3 4 5 -> 1 3 5 4 2."""
    return [*items[::2], *items[1::2][::-1]]
