"""Late chunking: read the whole text first, cut afterwards.

A chunk that is embedded alone has lost what its pronouns stand for. Here the encoder reads the text whole,
and a chunk's vector is the mean of the token vectors that lie in it: each of them has seen its surroundings.
Guenther et al. 2024, "Late Chunking: Contextual Chunk Embeddings Using Long-Context Embedding Models"
(arXiv:2409.04701), section 3; texts longer than the encoder's window go through it in windows that overlap
(their "long late chunking"). What a chunk gains ends at the window.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from handbook.rag.nouns import Span
from handbook.rag.recursive import join
from handbook.rag.tokens import Count, estimate, ruler
from handbook.rag.windows import overlapped

TokenVectors = Callable[[str], tuple[NDArray[np.intp], NDArray[np.float32]]]
"""A text -> where its tokens lie, [T, 2] as (start, end) in the text, and their vectors, [T, D]. Tokens of no
characters ([CLS]) may be among them, as (0, 0)."""

CONTEXT = 64  # tokens that a window reads again of the one before


def late(
    text: str,
    chunks: Sequence[Span],
    token_vectors: TokenVectors,
    window: int,
    count: Count | None = None,
    context: int = CONTEXT,
) -> NDArray[np.float32]:
    """[N] chunks of one text, in order -> unit vectors [N, D].

    window: the most tokens of text that `token_vectors` reads at once; each window takes as many whole chunks
    as go into it. What a chunk has beyond a window is not read. A chunk without a token of its own has the
    mean of its window.
    """
    measure = ruler(text, count or estimate())
    groups = join([(chunk.start, chunk.end) for chunk in chunks], max(1, window - context), measure)
    begun = overlapped(text, [Span(start, end) for start, end in groups], context, window, measure)
    rows: list[NDArray[np.float32]] = []
    rest = iter(chunks)
    chunk = next(rest, None)
    for (_, last), reading in zip(groups, begun, strict=True):
        places, vectors = token_vectors(text[reading.start : reading.end])
        while chunk is not None and chunk.end <= last:
            rows.append(_mean(places + reading.start, vectors, chunk, places[:, 1] > places[:, 0]))
            chunk = next(rest, None)
    return np.stack(rows) if rows else np.zeros((0, 0), np.float32)


def _mean(
    places: NDArray[np.intp], vectors: NDArray[np.float32], chunk: Span, real: NDArray[np.bool_]
) -> NDArray[np.float32]:
    own = real & (places[:, 0] >= chunk.start) & (places[:, 1] <= chunk.end)
    mean = vectors[own if own.any() else slice(None)].mean(axis=0)
    unit: NDArray[np.float32] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return unit
