"""HNSW: a graph of neighbours in layers; a search walks downhill from one entry point.

Malkov and Yashunin 2018, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical
Navigable Small World Graphs" (algorithms 1, 2, 4 and 5). Layer 0 holds every vector, each layer above a
share 1 / M of the one below. High layers are sparse, so their links are long: a search crosses the data
there in a few steps, and looks around only in layer 0.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import heapq
from collections.abc import Iterable, Sequence

import numpy as np

from handbook.rag.nearest.exact import Neighbours, Vectors, pairwise, squared_distances

Links = dict[int, list[int]]  # one layer: each member's neighbours
Near = list[tuple[float, int]]  # (distance, id), nearest first


def search_layer(
    query: Vectors, entries: Iterable[int], width: int, links: Links, vectors: Vectors
) -> tuple[Near, int]:
    """Up to `width` nearest that a walk from the entry points finds, and how many vectors it compared
    (algorithm 2; width is ef there).

    Takes the nearest candidate that has not been opened and looks at its neighbours. Ends once that candidate
    is farther than the worst of `width` results: its neighbours would hardly be nearer.
    """
    seen = set(entries)
    start = [(float(squared_distances(query, vectors[[id]])[0]), id) for id in seen]
    candidates = list(start)  # a heap, nearest on top
    heapq.heapify(candidates)
    results = [(-distance, id) for distance, id in start]  # a heap, farthest on top
    heapq.heapify(results)
    while len(results) > width:
        heapq.heappop(results)
    while candidates:
        distance, id = heapq.heappop(candidates)
        if len(results) == width and distance > -results[0][0]:
            break
        new = [other for other in links[id] if other not in seen]
        if not new:
            continue
        seen.update(new)
        for found, other in zip(squared_distances(query, vectors[new]).tolist(), new, strict=True):
            if len(results) < width or found < -results[0][0]:
                heapq.heappush(candidates, (found, other))
                heapq.heappush(results, (-found, other))
                if len(results) > width:
                    heapq.heappop(results)
    return sorted((-negative, id) for negative, id in results), len(seen)


def select_plain(candidates: Near, count: int, vectors: Vectors) -> list[int]:
    """Up to `count` of the candidates (nearest first) to link to, spread over directions (algorithm 4).

    A candidate that is nearer to one chosen already than to the point itself can be reached through that one,
    and gets no link: so a link also leads from one cloud to the next, where the `count` nearest would all lie
    in the same. Places left over go to the nearest of those passed over (keepPrunedConnections).
    """
    if len(candidates) <= count:
        return [id for _, id in candidates]
    chosen: list[int] = []
    passed: list[int] = []
    for distance, id in candidates:
        if len(chosen) == count:
            break
        if chosen and squared_distances(vectors[id], vectors[chosen]).min() < distance:
            passed.append(id)
        else:
            chosen.append(id)
    return chosen + passed[: count - len(chosen)]


def select(candidates: Near, count: int, vectors: Vectors) -> list[int]:
    """As `select_plain`, with the distances between all candidates taken at once.

    Building spends most of its time here, on small sets, where each call of NumPy costs more than its work.
    """
    if len(candidates) <= count:
        return [id for _, id in candidates]
    among = vectors[[id for _, id in candidates]]
    apart = pairwise(among, among)
    to_chosen = np.full(len(candidates), np.inf, np.float32)  # distance to the nearest chosen
    chosen: list[int] = []
    passed: list[int] = []
    for place, (distance, id) in enumerate(candidates):
        if len(chosen) == count:
            break
        if to_chosen[place] < distance:
            passed.append(id)
        else:
            chosen.append(id)
            np.minimum(to_chosen, apart[place], out=to_chosen)
    return chosen + passed[: count - len(chosen)]


class HNSW:
    """The graph, built by one insertion after another.

    Args:
        vectors: [N, D].
        links: M, links that a new vector makes in each layer; it keeps up to 2 M in layer 0 and M above.
        width: efConstruction, how widely an insertion looks for neighbours.
    """

    def __init__(self, vectors: Vectors, links: int = 16, width: int = 100, seed: int = 0) -> None:
        if links < 2 or width < 1:
            raise ValueError(f"expected at least 2 links and a width of 1, got {links} and {width}")
        self.vectors = vectors
        self.links = links
        self.width = width
        self.layers: list[Links] = []
        self.entry = -1
        draw = np.random.default_rng(seed)
        # A height of h has a chance of M^-h: exponential, with the mean 1 / ln M (section 4.1).
        heights = np.floor(-np.log(1 - draw.random(len(vectors))) / np.log(links)).astype(int)
        for id, height in enumerate(heights.tolist()):
            self.insert(id, height)

    def insert(self, id: int, height: int) -> None:
        """Link vector `id` into layers 0 to `height` (algorithm 1)."""
        top = len(self.layers) - 1
        for layer in range(min(height, top), -1, -1):
            self.layers[layer][id] = []
        if self.entry >= 0:
            query = self.vectors[id]
            entries = [self._descend(query, height)[0]]
            for layer in range(min(height, top), -1, -1):
                found, _ = search_layer(query, entries, self.width, self.layers[layer], self.vectors)
                self._connect(id, found, layer)
                entries = [other for _, other in found]
        if height > top:
            self.layers += [{id: []} for _ in range(height - top)]
            self.entry = id

    def search(self, query: Vectors, k: int, width: int = 50) -> Neighbours:
        """The k nearest that a walk of this width finds (algorithm 5; width is ef, and at least k)."""
        if self.entry < 0:
            return Neighbours(np.empty(0, np.int64), np.empty(0, np.float32), 0)
        entry, above = self._descend(query, 0)
        found, compared = search_layer(query, [entry], max(width, k), self.layers[0], self.vectors)
        ids = np.array([id for _, id in found[:k]], np.int64)
        distances = np.array([distance for distance, _ in found[:k]], np.float32)
        return Neighbours(ids, distances, above + compared)

    def _descend(self, query: Vectors, height: int) -> tuple[int, int]:
        """The nearest that a walk of width 1 finds from the top down to the layer above `height`, and the
        vectors compared."""
        entry, compared = self.entry, 0
        for layer in self.layers[:height:-1]:
            found, seen = search_layer(query, [entry], 1, layer, self.vectors)
            entry, compared = found[0][1], compared + seen
        return entry, compared

    def _connect(self, id: int, found: Near, layer: int) -> None:
        """Links both ways between `id` and some of what was found; who has too many then chooses anew."""
        links = self.layers[layer]
        most = 2 * self.links if layer == 0 else self.links
        links[id] = select(found, self.links, self.vectors)
        for other in links[id]:
            links[other].append(id)
            if len(links[other]) > most:
                links[other] = select(self._by_distance(other, links[other]), most, self.vectors)

    def _by_distance(self, id: int, others: Sequence[int]) -> Near:
        found = squared_distances(self.vectors[id], self.vectors[others]).tolist()
        return sorted(zip(found, others, strict=True))

    @property
    def bytes(self) -> int:
        """Memory of vectors and links, a link counted as four bytes (here, as a Python integer, it takes
        more)."""
        linked = sum(len(others) for layer in self.layers for others in layer.values())
        return self.vectors.nbytes + 4 * linked
