"""Both retrievers at once, and what stands around a hit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handbook.errors import HandbookError
from handbook.rag.nouns import Condition, Found, Row
from handbook.rag.search import Both, Retriever, fused, stitched, with_neighbours, with_parents
from tests.rag.rows import BREAD, EMBEDDER, chunks, filled, ids


def found(folder: Path, question: str = "What is gluten?") -> tuple[Retriever, list[Found]]:
    retriever = Retriever(filled(folder))
    both = retriever.both(question, EMBEDDER.embed([question])[0], (), "")
    assert list(both.dense) == retriever.corpus.dense(EMBEDDER.embed([question])[0], 30, (), "")
    assert list(both.lexical) == retriever.corpus.lexical("gluten?", 30, (), "")  # without the words that ask
    assert both.dense_seconds > 0 < both.lexical_seconds
    return retriever, fused(both)


def test_both_and_fused(tmp_path: Path) -> None:
    retriever, hits = found(tmp_path)
    assert len(hits) == 7
    first = hits[0]
    assert first.row.id.startswith("bread.txt")
    assert first.dense is not None
    assert first.lexical is not None
    assert first.score == pytest.approx(2 / 61, abs=2e-3)
    assert [one for one in hits if one.lexical is None]
    only_words = retriever.both("gluten", None, (), "")
    assert (only_words.dense, len(only_words.lexical)) == ((), 2)
    with pytest.raises(HandbookError, match="no field"):
        retriever.both("gluten", None, [Condition("x", ("y",))], "")
    assert retriever.both("gluten", None, (), "another").lexical == ()
    retriever.close()


def test_fused_by_score() -> None:
    """BM25 8 and 2 of 8, cosines 0.6, 0.2 and -1; by rank b leads, which both lists have."""

    def row(id: str) -> Row:
        return Row(id, id, id, 0, 1)

    lexical = (Found(row("a"), 8.0, lexical=8.0), Found(row("b"), 2.0, lexical=2.0))
    dense = tuple(Found(row(id), c, dense=c) for id, c in (("c", 0.6), ("b", 0.2), ("d", -1.0)))
    both = Both(dense, lexical)
    assert ids(fused(both)) == ["b", "a", "c", "d"]
    assert ids(fused(both, method="min-max")) == ["a", "c", "b", "d"]
    by_bounds = fused(both, method="bounds")
    assert ids(by_bounds) == ["c", "a", "b", "d"]
    assert [one.score for one in by_bounds] == pytest.approx([1.25, 1.0, 0.25 + 1.2 / 1.6, 0.25])
    assert [(one.dense, one.lexical) for one in by_bounds[1:3]] == [(None, 8.0), (0.2, 2.0)]
    assert ids(fused(both, weights=(0, 1), method="z-score"))[:2] == ["c", "b"]
    unknown: Any = "sum"
    with pytest.raises(ValueError, match="rrf, min-max"):
        fused(both, method=unknown)


def test_parents_stand_once_with_the_best_hit(tmp_path: Path) -> None:
    retriever, hits = found(tmp_path)
    parents = with_parents(hits, retriever.corpus, "")
    text = " ".join(BREAD)
    assert len(parents) == 4  # of seven chunks: two parents in each document
    assert parents[0].row.id == hits[0].row.id
    assert parents[0].score == hits[0].score
    for one in parents:
        if one.row.document == "bread.txt":
            assert one.row.text == text[one.row.start : one.row.end]
    assert {one.row.text for one in parents} >= {" ".join(BREAD[:2]), " ".join(BREAD[2:])}


def test_neighbours_are_taken_once(tmp_path: Path) -> None:
    retriever, _ = found(tmp_path)
    rows = {row.id: row for row in retriever.corpus.get([f"bread.txt-{i}" for i in range(4)], "")}
    hits = [Found(rows["bread.txt-0"], 3.0), Found(rows["bread.txt-3"], 2.0), Found(rows["bread.txt-2"], 1.0)]
    wide = with_neighbours(hits, 1, retriever.corpus, "")
    assert ids(wide) == ["bread.txt-0", "bread.txt-3"]
    assert [one.row.text for one in wide] == [" ".join(BREAD[:2]), " ".join(BREAD[2:])]
    close = with_neighbours([hits[0], replace(hits[2], row=rows["bread.txt-1"])], 2, retriever.corpus, "")
    assert [one.row.text for one in close] == [" ".join(BREAD[:3])]
    down = [Found(rows["bread.txt-3"], 2.0), Found(rows["bread.txt-1"], 1.0)]
    below = with_neighbours(down, 1, retriever.corpus, "")
    assert [one.row.text for one in below] == [" ".join(BREAD[2:]), " ".join(BREAD[:2])]
    none = with_neighbours(hits, 0, retriever.corpus, "")
    assert [one.row for one in none] == [one.row for one in hits]


def test_stitched_text_keeps_its_places() -> None:
    text = "One two.\n\n   Three four. Five"
    rows = chunks("d", ("One two.", "Three four.", "four. Five"))
    spans = [(0, 8), (13, 24), (19, 29)]
    rows = [replace(row, start=a, end=b) for row, (a, b) in zip(rows, spans, strict=True)]
    rows = [replace(row, headings=("H", f"h{number}")) for number, row in enumerate(rows)]
    one = stitched(rows, rows[1])
    assert one.text == "One two.\n\n   Three four. Five" == text
    assert (one.start, one.end, one.id, one.headings) == (0, 29, "d-1", ("H",))
    assert stitched(rows[:1], rows[0]) == rows[0]
