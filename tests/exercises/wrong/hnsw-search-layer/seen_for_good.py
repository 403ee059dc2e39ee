# Fault: what was met stays met in the next call.
# Rejected by: test_calls_do_not_hang_together

import heapq

import numpy as np


def search_layer(query, entries, width, links, vectors):
    def distance_to(id):
        return float(np.sum((vectors[id] - query) ** 2))

    first = {int(id) for id in entries}
    seen = search_layer.__dict__.setdefault("seen", set())
    seen.update(first)
    candidates = [(distance_to(id), id) for id in first]
    results = [(-distance, id) for distance, id in candidates]
    heapq.heapify(candidates)
    heapq.heapify(results)
    while len(results) > width:
        heapq.heappop(results)
    while candidates:
        nearest, id = heapq.heappop(candidates)
        if len(results) >= width and nearest > -results[0][0]:
            break
        for other in links[id]:
            if other in seen:
                continue
            seen.add(other)
            distance = distance_to(other)
            if len(results) < width or distance < -results[0][0]:
                heapq.heappush(candidates, (distance, other))
                heapq.heappush(results, (-distance, other))
                if len(results) > width:
                    heapq.heappop(results)
    return sorted((-distance, id) for distance, id in results), len(seen)
