import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.bm25 import BM25, K1, B, idf, saturation, score

CATS = [text.split() for text in ("the cat sat", "the cat and the dog and the cat", "a dog", "a bird sang")]
TEXTS = [
    "A cat sat on the mat, and the cat slept.",
    "Dogs chase cats; cats rarely chase dogs.",
    "The mat was red.",
    "Retrieval ranks texts for a query, and a query has few words.",
    "Words that every text has rank nothing.",
]
MARK = "zqqz"  # a word of its own between texts


def test_a_worked_example() -> None:
    """By hand, for "cat": 2 of 4 texts have it, so idf = ln(1 + 2.5 / 2.5) = ln 2. The average length is
    (3 + 8 + 2 + 3) / 4 = 4. In the first text: 2.2 / (1 + 1.2 (0.25 + 0.75 x 3 / 4)); in the second, twice in
    8 words: 2 x 2.2 / (2 + 1.2 (0.25 + 0.75 x 2))."""
    assert idf(2, 4) == pytest.approx(math.log(2))
    first = math.log(2) * 2.2 / (1 + 1.2 * 0.8125)
    second = math.log(2) * 4.4 / (2 + 1.2 * 1.75)
    assert score(["cat"], CATS[0], CATS) == pytest.approx(first)
    assert score(["cat"], CATS[1], CATS) == pytest.approx(second)
    assert BM25(CATS).search(["cat"], 5) == [(0, pytest.approx(first)), (1, pytest.approx(second))]


def test_worth_saturates_and_length_counts_as_b_says() -> None:
    assert [saturation(0, 9, 9), saturation(1, 9, 9)] == [0, 1]
    assert saturation(1e9, 9, 9) == pytest.approx(K1 + 1)
    assert saturation(1, 90, 9) < saturation(1, 9, 9) < saturation(1, 1, 9)
    assert saturation(1, 90, 9, b=0) == saturation(1, 1, 9, b=0) == 1
    assert saturation(5, 9, 9, k1=0) == 1  # only whether a word is there


def test_rare_words_tell_more_and_none_counts_against() -> None:
    weights = [idf(having, 10) for having in range(11)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] > 0


words = st.sampled_from(["a", "b", "c", "d"])
collections = st.lists(st.lists(words, max_size=6), min_size=1, max_size=8).filter(any)


@given(collections, st.lists(st.sampled_from(["a", "b", "c", "d", "unseen"]), max_size=4), st.integers(0, 9))
def test_at_once_is_one_by_one(texts: list[list[str]], query: list[str], k: int) -> None:
    each = [score(query, text, texts) for text in texts]
    index = BM25(texts)
    np.testing.assert_allclose(index.scores(query), each, atol=1e-12)
    found = index.search(query, k)
    assert [value for _, value in found] == pytest.approx(sorted(filter(None, each), reverse=True)[:k])
    assert all(value == index.scores(query)[place] for place, value in found)


def test_equal_ones_keep_their_order() -> None:
    assert [place for place, _ in BM25([["x"], ["y"], ["x"], ["x"]]).search(["x"], 2)] == [0, 2]


def test_nothing_in_it() -> None:
    assert BM25([]).search(["a"], 3) == []
    assert BM25([[], []]).search(["a"], 3) == []


@pytest.mark.parametrize(("k1", "b"), [(-1, 0.5), (1, 1.5)])
def test_bad_input_says_what_was_expected(k1: float, b: float) -> None:
    with pytest.raises(ValueError, match="expected k1"):
        BM25(CATS, k1, b)


def lance(texts: list[str], folder: Path) -> tuple[Any, list[list[str]]]:
    """The texts in a Lance table with full text, and their words as its analyzer cuts and stems them."""
    import lancedb
    import pyarrow as pa
    from lancedb.index import FTS

    table = lancedb.connect(folder).create_table("t", pa.table({"id": range(len(texts)), "body": texts}))
    table.create_index("body", config=FTS())
    cut: list[list[str]] = [[]]
    for token in table.tokenize(f" {MARK} ".join(texts), column="body"):
        if token.text == MARK:
            cut.append([])
        else:
            cut[-1].append(token.text)
    return table, cut


def agrees(table: Any, index: BM25, query: str, k: int) -> int:
    """How many Lance found; fails unless ours has the same scores, and the same order where they differ."""
    from lancedb.query import MatchQuery

    found = table.search(MatchQuery(query, "body"), query_type="fts").limit(k).to_arrow()
    theirs = found["_score"].to_numpy()
    ours = index.search([token.text for token in table.tokenize(query, column="body")], k)
    np.testing.assert_allclose([value for _, value in ours], theirs, rtol=1e-5)
    for place, ((ours_id, value), theirs_id) in enumerate(zip(ours, found["id"].to_pylist(), strict=True)):
        tied = np.isclose(theirs, value, rtol=1e-5).sum() > 1 or place == k - 1
        assert ours_id == theirs_id or tied
    return len(theirs)


def test_lance_computes_the_same(tmp_path: Path) -> None:
    table, cut = lance(TEXTS, tmp_path)
    index = BM25(cut, K1, B)
    assert cut[0] == ["cat", "sat", "mat", "cat", "slept"]
    assert [agrees(table, index, query, 5) for query in ("a cat", "ranking words", "red dogs", "none")] == [
        2,
        2,
        2,
        0,
    ]


@pytest.fixture
def scifact() -> Path:
    """What HANDBOOK_RETRIEVAL names, else the retrieval sets beside the checkout."""
    named = os.environ.get("HANDBOOK_RETRIEVAL")
    path = Path(named) if named else Path(__file__).parents[3] / "shared/data/retrieval"
    if not (path / "scifact/corpus.jsonl").is_file():
        pytest.skip(f"{path}/scifact is not here; HANDBOOK_RETRIEVAL names the folder of retrieval sets")
    return path / "scifact"


@pytest.mark.shared
def test_lance_ranks_scifact_the_same(scifact: Path, tmp_path: Path) -> None:
    def read(name: str, count: int) -> list[dict[str, str]]:
        with (scifact / name).open(encoding="utf-8") as lines:
            return [json.loads(line) for _, line in zip(range(count), lines, strict=False)]

    table, cut = lance([f"{row['title']} {row['text']}" for row in read("corpus.jsonl", 800)], tmp_path)
    index = BM25(cut)
    assert sum(agrees(table, index, query["text"], 20) for query in read("queries.jsonl", 40)) > 600
