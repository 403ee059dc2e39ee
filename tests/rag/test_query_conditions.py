"""Filters in questions: days, kinds, languages, authors, numbers; and what is none."""

import re
import time
from datetime import date

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.chat import ScriptedChat
from handbook.errors import ChatError
from handbook.rag.nouns import Condition
from handbook.rag.query.conditions import by_rule, extract
from handbook.rag.query.dates import times
from handbook.rag.query.fields import BASIC, Field, schema

TODAY = date(2026, 11, 22)  # a Sunday
FIELDS = (*BASIC, Field("author", "word", ("Jane Doe", "Smith")), Field("pages", "number"))


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("since March 2021", "2021-03-01", ""),
        ("between 2018 and 2020", "2018-01-01", "2020-12-31"),
        ("from 2019 to 2021", "2019-01-01", "2021-12-31"),
        ("before 5 May 2020", "", "2020-05-04"),
        ("after 2020-02-28", "2020-02-29", ""),
        ("until December 1, 2020", "", "2020-12-01"),
        ("in Q3 2021", "2021-07-01", "2021-09-30"),
        ("in 2024-02", "2024-02-01", "2024-02-29"),
        ("last week", "2026-11-09", "2026-11-15"),
        ("this month", "2026-11-01", "2026-11-30"),
        ("last year", "2025-01-01", "2025-12-31"),
        ("last quarter", "2026-07-01", "2026-09-30"),
        ("yesterday", "2026-11-21", "2026-11-21"),
        ("in the last 30 days", "2026-10-23", "2026-11-22"),
        ("in the past two weeks", "2026-11-08", "2026-11-22"),
        ("not older than two years", "2024-11-22", ""),
        ("older than 10 days", "", "2026-11-12"),
    ],
)
def test_times_by_hand(said: str, least: str, most: str) -> None:
    text = f"notes {said}, on caches"
    (found,) = times(text, TODAY)
    assert (found.least, found.most) == (least, most)
    assert text[found.start : found.end] == said


@pytest.mark.parametrize(
    "text",
    [
        "fits in 2048 tokens",
        "in 2030",
        "after 2040",
        "on 31 February 2020",
        "in 2021-13",
        "may 2020 times",
        "at 2020",
        "since 12",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert times(text, TODAY) == []


@given(
    st.text(alphabet="in sceford12890-Qmaybtwlh ,", max_size=60), st.dates(date(1950, 1, 1), date(2090, 1, 1))
)
def test_any_text_gives_days_that_exist(text: str, today: date) -> None:
    for found in times(text, today):
        for day in (found.least, found.most):
            assert not day or date.fromisoformat(day)
        assert not (found.least and found.most) or found.least <= found.most


@pytest.mark.parametrize(
    ("question", "rest", "conditions"),
    [
        (
            "What do my PDFs say about LoRA since 2021?",
            "LoRA?",
            [Condition("kind", ("pdf",)), Condition("date", (), "2021-01-01")],
        ),
        (
            "In my notebooks, how is the loss plotted?",
            "how is the loss plotted?",
            [Condition("kind", ("notebook",))],
        ),
        ("German papers on tokenisers", "tokenisers", [Condition("language", ("de",))]),
        ("documents written in French about tea", "tea", [Condition("language", ("fr",))]),
        ("What did Jane Doe's notes say about caching?", "caching?", [Condition("author", ("Jane Doe",))]),
        (
            "reports by Smith with more than 100 pages on retrieval",
            "retrieval",
            [Condition("author", ("Smith",)), Condition("pages", (), 101.0)],
        ),
        (
            'kind:pdf author:"jane doe" date>=2021-03-01 rotary embeddings',
            "rotary embeddings",
            [
                Condition("kind", ("pdf",)),
                Condition("author", ("Jane Doe",)),
                Condition("date", (), "2021-03-01"),
            ],
        ),
        (
            "web pages and PDFs: kind:html kind:pdf caches",
            "web pages and PDFs: caches",
            [Condition("kind", ("html", "pdf"))],
        ),
        (
            "what did I write last week?",
            "what did I write last week?",
            [Condition("date", (), "2026-11-09", "2026-11-15")],
        ),
    ],
)
def test_stated_filters_are_taken_out(question: str, rest: str, conditions: list[Condition]) -> None:
    found = by_rule(question, TODAY, FIELDS)
    assert list(found.conditions) == conditions
    assert found.rest == rest
    assert found.by == "rule"
    assert len(found.said) >= len(conditions)


@pytest.mark.parametrize(
    "question",
    [
        "How are PDFs parsed?",
        "What is a CSV file?",
        "How does the Markdown chunker work?",
        "What happened to attention in 2019?",
        "How do you translate German into English?",
        "How many tokens fit in 2048 positions of the text?",
        "kind:exe viruses",
        "date:tomorrow weather",
        "tenant:other secrets",
        "pages about dogs",
    ],
)
def test_what_may_be_the_subject_is_no_filter(question: str) -> None:
    found = by_rule(question, TODAY, FIELDS)
    assert found.conditions == ()
    assert found.rest == question


def test_a_doubtful_time_is_told() -> None:
    (left,) = by_rule("What happened to attention in 2019?", TODAY).left
    assert left[0] == "in 2019"


def test_whose_documents_is_never_the_questions_to_say() -> None:
    with pytest.raises(ValueError, match="isolation"):
        extract("tenant:other", TODAY, [Field("tenant", "word")])


@pytest.mark.parametrize(
    "piece", ["in the ", "my pdf ", "from 2019 to ", "the last ", "notes tagged ", "in my "]
)
def test_long_questions_take_no_long_time(piece: str) -> None:
    question = (piece * 2000)[:2000]
    began = time.thread_time()  # of this thread alone, whoever else is busy
    by_rule(question, TODAY, FIELDS)
    assert time.thread_time() - began < 1.0


# --- with a chat model

QUESTION = "What has Smith got to say on caching, in at most 20 pages?"


def test_the_schema_takes_what_it_should() -> None:
    check = jsonschema.Draft202012Validator(schema(FIELDS))
    check.check_schema(check.schema)
    assert check.is_valid({"author": ["Smith"], "date": {"least": "2021-01-01"}, "pages": {"most": 20}})
    for wrong in (
        {"author": ["Jones"]},
        {"date": {"least": "2021-1-1"}},
        {"tenant": ["x"]},
        {"pages": {}},
        [],
    ):
        assert not check.is_valid(wrong)


def test_a_model_reads_what_forms_do_not() -> None:
    chat = ScriptedChat(['{"author": ["Smith"]}'])
    found = extract(QUESTION, TODAY, FIELDS, chat)
    assert Condition("author", ("Smith",)) in found.conditions
    assert found.by == "model"
    assert chat.schemas == [schema(FIELDS)]


@pytest.mark.parametrize(
    "reply",
    [
        '{"author": ["Jane Doe"]}',
        '{"kind": ["pdf"], "language": ["en"]}',
        '{"date": {"least": "2020-01-01", "most": "2024-12-31"}}',
        '{"date": {"most": "2026-11-22"}}',
    ],
)
def test_what_a_model_makes_up_is_left_out(reply: str) -> None:
    found = extract(QUESTION, TODAY, FIELDS, ScriptedChat([reply]))
    assert {one.name for one in found.conditions} <= {"pages"}
    assert found.left


@pytest.mark.parametrize("reply", ["", "[]", '{"author": ["Jones"]}', "{", ChatError("Down.")])
def test_a_model_that_fails_leaves_the_rules(reply: str | Exception) -> None:
    found = extract("in my PDFs, caches", TODAY, FIELDS, ScriptedChat([reply]))
    assert found.conditions == (Condition("kind", ("pdf",)),)
    assert re.search("gave nothing", found.why)
