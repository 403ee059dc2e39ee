# Fault: takes the results out of the lists.
# Rejected by: test_shards_stay_as_they_were

import heapq
from collections.abc import Hashable, Iterable


def merge_results(
    shards: list[Iterable[tuple[Hashable, float]]],
    k: int,
) -> list[tuple[Hashable, float]]:
    if k < 0:
        raise ValueError(f"expected k of at least 0, got {k}")
    if k == 0:
        return []
    streams = [iter(lambda shard=shard: shard.pop(0) if shard else None, None) for shard in shards]
    heap: list[tuple[float, int, Hashable]] = []

    def read(shard: int) -> None:
        for document, score in streams[shard]:
            # one entry a shard, so its number settles every tie before documents are compared
            heapq.heappush(heap, (-score, shard, document))
            return

    for shard in range(len(streams)):
        read(shard)
    found: dict[Hashable, float] = {}
    while heap:
        negative, shard, document = heapq.heappop(heap)
        if document not in found:
            found[document] = -negative
            if len(found) == k:
                break
        read(shard)
    return list(found.items())
