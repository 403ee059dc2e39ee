"""The exercises of the chapter on retrieval, beside the package's own code, which does more."""

import importlib.util
import random
import sys
from types import ModuleType

import numpy as np
import pytest

from handbook.book.load import open_book
from handbook.rag import support
from handbook.rag.bm25 import BM25
from handbook.rag.diversity import mmr
from handbook.rag.fuse import reciprocal_rank_fusion
from handbook.rag.late_interaction import max_sims
from handbook.rag.nearest import hnsw, ivf, kmeans, product
from handbook.rag.places import Cut
from handbook.rag.recursive import split

BOOK = open_book()


def solution(exercise: str) -> ModuleType:
    path = BOOK.exercises[exercise].file("solution.py")
    name = f"solution_{exercise.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(10))
def test_scores_are_those_of_the_package(seed: int) -> None:
    chance = random.Random(seed)
    texts = [chance.choices("abcdefghij", k=chance.randint(0, 20)) for _ in range(40)]
    query = ["a", *chance.choices("abcxyz", k=3)]
    mine = solution("bm25-search").BM25(texts, 0.9, 0.4).search(query, 1000)
    theirs = BM25(texts, 0.9, 0.4).search(query, 1000)
    assert dict(mine) == pytest.approx(dict(theirs), rel=1e-9)
    assert len(mine) == len(theirs) > 5


@pytest.mark.parametrize("seed", range(10))
def test_ranks_are_fused_as_the_package_fuses_them(seed: int) -> None:
    chance = random.Random(seed)
    rankings = [chance.sample(range(30), chance.randint(0, 20)) for _ in range(3)]
    weights = [chance.random() for _ in rankings]
    mine = solution("reciprocal-rank-fusion").reciprocal_rank_fusion(rankings, 20.0, weights)
    assert mine == reciprocal_rank_fusion(rankings, 20.0, weights)


def unit(shape: tuple[int, ...], seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("balance", [0.0, 0.3, 0.7, 1.0])
def test_the_same_passages_are_chosen(balance: float) -> None:
    vectors, relevance = unit((60, 8), 0), np.random.default_rng(1).random(60)
    mine = solution("maximal-marginal-relevance").mmr(relevance, vectors, 20, balance)
    assert mine == mmr(relevance, vectors, 20, balance)


def behind(separator: str) -> Cut:
    def cut(text: str, start: int, end: int) -> list[int]:
        return [p for p in range(start + 1, end) if text.startswith(separator, p - len(separator))]

    return cut


@pytest.mark.parametrize("seed", range(10))
def test_a_text_is_cut_as_the_package_cuts_it_at_the_same_places(seed: int) -> None:
    """No word is longer than the limit: there the package halves what the exercise cuts into characters."""
    chance, module = random.Random(seed), solution("recursive-splitter")
    words = (chance.choice(["a", "of", "rather", "Sentence."]) for _ in range(300))
    text = "".join(word + chance.choice([" "] * 8 + ["\n", "\n\n"]) for word in words)
    cuts = [behind(separator) for separator in module.SEPARATORS]
    pieces = split(text, 0, len(text), 40, lambda start, end: end - start, cuts)
    expected = [module.trimmed(text, start, end) for start, end in pieces]
    assert module.split(text, 40) == [(start, end) for start, end in expected if start < end]
    assert len(expected) > 20


@pytest.mark.parametrize("width", [1, 5, 30])
def test_the_walk_is_that_of_the_package(width: int) -> None:
    vectors = unit((300, 6), 2)
    layer = hnsw.HNSW(vectors, links=4, width=20).layers[0]
    for query in unit((10, 6), 3):
        mine, compared = solution("hnsw-search-layer").search_layer(query, [0, 7], width, layer, vectors)
        theirs, seen = hnsw.search_layer(query, [0, 7], width, layer, vectors)
        assert [id for _, id in mine] == [id for _, id in theirs]
        assert [d for d, _ in mine] == pytest.approx([d for d, _ in theirs], rel=1e-4)
        assert compared == seen


def test_centres_and_cells_are_those_of_the_package() -> None:
    vectors, module = unit((400, 5), 4), solution("ivf-kmeans")
    for seed in range(5):
        theirs = kmeans.kmeans(vectors, 12, 6, seed)
        start = kmeans.seeds(vectors, 12, np.random.default_rng(seed))
        centres, cells = module.kmeans(vectors, start, 6)
        assert np.array_equal(cells, theirs.cells)
        assert np.allclose(centres, theirs.centres, atol=1e-5)
    index = ivf.IVF(vectors, 12)
    mine = module.IVF(vectors, index.centres)
    for query in unit((20, 5), 5):
        for probes in (1, 3, 12):
            expected = index.search(query, 10, probes)
            assert mine.search(query, 10, probes) == (expected.ids.tolist(), expected.compared)


def test_codes_and_distances_are_those_of_the_package() -> None:
    vectors, module = unit((300, 12), 6), solution("product-quantization")
    quantized = product.PQ.of(vectors, 4, centres=16)
    codes = module.encode(vectors, quantized.books)
    assert np.array_equal(codes, quantized.codes)
    assert np.array_equal(module.decode(codes, quantized.books), product.decode(codes, quantized.books))
    for query in unit((10, 12), 7):
        theirs = product.look_up(product.table(query, quantized.books), codes)
        assert np.allclose(module.distances(query, codes, quantized.books), theirs, atol=1e-5)
        by_code = module.search(query, codes, quantized.books, 5)
        assert np.allclose(theirs[by_code], quantized.search(query, 5).distances, atol=1e-5)
        by_vector = module.search(query, codes, quantized.books, 5, vectors, 3)
        assert by_vector == quantized.search(query, 5, vectors, 3).ids.tolist()


def test_late_interaction_is_that_of_the_package() -> None:
    lengths = np.random.default_rng(8).integers(0, 12, size=50)
    tokens, question = unit((int(lengths.sum()), 16), 9), unit((7, 16), 10)
    passages = np.split(tokens, np.cumsum(lengths)[:-1])
    mine = solution("maxsim").max_sims(question, tokens, lengths)
    assert np.allclose(mine, max_sims(question, passages), atol=1e-5)
    assert (lengths == 0).any()


TEXTS = [
    "Heat rises [1, 2] and 1,200.5 litres do not [ 3 ][1].",
    "Nothing \u2014 it isn\u2019t so [12]. Notes cannot, nor can knots.",
    "[2] 3.50 of 40,000, never 7.",
    "The 3 mains weren't open.",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_sentence_is_read_as_the_package_reads_it(text: str) -> None:
    module = solution("citation-checker")
    verdict = module.check(text, [])
    assert (verdict.text, list(verdict.cited)) == support.cited(text)
    assert module.numbers(text) == support.numbers_of(text)
    assert module.negated(text) == support.negated(text)
