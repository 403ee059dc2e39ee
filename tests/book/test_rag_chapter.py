"""The RAG chapter's arithmetic by hand, recomputed, with the code that it teaches where it can."""

import math
import re
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from handbook.rag.bm25 import idf, saturation, score
from handbook.rag.diversity import mmr
from handbook.rag.evidence import Passage
from handbook.rag.fuse import min_max, reciprocal_rank_fusion
from handbook.rag.late_interaction import max_sim
from handbook.rag.measures import average_precision, ndcg, recall, reciprocal_rank
from handbook.rag.nearest.hnsw import search_layer
from handbook.rag.nearest.product import decode, encode, look_up, table
from handbook.rag.nearest.rabitq import cosines_plain
from handbook.rag.nearest.rabitq import encode as signs
from handbook.rag.nouns import Found, Row
from handbook.rag.pack import ends_first, pack
from handbook.rag.recursive import recursive
from handbook.rag.support import cited, denies, numbers_of
from handbook.records import Chunk

CHAPTER = Path(__file__).parents[2] / "book" / "rag-pipelines" / "rag-pipeline-deep-dive.md"


@lru_cache
def prose() -> str:
    """The chapter on one line, without the grouping of digits."""
    text = CHAPTER.read_text(encoding="utf-8").replace("{,}", "")
    return re.sub(r"(?<=\d),(?=\d{3})", "", " ".join(text.split()))


def unsaid(*wanted: str) -> list[str]:
    """Those pieces that the chapter does not have."""
    return [w for w in wanted if w not in prose()]


def words(text: str) -> int:
    return len(text.split())


def test_losses_multiply() -> None:
    assert round(100 * 0.97**10) == 74
    assert unsaid("$0.97^{10} = 74$ of 100") == []


def test_recursive_splitting_by_hand() -> None:
    text = "Pages hold keys and values. Each has sixteen slots.\n\nTables map."
    found = {limit: [(c.start, c.end) for c in recursive(text, limit, words)] for limit in (4, 6)}
    assert found[6] == [(0, 27), (28, 64)]
    assert "values." in [text[a:b] for a, b in found[4]]
    assert (len(text), words(text), words(text[:51]), words(text[:28])) == (64, 11, 9, 5)
    assert unsaid("`[0:27]` and `[28:64]`") == []


def test_three_metrics() -> None:
    asked = np.array([1.0, 0])
    rows = {"a": (0.5, 0.1), "b": (2.0, 2.0), "c": (1.0, 0.4)}
    said = {
        name: (v[0] / math.hypot(*v), v[0], float(np.square(np.array(v) - asked).sum()))
        for name, v in rows.items()
    }
    assert said["a"] == pytest.approx((0.981, 0.5, 0.26), abs=5e-4)
    assert said["b"] == pytest.approx((0.707, 2, 5), abs=5e-4)
    assert said["c"] == pytest.approx((0.928, 1, 0.16), abs=5e-4)
    best = [max(said, key=lambda n: said[n][0]), max(said, key=lambda n: said[n][1])]
    assert [*best, min(said, key=lambda n: said[n][2])] == ["a", "b", "c"]
    cells = ("| $a$ | **0.981** | 0.5 | 0.26 |", "| $b$ | 0.707 | **2.0** | 5.00 |", "| $c$ | 0.928 | 1.0 |")
    assert unsaid(*cells) == []


def test_padding_and_bytes() -> None:
    lengths = [12, 250, 30, 240]

    def padded(order: list[int]) -> int:
        return 2 * max(order[:2]) + 2 * max(order[2:])

    assert (sum(lengths), padded(lengths), padded(sorted(lengths))) == (532, 980, 560)
    assert [round(100 * (1 - 532 / n)) for n in (980, 560)] == [46, 5]
    million = [10**6 * size for size in (4 * 384, 384, 384 // 8)]
    assert [round(size / 1e9, 3) for size in million] == [1.536, 0.384, 0.048]
    assert (round(1.536 / 20 * 1000), round(20_000 * 1536 / 20e9 * 1000, 1)) == (77, 1.5)
    assert 1000 + 20 * 10**6 / 1000 == 21_000
    vectors = 10**7
    assert [round(vectors * size / 1e9, 2) for size in (1536, 48, 2 * 16 * 4)] == [15.36, 0.48, 1.28]
    assert [round(vectors * size / 20e9 * 1000) for size in (1536, 48)] == [768, 24]
    assert unsaid("$2 \\cdot 250 + 2 \\cdot 240 = 980$", "21000 comparisons, 2% of all") == []


def test_product_codes_by_hand() -> None:
    books = np.array([[[0], [10]], [[1], [5]]], np.float32)
    vectors = np.array([[9, 2], [1, 4]], np.float32)
    codes = encode(vectors, books)
    assert (codes.tolist(), decode(codes, books).tolist()) == ([[1, 0], [0, 1]], [[10, 1], [0, 5]])
    assert look_up(table(np.zeros(2, np.float32), books), codes).tolist() == [101, 25]
    assert np.square(vectors).sum(axis=1).tolist() == [85, 17]


def test_a_narrow_walk_and_a_wider_one() -> None:
    places = np.array([[2], [1], [-3], [0.1]], np.float32)
    links = {0: [1], 1: [0, 2], 2: [1, 3], 3: [2]}
    found = {
        w: [id for _, id in search_layer(np.zeros(1, np.float32), [0], w, links, places)[0]] for w in (1, 3)
    }
    assert found == {1: [1], 3: [3, 1, 0]}


def test_signs_by_hand() -> None:
    codes = signs(np.array([[3, -4]], np.float32))
    assert round(float(codes.aligned[0]), 3) == 0.990
    assert cosines_plain(np.array([1, 0], np.float32), codes)[0] == pytest.approx(0.714, abs=5e-4)
    assert round(math.sqrt(1 - 0.8**2) / 0.8 * 1.9 / math.sqrt(383), 3) == 0.073
    assert unsaid("$0.707/0.990 = 0.714$", "= 0.073$") == []


def test_bm25_by_hand() -> None:
    texts = [t.split() for t in ("the cat sat", "the cat and the dog and the cat", "a dog", "a bird sang")]
    assert [round(score(["cat"], text, texts), 3) for text in texts[:2]] == [0.772, 0.744]
    assert [round(score(["the", "cat"], text, texts), 3) for text in texts[:2]] == [1.544, 1.641]
    assert [round(saturation(n, 9, 9), 3) for n in (1, 2, 5)] == [1, 1.375, 1.774]
    assert [round(idf(n, 1000), 1) for n in (1, 500)] == [6.5, 0.7]
    assert saturation(10, 9, 9) - saturation(9, 9, 9) < 0.03
    assert unsaid("= 1.114$; score 0.772", "= 1.073$; score 0.744", "1.641 to 1.544") == []


def test_ranks_fused_by_hand() -> None:
    for k, digits in ((0, 3), (10, 4), (60, 4)):
        fused = dict(reciprocal_rank_fusion([list("ABC"), list("DCA")], k))
        cells = " | ".join(f"{fused[name]:.{digits}f}" for name in "ACDB")
        assert unsaid(f"| {k} | {cells} |") == []
    assert np.asarray(min_max(np.array([30.0, 12, 11, 10]))).tolist() == [1, 0.1, 0.05, 0]


def test_diversity_by_hand() -> None:
    second = (0.95, math.sqrt(1 - 0.95**2))
    third = (0.2, (0.2 - 0.95 * 0.2) / second[1])
    vectors = np.array([[1, 0, 0], [*second, 0], [*third, math.sqrt(1 - third[0] ** 2 - third[1] ** 2)]])
    found = {b: mmr([0.9, 0.88, 0.7], vectors.astype(np.float32), 2, b) for b in (0.7, 0.9)}
    assert found == {0.7: [0, 2], 0.9: [0, 1]}
    worth = [b * r - (1 - b) * near for b in (0.7, 0.9) for r, near in ((0.88, 0.95), (0.7, 0.2))]
    assert worth == pytest.approx([0.331, 0.430, 0.697, 0.610])


def test_pairs_and_token_vectors() -> None:
    tokens, weights = 50 * (10 + 200), 6 * (4 * 384**2 + 2 * 384 * 1536)
    assert (tokens, tokens // 10, round(weights / 1e6, 1)) == (10_500, 1050, 10.6)
    assert round(2 * weights * tokens / 1e12, 2) == 0.22
    assert round(2 * weights * 210 * 1e6 / 1e12, -2) == 4500
    asked = np.eye(2, dtype=np.float32)
    p, q = np.array([[0.8, 0.6], [0, 1]], np.float32), np.full((1, 2), 0.5**0.5, np.float32)
    assert [round(max_sim(asked, passage), 3) for passage in (p, q)] == [1.8, 1.414]
    means = [passage.mean(axis=0) / np.linalg.norm(passage.mean(axis=0)) for passage in (p, q)]
    assert [round(float(mean @ q[0]), 3) for mean in means] == [0.949, 1]
    assert (200 * 384 * 4, 200 * 128 * 2) == (307_200, 51_200)


def test_packing_by_hand() -> None:
    hits = [Found(Row(str(n), "d", "x " * n, 0, 2 * n), 1.0) for n in (400, 350, 300, 200)]
    packed = pack(hits, 1000, words)
    assert ([one.row.id for one in packed.kept], packed.tokens) == (["400", "350", "200"], 950)
    assert ends_first([1, 2, 3, 4, 5]) == [1, 3, 5, 4, 2]


def test_citations_by_hand() -> None:
    texts = ("The cache takes 131,072 bytes a token.", "It is not shared between requests.")
    said = (
        "A token costs 131072 bytes [1].",
        "A token costs 128 kB [1].",
        "It is shared between requests [1].",
        "The cache takes few bytes a token [1].",
    )
    first, second = np.array([0.8, 0.6, 0], np.float32), np.array([0.8, 0, 0.6], np.float32)
    chunk = Chunk("d-1", "d", "", "", " ".join(texts), "", "document")
    passage = Passage(chunk, texts, np.stack([(first + second) / 2, first, second]), "d")
    plain = [cited(text)[0] for text in said]
    figures = [numbers_of(text) <= numbers_of(passage.said) for text in plain]
    denied = [
        denies(passage, text, near) for text, near in zip(plain, (first, first, second, first), strict=True)
    ]
    assert (figures, denied) == ([True, False, True, True], [False, False, True, False])
    assert unsaid(" ".join(texts).replace(",", ""), *(f'"{text}"' for text in said)) == []


def test_refusals_and_traffic() -> None:
    right, wrong = 0.92, 0.15
    shares = [100 * (1 - a) * wrong / (a * right + (1 - a) * wrong) for a in (0.9, 0.5)]
    assert [round(share, 1) for share in shares] == [1.8, 14.0]
    assert round(shares[1] / shares[0]) == 8


def test_measures_by_hand() -> None:
    ranking, grades = list("abcdef"), {"a": 1, "d": 1}
    found = [recall(ranking, grades, 3), recall(ranking, grades, 10), reciprocal_rank(ranking, grades, 10)]
    assert [*found, average_precision(ranking, grades, 10)] == [0.5, 1, 1, 0.75]
    assert ndcg(ranking, grades, 10) == pytest.approx(0.877, abs=5e-4)
    assert [round(1 + 1 / math.log2(n), 3) for n in (5, 3)] == [1.431, 1.631]


def test_funnel() -> None:
    stages = [200, 196, 186, 171, 150, 158, 151, 140]
    lost = [before - after for before, after in pairwise(stages)]
    assert lost == [4, 10, 15, 21, -8, 7, 11]
    shares = [round(100 * less / before, 1) for less, before in zip(lost, stages, strict=False)]
    assert shares == [2.0, 5.1, 8.1, 12.3, -5.3, 4.4, 7.3]
    rows = [
        f"| {after} | {less} | {share}% |"
        for after, less, share in zip(stages[1:], lost, shares, strict=True)
    ]
    assert unsaid(*(row for row, less in zip(rows, lost, strict=True) if less > 0)) == []
    assert (stages[-1] / stages[0], stages[3] - stages[5], lost[0] + lost[1]) == (0.7, 13, 14)


def test_how_many_questions() -> None:
    widths = [1.96 * 0.25 / math.sqrt(n) for n in (300, 50)]
    assert [round(width, 3) for width in widths] == [0.028, 0.069]


def test_first_words_within_a_second_and_a_half() -> None:
    assert 400 + 10 + 30 + 1 + 100 + 1000 * 3000 / 6000 == 1041
