"""Several rankings made one, by rank alone."""

from collections.abc import Hashable, Sequence


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[Hashable]], k: float = 60.0, weights: Sequence[float] | None = None
) -> list[tuple[Hashable, float]]:
    raise NotImplementedError("the sum of weight / (k + rank), best first")
