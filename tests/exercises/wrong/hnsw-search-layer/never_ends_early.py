# Fault: walks through all that can be reached.
# Rejected by: test_walk_ends_where_it_leads_away

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
    while candidates:
        _, id = heapq.heappop(candidates)
        for other in links[id]:
            if other in seen:
                continue
            seen.add(other)
            distance = distance_to(other)
            heapq.heappush(candidates, (distance, other))
            if len(results) < width or distance < -results[0][0]:
                heapq.heappush(results, (-distance, other))
                if len(results) > width:
                    heapq.heappop(results)
    return sorted((-distance, id) for distance, id in results), len(seen)
