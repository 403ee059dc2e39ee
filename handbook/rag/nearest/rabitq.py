"""RaBitQ: a bit a dimension, an estimate of the distance that is right on average, and how far off it can be.

Gao and Long 2024, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for Approximate
Nearest Neighbor Search" (SIGMOD). Rotate all vectors by one random rotation, then keep the sign of each
entry. A unit vector o is written as the corner x of the cube {-1, +1}^D / sqrt(D) that is nearest to it
(section 3.1.3). For a unit query q, x·q / x·o is an estimate of o·q without bias over the rotations
(theorem 3.2), and x·o can be computed once, when o is coded. Product quantization knows no such bound.

Functions here take vectors that have been rotated already: a rotation changes no distance.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handbook.rag.nearest.exact import Vectors

Bits = NDArray[np.uint8]

EPSILON = 1.9  # bounds fail rarely at this many standard widths (section 5.2.4)
QUERY_BITS = 4  # of a query's entry; more gains nothing (section 5.2.5)
_ONES = np.array([value.bit_count() for value in range(256)], np.uint8)  # bits set in a byte
_WORD = 8  # bytes that a processor counts at once; rows of bits are a multiple of it long


class Codes(NamedTuple):
    """Vectors as bits. bits: [N, B] bytes, ceil(D / 8) and zeros up to a multiple of 8.
    norms: [N], the length that each vector had. aligned: [N], x·o, about 0.8 where D is large."""

    bits: Bits
    norms: Vectors
    aligned: Vectors

    def some(self, start: int, end: int) -> "Codes":
        return Codes(self.bits[start:end], self.norms[start:end], self.aligned[start:end])


class Query(NamedTuple):
    """A query rotated, brought to length 1 and rounded to a few bits an entry: low + step x an integer.

    planes: [P, B], bit p of each integer, packed as the codes are. total: sum of the integers.
    """

    planes: Bits
    low: float
    step: float
    total: int
    norm: float
    dimension: int


def rotation(dimension: int, seed: int = 0) -> Vectors:  # [D, D]
    """A rotation (or reflection), all equally likely: R of the QR decomposition of normal numbers made
    positive (Mezzadri 2007, "How to Generate Random Matrices from the Classical Compact Groups", section 5).
    """
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))
    found: Vectors = (q * np.sign(np.diagonal(r))).astype(np.float32)
    return found


def packed(bits: NDArray[np.bool_]) -> Bits:  # [N, D] -> [N, B]
    """Eight bits a byte, and zeros up to a multiple of 8 bytes."""
    found = np.zeros((len(bits), -(-bits.shape[1] // (8 * _WORD)) * _WORD), np.uint8)
    found[:, : -(-bits.shape[1] // 8)] = np.packbits(bits, axis=1)
    return found


def encode(vectors: Vectors) -> Codes:  # [N, D], rotated, relative to a centre
    """The sign of each entry, the length, and how well the corner and the vector are aligned.

    A vector of length zero is coded as any direction: its length takes it out of every sum.
    """
    norms = np.linalg.norm(vectors, axis=1)
    dimension = vectors.shape[1]
    with np.errstate(invalid="ignore"):
        aligned = np.abs(vectors).sum(axis=1) / (np.sqrt(dimension) * norms)  # x and o have equal signs
    return Codes(packed(vectors > 0), norms, np.where(norms > 0, aligned, 1).astype(np.float32))


def decode(codes: Codes, dimension: int) -> Vectors:  # [N, D]
    """The corners x: unit vectors with entries of ±1 / sqrt(D)."""
    signs = np.unpackbits(codes.bits, axis=1, count=dimension).astype(np.float32)
    return (2 * signs - 1) / np.float32(np.sqrt(dimension))


def cosines_plain(query: Vectors, codes: Codes) -> Vectors:  # [D], rotated -> [N]
    """Estimated cosines between the query and the vectors that were coded (equation 13)."""
    unit = query / np.linalg.norm(query)
    return decode(codes, len(query)) @ unit / codes.aligned


def rounded(query: Vectors, draw: np.random.Generator, bits: int = QUERY_BITS) -> Query:  # [D], rotated
    """The query on a grid of 2^bits values between its smallest and largest entry (section 3.3.1).

    Each entry is rounded up or down by chance, the nearer value being the likelier, so that rounding has no
    bias either. A query of length zero is all zeros.
    """
    norm = float(np.linalg.norm(query))
    unit = query / norm if norm else query
    low, high = float(unit.min()), float(unit.max())
    step = (high - low) / (2**bits - 1) or 1.0
    grid = np.floor((unit - low) / step + draw.random(len(unit))).astype(np.int64).clip(0, 2**bits - 1)
    planes = packed((grid >> np.arange(bits)[:, None]) & 1 == 1)
    return Query(planes, low, step, int(grid.sum()), norm, len(query))


def unrounded(query: Query) -> Vectors:  # [D]
    """The unit query as its rounded form has it."""
    planes = np.unpackbits(query.planes, axis=1, count=query.dimension).astype(np.int64)
    grid = (planes << np.arange(len(planes))[:, None]).sum(axis=0)
    found: Vectors = (query.low + query.step * grid).astype(np.float32)
    return found


def bits_set_plain(rows: Bits) -> NDArray[np.int64]:  # [..., B] -> [...]
    """How many bits are set in each row, looked up byte by byte."""
    found: NDArray[np.int64] = _ONES[rows].sum(axis=-1, dtype=np.int64)
    return found


def bits_set(rows: Bits) -> NDArray[np.int64]:  # [..., B] -> [...]
    """The same, 64 bits an instruction where NumPy has it (from 2.0 on)."""
    if not hasattr(np, "bitwise_count"):
        return bits_set_plain(rows)
    counts = np.bitwise_count(rows.view(np.uint64))
    # einsum, because `sum` is slow along an axis of a few words.
    found: NDArray[np.int64] = np.einsum("...w->...", counts, dtype=np.int64)
    return found


def cosines(query: Query, codes: Codes) -> Vectors:  # [N]
    """`cosines_plain` of the rounded query by counting bits: no entry of a vector is ever multiplied.

    The sum over set bits of a vector of a query's integers is the sum over planes p of 2^p times the number
    of bits that vector and plane share (equation 22); the rest brings signs and grid back (equation 20).
    """
    each = bits_set(codes.bits[:, None, :] & query.planes)  # [N, P]
    shared = each @ (1 << np.arange(len(query.planes)))
    inner = 2 * query.step * shared + 2 * query.low * bits_set(codes.bits) - query.step * query.total
    inner = (inner - query.dimension * query.low) / np.sqrt(query.dimension)
    found: Vectors = (inner / codes.aligned).astype(np.float32)
    return found


def margins(codes: Codes, dimension: int, epsilon: float = EPSILON) -> Vectors:  # [N]
    """How far a cosine's estimate is off at most, but for a chance that falls as exp(-c epsilon²)
    (theorem 3.2)."""
    aligned = codes.aligned
    wide = np.sqrt(np.maximum(1 - aligned**2, 0)) / aligned
    found: Vectors = (wide * epsilon / np.sqrt(max(1, dimension - 1))).astype(np.float32)
    return found


def distances(cosines: Vectors, codes: Codes, norm: float) -> Vectors:  # [N] -> [N]
    """Squared distances to a query of length `norm` from the same centre, by the law of cosines
    (equation 2)."""
    found: Vectors = codes.norms**2 + norm**2 - 2 * codes.norms * norm * cosines
    return np.maximum(found, 0)
