# Fault: counts a document that was met already towards k.
# Rejected by: test_repetitions_do_not_count_towards_k

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
    streams = [iter(shard) for shard in shards]
    heap: list[tuple[float, int, Hashable]] = []

    def read(shard: int) -> None:
        for document, score in streams[shard]:
            # one entry a shard, so its number settles every tie before documents are compared
            heapq.heappush(heap, (-score, shard, document))
            return

    for shard in range(len(streams)):
        read(shard)
    found: dict[Hashable, float] = {}
    taken = 0
    while heap:
        negative, shard, document = heapq.heappop(heap)
        taken += 1
        if document not in found:
            found[document] = -negative
        if taken == k:
            break
        read(shard)
    return list(found.items())
