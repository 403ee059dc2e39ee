"""The best results of several sorted streams."""

from collections.abc import Hashable, Iterable


def merge_results(
    shards: list[Iterable[tuple[Hashable, float]]],
    k: int,
) -> list[tuple[Hashable, float]]:
    raise NotImplementedError("a heap with the next result of each shard")
