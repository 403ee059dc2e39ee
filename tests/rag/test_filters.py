"""Conditions as SQL: what they select, and what they can't be made to say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handbook.errors import HandbookError
from handbook.rag import filters
from handbook.rag.columns import MOST_FIELDS
from handbook.rag.index import Index
from handbook.rag.nouns import Condition, Row
from tests.rag.rows import DIMENSION, opened

NAMES = filters.names(["word_author", "number_year", "word_year", "word_tenant", "vector"])


def test_names_are_those_of_every_corpus_and_of_its_rows() -> None:
    assert NAMES["author"] == ("word_author",)
    assert NAMES["year"] == ("number_year", "word_year")
    assert NAMES["kind"] == ("kind",)
    assert "vector" not in NAMES
    assert "body" not in NAMES
    assert filters.names(["word_kind"])["kind"] == ("kind",)  # a document's field hides nothing


def test_a_condition_is_written_out() -> None:
    one = Condition("year", (2020, "soon"), least=2019, most="2021")
    assert filters.sql([one, Condition("Kind", ("o'pdf",))], NAMES) == (
        "(`word_year` IN ('soon') OR `number_year` IN (CAST('2020.0' AS DOUBLE)))"
        " AND `number_year` >= CAST('2019.0' AS DOUBLE) AND `word_year` < '2021\U0010ffff'"
        " AND `kind` IN ('o''pdf')"
    )
    assert filters.sql([], NAMES) == ""


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (Condition("colour", ("red",)), "no field 'colour'"),
        (Condition("kind' OR 1=1 --", ("x",)), "no field"),
        (Condition("vector", (1.0,)), "no field"),
        (Condition("author"), "says nothing"),
        (Condition("author", (1.0,)), "holds no numbers"),
        (Condition("page", ("one",)), "holds no words"),
        (Condition("page", least=float("nan")), "Expected a number"),
        (Condition("page", most=float("inf")), "Expected a number"),
        (Condition("author", ("x",) * 1001), "too many"),
    ],
)
def test_what_cannot_be_asked_is_told(bad: Condition, match: str) -> None:
    with pytest.raises(HandbookError, match=match):
        filters.sql([bad], NAMES)


VALUES = [
    "",
    "a",
    "A",
    "a'b",
    "'; DROP TABLE x; --",
    "\\",
    "%",
    "_",
    '"',
    "`",
    "注",
    "\x00",
    "2021",
    "2021-05-03",
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: Any) -> Index:
    """A row for each value, as a word and (its number) as a number."""
    rows = [
        Row(
            str(i), str(i), "", 0, 0, fields={"word": value, "both": value if i % 2 else float(i), "n": i - 5}
        )
        for i, value in enumerate(VALUES)
    ]
    index = opened(tmp_path_factory.mktemp("corpus"))
    index.write(rows, np.ones((len(rows), DIMENSION)))
    return index


def asked(corpus: Index, *conditions: Condition) -> set[int]:
    return {int(one.row.id) for one in corpus.dense(np.ones(DIMENSION), 99, conditions, "")}


def test_each_value_selects_itself(corpus: Index) -> None:
    for place, value in enumerate(VALUES):
        assert asked(corpus, Condition("word", (value,))) == {place}, value
    assert asked(corpus, Condition("word", tuple(VALUES))) == set(range(len(VALUES)))
    assert asked(corpus, Condition("document", ("3", "5"))) == {3, 5}


def test_bounds_are_included(corpus: Index) -> None:
    assert asked(corpus, Condition("n", least=-1, most=1)) == {4, 5, 6}
    assert asked(corpus, Condition("n", most=-5.0)) == {0}
    assert asked(corpus, Condition("n", least=1e300)) == set()
    assert asked(corpus, Condition("word", least="2021", most="2021")) == {12, 13}  # 2021 has its days
    assert asked(corpus, Condition("word", least="2021-05-03", most="2021-05-03")) == {13}
    assert asked(corpus, Condition("n", least=0), Condition("word", ("a", "注"))) == {10}


def test_a_field_may_hold_words_and_numbers(corpus: Index) -> None:
    assert asked(corpus, Condition("both", (2, "a"))) == {1, 2}
    assert asked(corpus, Condition("both", least=7)) == {8, 10, 12}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec=None), max_size=12), max_size=3).map(tuple))
def test_no_text_selects_anything_but_its_equals(corpus: Index, values: tuple[str, ...]) -> None:
    wanted = {place for place, value in enumerate(VALUES) if value in values}
    assert asked(corpus, Condition("word", (*values, "a"))) == wanted | {1}


def test_fields_that_are_no_columns_are_kept(tmp_path: Path) -> None:
    """Documents name their fields: hostile names, names of columns, and too many of them."""
    named: dict[str, str | float] = {
        "a b": "x",
        "`; --": "y",
        "kind": "z",
        "vector": "v",
        "Year": 3.0,
        "x" * 99: 1.0,
    }
    rows = [
        Row("0", "0", "text", 0, 4, fields=named),
        Row("1", "1", "text", 0, 4, fields={f"f{i}": float(i) for i in range(100)}),
    ]
    index = opened(tmp_path)
    index.write(rows, np.ones((2, DIMENSION)))
    assert index.get(["0", "1"], "") == rows
    assert asked(index, Condition("year", (3,))) == {0}
    assert asked(index, Condition("kind", ("z",))) == set()
    own = set(index.fields("")) - set(filters.names([]))
    assert len(own) <= MOST_FIELDS
    assert "f0" in own
    assert "f99" not in own
