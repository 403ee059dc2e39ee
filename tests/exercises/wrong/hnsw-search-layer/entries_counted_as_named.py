# Fault: counts an entry as often as it is named.
# Rejected by: test_entries_of_any_kind

import heapq

import numpy as np


def search_layer(query, entries, width, links, vectors):
    def distance_to(id):
        return float(np.sum((vectors[id] - query) ** 2))

    seen = set(entries := [int(id) for id in entries])
    candidates = [(distance_to(id), id) for id in seen]
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
    return sorted((-distance, id) for distance, id in results), len(seen) + len(entries) - len(set(entries))
