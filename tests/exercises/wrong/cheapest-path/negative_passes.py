# Fault: goes on with negative latencies, and may return a slower route.
# Rejected by: test_negative_latency_is_refused

import heapq
import itertools
from collections.abc import Hashable


def quickest_route(
    links: dict[Hashable, list[tuple[Hashable, int]]],
    start: Hashable,
    goal: Hashable,
) -> tuple[int, list[Hashable]] | None:
    turn = itertools.count()  # settles ties in the heap, so places are never compared
    best: dict[Hashable, int] = {start: 0}
    came: dict[Hashable, Hashable] = {}
    heap: list[tuple[int, int, Hashable]] = [(0, next(turn), start)]
    while heap:
        time, _, place = heapq.heappop(heap)
        if place == goal:
            route = [goal]
            while route[-1] != start:
                route.append(came[route[-1]])
            return time, route[::-1]
        if time > best[place]:  # an older, slower entry: its links have been followed already
            continue
        for other, latency in links.get(place, ()):
            if other not in best or time + latency < best[other]:
                best[other], came[other] = time + latency, place
                heapq.heappush(heap, (time + latency, next(turn), other))
    return None
