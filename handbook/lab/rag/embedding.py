"""Stage 3: what an encoder never reads, what batches cost, what shorter and coarser vectors lose."""

from collections.abc import Callable

import numpy as np

from handbook.embed import BATCH_TOKENS, batches
from handbook.lab.rag.subjects import NDCG, Subject, Vectors, embedder, ranked, run, subject
from handbook.rag.embedding import Binary, Int8, Whole, rescored

WINDOW = 256  # tokens that all-MiniLM-L6-v2 reads, [CLS] and [SEP] among them
PADDED = 32  # texts of a batch that takes them as they come


def lengths(found: Subject) -> list[int]:
    """Tokens of each document as the encoder would see it whole."""
    read = embedder().tokenizer()
    return [len(one.ids) for one in read.encode_batch_fast(found.bodies)]


def embed_unread(small: bool = True) -> float:
    """Share of the documents that are longer than what is read of them."""
    return float(np.mean([length > WINDOW for length in lengths(subject("scifact", small))]))


def embed_unread_tokens(small: bool = True) -> float:
    """Share of all tokens that lie beyond it."""
    found = lengths(subject("scifact", small))
    return sum(max(0, length - WINDOW) for length in found) / sum(found)


def embed_padding(small: bool = True) -> float:
    """Tokens computed where texts are batched as they come and filled up to the longest, over those where
    batches are of like lengths and nothing is filled up. Counted on CACM, whose records are of all lengths.
    """
    found = [min(length, WINDOW) for length in lengths(subject("cacm", small))]
    as_they_come = (found[start : start + PADDED] for start in range(0, len(found), PADDED))
    packed = sum(found[place] for batch in batches(found, BATCH_TOKENS) for place in batch)
    return sum(len(batch) * max(batch) for batch in as_they_come) / packed


def unit(vectors: Vectors) -> Vectors:
    found: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return found


def quality(found: Subject, score: Callable[[Vectors], Vectors]) -> float:
    """nDCG@10 where documents are ranked by a score that is computed from the question's vector."""
    return found.mean(
        run({query: ranked(found.ids, score(vector)) for query, vector in found.asked.items()}), NDCG
    )


def kept(found: Subject, score: Callable[[Vectors], Vectors]) -> float:
    return quality(found, score) / found.mean(run(found.dense), NDCG)


def shorter(found: Subject, dimension: int) -> float:
    """The first entries alone, brought to length 1 again; over the whole vectors."""
    documents = unit(found.vectors[:, :dimension])
    return kept(found, lambda vector: documents @ unit(vector[:dimension]))


def embed_half(small: bool = True) -> float:
    return shorter(subject("scifact", small), 192)


def embed_quarter(small: bool = True) -> float:
    return shorter(subject("scifact", small), 96)


def embed_int8(small: bool = True) -> float:
    """A byte an entry, a scale a vector."""
    found = subject("scifact", small)
    return kept(found, Int8.of(found.vectors).scores)


def embed_binary(small: bool = True) -> float:
    """The sign of each entry, on both sides."""
    found = subject("scifact", small)
    signs = Binary.of(found.vectors)
    return kept(found, lambda vector: -signs.distances(vector).astype(np.float32))


def embed_binary_rescored(small: bool = True) -> float:
    """Signs choose 100 documents, and full vectors order those."""
    found = subject("scifact", small)
    signs, whole = Binary.of(found.vectors), Whole(found.vectors)
    chosen = {
        query: [found.ids[place] for place in rescored(vector, signs, 25, whole, 4)]
        for query, vector in found.asked.items()
    }
    return found.mean(chosen) / found.mean(run(found.dense))


def summed(found: Subject) -> Vectors:
    """Vectors as long as their texts: what is left where token vectors are added up and never divided by
    their number, here put back by multiplying with it."""
    tokens = np.minimum(lengths(found), WINDOW)
    return found.vectors * tokens[:, None].astype(np.float32)


def embed_sum_inner(small: bool = True) -> float:
    """nDCG@10 on CACM of inner products with such vectors."""
    found = subject("cacm", small)
    documents = summed(found)
    return quality(found, lambda vector: documents @ vector)


def embed_sum_cosine(small: bool = True) -> float:
    """And of cosines, which don't see a length."""
    found = subject("cacm", small)
    documents = unit(summed(found))
    return quality(found, lambda vector: documents @ vector)


def by_size(small: bool = True) -> dict[str, list[tuple[float, float]]]:
    """nDCG@10 kept by bytes of a vector, for the plot."""
    found = subject("scifact", small)
    return {
        "first entries, fp32": [(4.0 * d, shorter(found, d)) for d in (24, 48, 96, 192, 288, 384)],
        "int8": [(384.0, embed_int8(small))],
        "signs": [(48.0, embed_binary(small))],
        "signs, best 100 in full": [(48.0, embed_binary_rescored(small))],
    }
