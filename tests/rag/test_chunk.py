from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from handbook.embed import LocalEmbedder
from handbook.rag.chunk import SIZE, Method, chunk, rows, stretches
from handbook.rag.nouns import Block, Kind, Parsed, Span
from handbook.rag.tokens import Once, by_word, count_of, estimate, plain
from handbook.settings import Settings
from tests.rag.pieces import documents, faults, markdowns, small_tokenizer, unhurried

PLAIN = plain(small_tokenizer())
WORDS = by_word(small_tokenizer())
TEXT = """# Top

## One

The cut. The token. The chunk.

The the the. The cut.

## Two

The token. The cut.

# Next

The chunk.
"""


def parsed(text: str, kind: Kind = "markdown", **rest: Any) -> Parsed:
    return Parsed("notes/a.md", kind, "A", text, "digest", **rest)


def shown(text: str, spans: Sequence[Span]) -> list[tuple[str, tuple[str, ...], str]]:
    return [(text[s.start : s.end], s.headings, text[slice(*s.parent)] if s.parent else "") for s in spans]


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[1.0, 0.0] if "cut" in text else [0.0, 1.0] for text in texts], np.float32)


def test_by_hand() -> None:
    one = "# Top\n\n## One\n\nThe cut. The token. The chunk."  # 18 tokens
    two = "## Two\n\nThe token. The cut."  # 11
    top = TEXT[: TEXT.index("# Next")].strip()  # 36
    assert shown(TEXT, chunk(parsed(TEXT), limit=18, parent=36, count=WORDS)) == [
        (one, ("Top", "One"), top),
        ("The the the. The cut.", ("Top", "One"), top),
        (two, ("Top", "Two"), top),
        ("# Next\n\nThe chunk.", ("Next",), ""),
    ]
    assert shown(TEXT, chunk(parsed(TEXT), limit=18, parent=35, count=WORDS)) == [
        (one, ("Top", "One"), one + "\n\nThe the the. The cut."),
        ("The the the. The cut.", ("Top", "One"), one + "\n\nThe the the. The cut."),
        (two, ("Top", "Two"), ""),
        ("# Next\n\nThe chunk.", ("Next",), ""),
    ]


def everything(text: str, method: Method, limit: int, overlap: int = 0, parent: int = 0) -> list[Span]:
    return chunk(parsed(text), method, limit, overlap, WORDS, vectors, parent)


_methods = st.sampled_from(["fixed", "sentences", "recursive", "markdown", "semantic"])


@unhurried
@given(st.one_of(documents, markdowns), _methods, st.integers(1, 30), st.integers(0, 60))
def test_every_method_holds_every_character_once(text: str, method: Method, limit: int, more: int) -> None:
    found = everything(text, method, limit, parent=limit + more)
    assert faults(text, [(span.start, span.end) for span in found], limit, PLAIN) == []


@unhurried
@given(st.one_of(documents, markdowns), _methods, st.integers(6, 30), st.integers(0, 5), st.integers(0, 60))
def test_parents_hold_their_chunks_and_none_other(
    text: str, method: Method, limit: int, overlap: int, more: int
) -> None:
    found = everything(text, method, limit, overlap, limit + more)
    for span in found:
        assert WORDS(text[span.start : span.end]) <= limit
        if span.parent is None:
            continue
        start, end = span.parent
        assert start <= span.start < span.end <= end
        assert (start, end) != (span.start, span.end)
        assert WORDS(text[start:end]) <= limit + more + overlap
    families = [span.parent for span in found if span.parent]
    assert all(families.count(parent) > 1 for parent in families)
    order = list(dict.fromkeys(families))
    assert families == [parent for parent in order for _ in range(families.count(parent))]


def test_an_overlap_takes_no_title_away() -> None:
    plain, lapped = (chunk(parsed(TEXT), "markdown", 18 + n, n, WORDS) for n in (0, 7))
    assert [span.headings for span in lapped] == [span.headings for span in plain]
    assert [span.end for span in lapped] == [span.end for span in plain]
    assert [span.start for span in lapped] != [span.start for span in plain]


def test_parents_are_sections_where_those_fit() -> None:
    text = "\n\n".join(f"## {name}\n\n" + "The cut.\n\n" * 6 for name in ("a", "b", "c"))
    found = chunk(parsed(text), limit=10, parent=50, count=WORDS)
    assert {text[slice(*span.parent)].count("## ") for span in found if span.parent} == {1}
    assert len({span.parent for span in found}) == 3


def test_a_long_text_is_cut_stretch_by_stretch() -> None:
    text = ("The cut. " * 20 + "\n\n") * 50
    assert [text[a:b][-2:] for a, b in stretches(text, 1000)][:-1] == ["\n\n"] * (
        len(list(stretches(text, 1000))) - 1
    )
    for part in ("x", "x ", "x\n", "\n\n"):
        found = list(stretches(part * 500, 64))
        assert [a for a, _ in found] == [0, *(b for _, b in found[:-1])]
        assert found[-1][1] == len(part) * 500
        assert all(b - a <= 64 for a, b in found)


def test_stretches_change_no_titles_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "# Top\n\n" + "".join(
        f"## Part {i}\n\nThe cut. The token.\n\n```\n# no title\n```\n\n" for i in range(60)
    )
    whole = chunk(parsed(text), limit=12, count=WORDS)
    monkeypatch.setattr("handbook.rag.chunk.stretches", lambda text: stretches(text, 500))
    found = chunk(parsed(text), limit=12, count=WORDS)
    assert faults(text, [(span.start, span.end) for span in found], 12, PLAIN) == []
    assert {span.headings for span in found} == {span.headings for span in whole}
    places = {(span.start, span.end) for span in whole}
    same = [(span.start, span.end) in places for span in found]
    assert 0.8 < sum(same) / len(same) < 1


def test_other_kinds_have_the_structure_their_parser_found() -> None:
    text = "Top\nThe cut.\n# no title\nThe cut."
    blocks = (Block("heading", 0, 3, 1), Block("paragraph", 4, len(text)))
    found = chunk(parsed(text, "html", blocks=blocks), limit=7, count=WORDS)
    assert {span.headings for span in found} == {("Top",)}
    assert {span.headings for span in chunk(parsed(text, "text"), limit=7, count=WORDS)} == {()}


def test_rows() -> None:
    document = parsed(TEXT, pages=(0, 30, 60), language="en", metadata={"author": "A. Author"})
    spans = chunk(document, limit=16, count=WORDS)
    found = rows(document, spans, tenant="one")
    assert [(row.text, row.start, row.end) for row in found] == [
        (TEXT[span.start : span.end], span.start, span.end) for span in spans
    ]
    assert [row.page for row in found] == [sum(page <= row.start for page in (0, 30, 60)) for row in found]
    assert {(row.document, row.title, row.kind, row.language, row.tenant, row.digest) for row in found} == {
        ("notes/a.md", "A", "markdown", "en", "one", "digest")
    }
    assert found[0].fields == {"author": "A. Author"}
    assert found[0].headings == ("Top", "One")
    assert len({row.id for row in found}) == len(found)
    assert {row.id for row in rows(document, spans, tenant="one")} == {row.id for row in found}
    assert not {row.id for row in rows(document, spans, tenant="two")} & {row.id for row in found}
    assert {row.page for row in rows(parsed(TEXT), spans)} == {0}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"method": "best"}, "fixed, sentences"),
        ({"limit": 0}, "overlap < limit"),
        ({"limit": 10, "overlap": 10}, "an overlap of 10"),
        ({"overlap": -1}, "overlap of -1"),
        ({"limit": 100, "parent": 99}, "a parent of 100"),
        ({"method": "semantic"}, "embeds"),
    ],
)
def test_sizes_that_cannot_be(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        chunk(parsed(TEXT), **wrong)


def test_nothing_comes_of_nothing() -> None:
    for method in ("fixed", "sentences", "recursive", "markdown", "semantic"):
        assert everything(" \n\n ", method, 5) == everything("", method, 5) == []


def test_one_ruler_for_one_text() -> None:
    count = estimate()
    once = Once("one two", count)
    assert once.over("one two") is not once.over("three")
    assert (once("one two"), once.over("one two")(0, 3), once.over("three")(0, 5)) == (2, 1, 1)


@pytest.mark.models
def test_the_default_size_with_its_titles_is_what_minilm_reads(
    model_settings: Settings, minilm_path: Path
) -> None:
    path = Path(__file__).parents[2] / "book" / "architectures" / "transformer-deep-dive.md"
    document = parsed(path.read_text(encoding="utf-8"))
    count = count_of(LocalEmbedder(model_settings))
    found = chunk(document, count=count)
    text = document.text
    assert faults(text, [(span.start, span.end) for span in found], SIZE, count) == []
    headed = [". ".join((document.title, *span.headings, text[span.start : span.end])) for span in found]
    assert max(map(count, headed)) <= 254
