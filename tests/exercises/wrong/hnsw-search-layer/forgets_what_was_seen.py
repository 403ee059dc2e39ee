# Fault: marks what was met when it is opened, so it is compared more than once.
# Rejected by: test_each_vector_is_read_once

import heapq

import numpy as np


def search_layer(query, entries, width, links, vectors):
    def distance_to(id):
        return float(np.sum((vectors[id] - query) ** 2))

    seen = {int(id) for id in entries}
    candidates = [(distance_to(id), id) for id in seen]
    results = [(-distance, id) for distance, id in candidates]
    heapq.heapify(candidates)
    heapq.heapify(results)
    while len(results) > width:
        heapq.heappop(results)
    opened = set()
    while candidates:
        nearest, id = heapq.heappop(candidates)
        if len(results) >= width and nearest > -results[0][0]:
            break
        opened.add(id)
        for other in links[id]:
            if other in opened:
                continue
            seen.add(other)
            distance = distance_to(other)
            if len(results) < width or distance < -results[0][0]:
                heapq.heappush(candidates, (distance, other))
                if (-distance, other) not in results:
                    heapq.heappush(results, (-distance, other))
                if len(results) > width:
                    heapq.heappop(results)
    return sorted((-distance, id) for distance, id in results), len(seen)
