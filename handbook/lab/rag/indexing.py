"""Stage 4: how much of the data an index looks at, and what small codes lose. Vectors are clouds as hard as
MiniLM's embeddings of SciFact, so nothing has to be on this machine."""

from functools import cache

import numpy as np

from handbook.lab.rag.subjects import Vectors
from handbook.rag.nearest import exact, product, rabitq
from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.curve import Point, cheapest, curve

RECALL = 0.95
K = 10


def cloud(small: bool) -> tuple[Vectors, Vectors]:
    """Vectors and queries."""
    return clouds(1500, 40, 96) if small else clouds(10_000, 200)


@cache
def points(small: bool = True) -> tuple[Point, ...]:
    """Every index at every setting."""
    return tuple(curve(*cloud(small), K, width=60 if small else 100))


def _read(index: str, small: bool) -> float:
    """Share of all vectors that are compared in full at the first recall that is enough."""
    return cheapest(points(small), RECALL)[index].compared / len(cloud(small)[0])


def ivf_read(small: bool = True) -> float:
    return _read("IVF", small)


def hnsw_read(small: bool = True) -> float:
    return _read("HNSW", small)


def rabitq_read(small: bool = True) -> float:
    """Centres counted."""
    return _read("IVF + RaBitQ", small)


def _of(index: str, setting: str, small: bool) -> float:
    """The best recall of an index among its settings that end so."""
    own = (point for point in points(small) if point.index == index)
    return max(point.recall for point in own if point.setting.endswith(setting))


def pq_recall(small: bool = True) -> float:
    """Codes alone, all cells probed that are tried: a byte for eight dimensions."""
    return _of("IVF + PQ", "refine 1", small)


def pq_refined(small: bool = True) -> float:
    """Five times as many read in full."""
    return _of("IVF + PQ", "refine 5", small)


def pq_bytes(small: bool = True) -> float:
    """Bytes of a full vector over those of its code, books aside."""
    dimension = int(cloud(small)[0].shape[1])
    return 4 * dimension / (dimension // 8)


@cache
def _rotated(small: bool) -> tuple[Vectors, Vectors, rabitq.Codes]:
    vectors, queries = cloud(small)
    turn = rabitq.rotation(vectors.shape[1])
    middle = vectors.mean(axis=0)
    laid = (vectors - middle) @ turn
    return laid, (queries - middle) @ turn, rabitq.encode(laid)


def _errors(small: bool) -> tuple[Vectors, Vectors]:
    """Estimated minus true cosine, [Q, N], and the bound of each vector, [N]."""
    laid, queries, codes = _rotated(small)
    unit = laid / np.linalg.norm(laid, axis=1, keepdims=True)
    wrong = [
        rabitq.cosines_plain(query, codes) - unit @ (query / np.linalg.norm(query)) for query in queries[:40]
    ]
    return np.stack(wrong), rabitq.margins(codes, laid.shape[1])


def rabitq_bias(small: bool = True) -> float:
    """Mean error of an estimated cosine."""
    return float(_errors(small)[0].mean())


def rabitq_outside(small: bool = True) -> float:
    """Share of the estimates that are farther off than the bound."""
    wrong, wide = _errors(small)
    return float((np.abs(wrong) > wide).mean())


def rabitq_aligned(small: bool = True) -> float:
    """Mean cosine of a vector and the corner that stands for it."""
    return float(_rotated(small)[2].aligned.mean())


def rabitq_signs_alone(small: bool = True) -> float:
    """Slope of the sign bits' cosine over the true one, when nothing corrects it."""
    laid, queries, codes = _rotated(small)
    unit = laid / np.linalg.norm(laid, axis=1, keepdims=True)
    asked = queries[:40] / np.linalg.norm(queries[:40], axis=1, keepdims=True)
    true, raw = (unit @ asked.T).ravel(), (rabitq.decode(codes, laid.shape[1]) @ asked.T).ravel()
    return float(true @ raw / (true @ true))


def pq_short(small: bool = True) -> float:
    """Mean of estimated over mean of true squared distances to product codes."""
    vectors, queries = cloud(small)
    some = vectors[: 1500 if small else 4000]
    codes = product.PQ.of(some, some.shape[1] // 8)
    guessed = [product.look_up(product.table(query, codes.books), codes.codes) for query in queries[:20]]
    true = exact.pairwise(queries[:20], some)
    return float(np.mean(guessed) / true.mean())


def index_even(small: bool = True) -> float:
    """Nearest over median distance where vectors lie evenly in all dimensions: no index can skip any."""
    draw = np.random.default_rng(0)
    count = 1500 if small else 10_000
    vectors, queries = (draw.standard_normal((n, 384), np.float32) for n in (count, 40))
    return _contrast(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), queries)


def index_cloud(small: bool = True) -> float:
    """The same of the clouds."""
    return _contrast(*clouds(1500 if small else 10_000, 40))


def _contrast(vectors: Vectors, queries: Vectors) -> float:
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    distances = np.sqrt(exact.pairwise(unit, vectors))
    return float(np.mean(distances.min(axis=1) / np.median(distances, axis=1)))
