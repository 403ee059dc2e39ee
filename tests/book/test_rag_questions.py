"""Figures in the RAG chapter's model answers, done again by the code that they are about; the set's shape."""

import math
from collections import Counter
from collections.abc import Mapping
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest

from handbook.book.load import open_book
from handbook.book.nouns import Book
from handbook.rag.bm25 import idf, saturation
from handbook.rag.diversity import mmr
from handbook.rag.fuse import min_max, reciprocal_rank_fusion
from handbook.rag.measures import average_precision, ndcg, recall, reciprocal_rank
from handbook.rag.nearest.product import decode, encode, look_up, table
from handbook.rag.nearest.rabitq import cosines_plain
from handbook.rag.nearest.rabitq import encode as signs
from handbook.rag.nouns import Found, Row
from handbook.rag.pack import ends_first, pack
from handbook.rag.support import numbers_of
from handbook.records import Question

STAGES = (
    "ingest", "chunk", "embed", "index", "understand", "retrieve", "fuse", "rerank", "synthesize", "evaluate",
)  # fmt: skip
READS = 20e9  # bytes a second
FUNNEL = (150, 148, 141, 120, 112, 108, 97, 90)
VECTOR = 384 * 4


@cache
def book() -> Book:
    return open_book()


@cache
def questions() -> dict[str, Question]:
    return {q.id: q for q in book().questions.values() if q.chapter.endswith("rag-pipeline-deep-dive")}


def floats(rows: object) -> np.ndarray:
    return np.array(rows, np.float32)


def kept() -> list[str]:
    shares = [0.98, 0.95, 0.92, 0.88, 0.96, 0.94]
    whole = math.prod(shares)
    lifted, all_one = whole * 0.94 / 0.88, math.prod(share + 0.01 for share in shares)
    return [
        f"= {whole:.2f}, so {100 * whole:.0f} of 100",
        f"gives {100 * lifted:.1f}",
        f"give {100 * all_one:.1f}",
        f"{100 * min(shares):.0f} at best",
    ]


def overlapped() -> list[str]:
    plain, more = 30_000_000 // 200, 30_000_000 // 150
    return [
        f"= {plain:,} chunks",
        f"so {more:,}, a third",
        f"{plain * VECTOR / 1e6:.0f} MB against {more * VECTOR / 1e6:.0f} MB",
    ]


def metrics() -> list[str]:
    q, rows = floats([0.6, 0.8]), floats([[0.3, 0.4], [2, 1], [0.5, 0.9]])
    inner, norms, apart = rows @ q, np.linalg.norm(rows, axis=1), np.square(rows - q).sum(axis=1)
    cosines = inner / norms
    assert [int(cosines.argmax()), int(inner.argmax()), int(apart.argmin())] == [0, 1, 2]
    unit, longer = rows / norms[:, None], 3 * q  # of stored length one, any question has one order
    orders = (-cosines, -unit @ longer, np.square(unit - longer).sum(axis=1))
    assert len({tuple(np.argsort(one).tolist()) for one in orders}) == 1
    return [
        f"$a$ has {cosines[0]:.3f}",
        f"{inner[1]:.1f}/{norms[1]:.3f} = {cosines[1]:.3f}",
        f"{inner[2]:.2f}/{norms[2]:.4f} = {cosines[2]:.3f}",
        f"Inner products: {inner[0]:.1f}, {inner[1]:.1f} and {inner[2]:.2f}",
        *(f"= {d:.2f}" for d in apart),
    ]


def smaller() -> list[str]:
    vectors = 50_000_000
    bits = vectors * 768 // 8
    return [
        f"= {vectors * 768 * 4 / 1e9:.1f} GB",
        f"a quarter, {vectors * 768 / 1e9:.1f} GB",
        f"96 bytes a vector, {bits / 1e9:.1f} GB",
        f"are {100 * 768 / 1e3:.1f} kB a question, {500 * 100 * 768 / 1e6:.0f} MB/s",
        f"{500 * 100:,} random reads",
        f"take {bits / READS * 1e3:.0f} ms",
    ]


def exact() -> list[str]:
    size = 300_000 * 768 * 4
    seconds = size / READS
    return [
        f"= {size / 1e6:.0f} MB",
        f"{seconds * 1e3:.0f} ms at",
        f"quarter, {seconds * 250:.0f} ms",
        f"{5 * seconds:.0%} of",
    ]


def cells() -> list[str]:
    vectors, probes = 4_000_000, 16
    cost = {c: c + probes * vectors / c for c in (1_000, *range(7_000, 9_001))}
    best = min(cost, key=lambda c: cost[c])
    assert best == math.isqrt(probes * vectors)
    return [
        f"C = {best:,} and {cost[best]:,.0f} comparisons, {cost[best] / vectors:.1%}",
        f"= {cost[1000]:,.0f}.",
    ]


def product_codes() -> list[str]:
    books, vectors, asked = floats([[[2], [6]], [[0], [4]]]), floats([[5, 1], [3, 3]]), floats([1, 1])
    codes = encode(vectors, books)
    first, second = table(asked, books).tolist()
    estimates, true = look_up(table(asked, books), codes), np.square(vectors - asked).sum(axis=1)
    (a, b), (c, d) = codes.tolist(), decode(codes, books).tolist()
    return [
        f"becomes code $({a[0]}, {a[1]})$",
        f"becomes $({b[0]}, {b[1]})$",
        f"reads back as $({c[0]:g}, {c[1]:g})$",
        f"reads back as $({d[0]:g}, {d[1]:g})$",
        f"is {first[0]:g} and {first[1]:g} for the first part",
        f"{second[0]:g} and {second[1]:g} for the second",
        f"= {estimates[0]:g} and",
        f"= {estimates[1]:g}.",
        f"distances are {true[0]:g} and {true[1]:g}.",
        f"48 bytes in place of {VECTOR:,}",
    ]


def one_bit() -> list[str]:
    codes = signs(floats([[0.8, 0.6]]))
    estimate = cosines_plain(floats([0.6, 0.8]), codes)[0]
    wide = [math.sqrt(1 - 0.8**2) / 0.8 * 1.9 / math.sqrt(d - 1) for d in (384, 768)]
    return [
        f"= {codes.aligned[0]:.3f}$",
        f"estimate is {estimate:.2f}; the cosine is {0.8 * 0.6 + 0.6 * 0.8:.2f}",
        f"{wide[0]:.3f} for D = 384 and {wide[1]:.3f} for D = 768",
    ]


def filtered() -> list[str]:
    rows = 3_000_000 // 200
    return [
        f"$0.995^{{100}} = {0.995**100:.2f}$",
        f"fetch about {10 * 200:,}",
        f"has {rows:,} rows",
        f"= {rows * VECTOR / 1e6:.0f} MB",
        f"about {rows * VECTOR / READS * 1e3:.0f} ms",
    ]


def words() -> list[str]:
    rare = idf(10, 1000)
    a, b, twice = (saturation(f, length, 100) for f, length in ((1, 50), (3, 200), (2, 200)))
    return [
        f"= {rare:.2f}$",
        f"= {a:.3f}$; score {rare * a:.2f}",
        f"= {b:.3f}$; score {rare * b:.2f}",
        f"= {twice:.3f}$; score {rare * twice:.2f}",
    ]


def lasts(rankings: int, k: int) -> int:
    """The last rank at which a passage of all rankings beats one that is first in a single one."""

    def beats(rank: int) -> bool:
        lists = [[f"{n}-{place}" for place in range(1, 200)] for n in range(rankings)]
        lists[0][0] = "first"
        for one in lists:
            one[rank - 1] = "all"
        fused = dict(reciprocal_rank_fusion(lists, k))
        return fused["all"] > fused["first"] + 1e-12

    return max((rank for rank in range(2, 150) if beats(rank)), default=1)


def agreement() -> list[str]:
    return [
        f"only rank {lasts(2, 0)} itself",
        f"At k = 20 it holds to rank {lasts(2, 20)}, with a tie at {lasts(2, 20) + 1}",
        f"at k = 60 to rank {lasts(2, 60)}",
        f"at k = 20 to rank {lasts(3, 20)}",
    ]


def diverse() -> list[str]:
    near = floats([[1, 0.9, 0.3], [0.9, 1, 0.3], [0.3, 0.3, 1]])
    vectors = np.linalg.cholesky(near.astype(np.float64)).astype(np.float32)
    even = 0.6 / 0.78
    picked = {
        balance: mmr([0.80, 0.78, 0.60], vectors, 2, balance) for balance in (0.7, even - 0.002, even + 0.002)
    }
    assert list(picked.values()) == [[0, 2], [0, 2], [0, 1]]
    return [f"= {0.7 * 0.78 - 0.3 * 0.9:.3f}$", f"= {0.7 * 0.6 - 0.3 * 0.3:.3f}$", f"{even:.3f}$; above"]


def pairs() -> list[str]:
    weights, tokens = 12 * (4 * 768**2 + 2 * 768 * 3072), 100 * 270
    flops, fewer = 2 * weights * tokens, 2 * weights * 30 * 270
    assert round(weights / (6 * (4 * 384**2 + 2 * 384 * 1536))) == 8
    assert round((30_522 + 512 + 2) * 768 / 1e6) == 24
    return [
        f"= {weights / 1e6:.1f} million;",
        f"= {tokens:,}, which is {tokens // 20:,} times",
        f"= {flops / 1e12:.1f} TFLOP",
        f"that is {flops / 50e9:.0f} ms",
        f"are {20 * flops / 1e12:.0f} TFLOP/s",
        f"it is {fewer / 1e12:.1f} TFLOP and {fewer / 50e9:.0f} ms",
    ]


def packed() -> list[str]:
    hits = [Found(Row(str(n), "d", "x " * n, 0, 2 * n), 1.0) for n in (700, 900, 600, 300, 250)]
    into = pack(hits, 2000, lambda text: len(text.split()))
    assert [one.row.id for one in into.kept] == ["700", "900", "300"]
    return [f"300 fits, {into.tokens:,}", "so {}, {}, {}.".format(*ends_first([1, 2, 4]))]


def refused() -> list[str]:
    def given(unanswerable: float, answered: float, refuses: float) -> tuple[float, float, str]:
        right, wrong = (1 - unanswerable) * answered, unanswerable * (1 - refuses)
        return right, wrong, f"{wrong / (right + wrong):.1%}"

    few, many = given(0.05, 0.9, 0.8), given(0.4, 0.9, 0.8)
    few_strict, many_strict = given(0.05, 0.8, 0.95), given(0.4, 0.8, 0.95)
    assert round(many[1] / (many[0] + many[1]) / (few[1] / (few[0] + few[1]))) == 11
    return [
        f"= {few[0]:.3f}, wrong to give 0.05 · 0.20 = {few[1]:.3f}, so {few[2]}",
        f"= {many[0]:.2f} and 0.40 · 0.20 = {many[1]:.2f}, so {many[2]}",
        f"at 40%: {many_strict[0]:.2f} and {many_strict[1]:.2f}, so {many_strict[2]}",
        f"5%: {few_strict[0]:.2f} and {few_strict[1]:.4f}, {few_strict[2]}",
        f"and the price is {100 * (few[0] - few_strict[0]):.1f} of",
        f"9.5 good ones against {100 * (few[1] - few_strict[1]):.2f} bad",
    ]


def measures() -> list[str]:
    ranking, grades = list("abcde"), {"b": 1, "e": 1, "z": 1}
    return [
        f"two of three, {recall(ranking, grades, 5):.3f}",
        f"so {reciprocal_rank(ranking, grades, 5):.1f};",
        f"= {average_precision(ranking, grades, 5):.3f}",
        f"= {1 / math.log2(3) + 1 / math.log2(6):.3f}$",
        f"= {1 + 1 / math.log2(3) + 1 / math.log2(4):.3f}$",
        f"So {ndcg(ranking, grades, 5):.3f}.",
    ]


def funnel() -> list[str]:
    names = ("parsing", "chunking", "retrieval", "fusing to ten", "reranking", "packing", "the answer")
    steps = zip(names, FUNNEL[:-1], FUNNEL[1:], strict=True)
    said = [f"{name} {had - has} ({(had - has) / had:.1%})" for name, had, has in steps]
    return [*said, f"are {FUNNEL[-1] / FUNNEL[0]:.0%} end to end", f"up to {FUNNEL[4] - FUNNEL[6]}."]


def enough() -> list[str]:
    spread, seen = 0.30, 1.96 + NormalDist().inv_cdf(0.8)
    return [
        f"= \\pm {1.96 * spread / 10:.3f}$",
        f"= {math.ceil((1.96 * spread / 0.02) ** 2)} questions",
        f"({seen:.1f} \\cdot",
        f"= {(round(seen, 1) * spread / 0.02) ** 2:,.0f}.",
        f"give ± {1.96 * spread / math.sqrt(10):.2f}",
    ]


def luckiest() -> list[str]:
    x = np.linspace(-6, 6, 20_001)
    below = np.array([NormalDist().cdf(v) for v in x])
    best = float(((1 - below**60) - (x < 0)).sum() * (x[1] - x[0]))
    return [f"about {best:.1f} standard errors above the mean, {best * 0.01:.3f}"]


def migrated() -> list[str]:
    seconds = 20e6 * 200 / 160_000
    assert round(seconds / 3600) == 7
    return ["are 4 billion", f"{seconds:,.0f} s, about seven hours"]


def tenants() -> list[str]:
    chunks = 20_000_000
    return [
        f"are {chunks * VECTOR / 1e9:.1f} GB, {chunks * 384 / 1e9:.1f} GB in int8",
        f"{chunks * 48 / 1e9:.0f} GB as signs",
        f"{chunks // 100:,} chunks, {chunks // 100 * VECTOR / 1e6:.0f} MB",
        f"takes {chunks // 100 * VECTOR / READS * 1e3:.0f} ms",
    ]


FIGURES: Mapping[str, list[str]] = {
    "six-stages-that-each-keep-most": kept(),
    "price-of-overlap": overlapped(),
    "answers-in-the-second-half": [f"600 tokens {600 - 256} never"],
    "three-metrics-three-winners": metrics(),
    "fifty-million-vectors-smaller": smaller(),
    "do-you-need-a-vector-index": exact(),
    "best-number-of-cells": cells(),
    "product-quantization-by-hand": product_codes(),
    "signs-that-estimate-a-cosine": one_bit(),
    "filter-leaves-nothing": filtered(),
    "bm25-of-two-texts": words(),
    "what-rank-fusion-prefers": agreement(),
    "diversity-by-hand": diverse(),
    "price-of-a-reranker": pairs(),
    "how-many-passages-in-the-prompt": packed(),
    "share-of-answers-that-should-not-be": refused(),
    "one-ranking-four-measures": measures(),
    "read-a-funnel": funnel(),
    "how-many-test-questions": enough(),
    "best-of-sixty-settings": luckiest(),
    "change-the-encoder-while-running": migrated(),
    "two-million-documents-hundred-tenants": tenants(),
    "long-context-in-place-of-retrieval": [
        f"{200_000 * 20_000 / 1e9:.0f} billion tokens a day against {2_000 * 20_000 / 1e6:.0f} million"
    ],
}  # fmt: skip


@pytest.mark.parametrize("id", FIGURES)
def test_figures_stand_in_the_answer(id: str) -> None:
    answer = " ".join(questions()[id].answer.split())
    missing = [figure for figure in FIGURES[id] if figure not in answer]
    assert not missing, f"{id}: computed, and not found in the answer: {missing}"


def test_each_estimate_and_derivation_is_recomputed() -> None:
    counted = {q.id for q in questions().values() if q.kind in ("estimate", "derive")}
    assert counted <= set(FIGURES), f"not recomputed: {sorted(counted - set(FIGURES))}"


def test_outliers_squeeze_the_rest() -> None:
    assert "30, 12, 11 and 10" in questions()["bm25-score-plus-cosine"].follow_ups[0].ask
    assert np.asarray(min_max(np.array([30.0, 12, 11, 10]))).tolist() == [1, 0.1, 0.05, 0]


def test_a_right_figure_in_another_unit_is_refused() -> None:
    assert not numbers_of("A token costs 128 kB.") <= numbers_of("The cache takes 131,072 bytes a token.")


def test_set_covers_stages_levels_and_kinds() -> None:
    chapter = book().chapters["rag-pipeline-deep-dive"]
    assert 38 <= len(questions()) <= 42
    assert min(Counter(q.level for q in questions().values()).values()) >= 6
    assert min(Counter(q.kind for q in questions().values()).values()) >= 6
    assert len({q.kind for q in questions().values()}) == 6
    stage, at = "", dict[str, str]()
    for paragraph in chapter.paragraphs:
        stage = paragraph.section if paragraph.section in STAGES else stage
        at[paragraph.anchor] = (
            paragraph.section if paragraph.section in ("follow-ups", "the-question") else stage
        )
    asked = Counter(at[q.anchor] for q in questions().values())
    assert all(asked[name] >= 2 for name in STAGES), f"expected two questions a stage, got {asked}"


@pytest.mark.parametrize("id", sorted(questions()))
def test_each_question_can_be_graded(id: str) -> None:
    question = questions()[id]
    length = len(question.answer.split())
    assert 80 <= length <= 200, f"{id}: expected an answer of 80 to 200 words, got {length}"
    must = [c.id for c in question.criteria if c.must]
    assert 1 <= len(must) < len(question.criteria), (
        f"{id}: expected some criteria to be musts, not all, got {must}"
    )
