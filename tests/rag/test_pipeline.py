"""A corpus asked through all its stages: answer or refusal, each stage seen, each replaceable."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handbook.chat import Delta, ScriptedChat
from handbook.errors import HandbookError
from handbook.rag import pack
from handbook.rag.columns import body
from handbook.rag.confidence import Confidence
from handbook.rag.index import Index
from handbook.rag.nouns import Condition, Found, Row
from handbook.rag.pipeline import Pipeline
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.search import Both
from handbook.rag.stages import Config, Stages
from handbook.rag.store import Store
from handbook.rag.understand import Understood
from handbook.records import Message, Sentence
from tests.rag.fakes import HashEmbedder
from tests.rag.held import Held
from tests.rag.rows import chunks

EMBEDDER = HashEmbedder("hash", 256)
TEA = (
    "# Tea\n\nGreen tea steeps at seventy degrees. Boiling water makes green tea bitter.",
    "Black leaves are oxidised, green leaves are not. Oxidation darkens the leaves.",
)
BREAD = (
    "Kneading builds gluten. Gluten is a network of proteins that holds gas.",
    "Proofing lets yeast fill the dough with gas. A cool room slows the yeast down.",
)
GLUTEN = "What network of proteins is gluten?"


def weights(threshold: float = 0.3) -> Confidence:
    """Answers when the best cosine is above the threshold."""
    return Confidence("hash", -100 * threshold, {"top": 100.0}, 0.5)


def opened(rows: list[Row] | None = None, **more: Any) -> Pipeline:
    rows = rows if rows is not None else tea() + bread()
    more.setdefault("weights", weights())
    held: Any = Held(rows, EMBEDDER)
    return Pipeline("notes", held, "local", EMBEDDER, Lexicon.of(row.text for row in rows), **more)


def on_disk(folder: Path) -> Pipeline:
    rows = tea() + bread()
    index = Index(Store(str(folder / "index"), folder / "index.lock"), "notes", EMBEDDER.dimension, "hash")
    index.write(rows, EMBEDDER.embed([body(row) for row in rows]))
    return Pipeline(
        "notes", index, "local", EMBEDDER, Lexicon.of(row.text for row in rows), weights=weights()
    )


def tea() -> list[Row]:
    return chunks("tea.md", TEA, "local", kind="markdown", language="en", title="Tea")


def bread() -> list[Row]:
    return chunks("/notes/bread.txt", BREAD, "local", kind="text", language="en")


def stages(answer: Any) -> list[str]:
    return list(dict.fromkeys(step.stage for step in answer.steps))


def test_an_answer_is_made_of_the_documents_own_sentences() -> None:
    answer = opened().ask(f" {GLUTEN} ")
    assert not answer.refused
    assert (answer.question, answer.corpus) == (GLUTEN, "notes")
    assert "Gluten is a network of proteins that holds gas." in answer.text
    for sentence in answer.sentences:
        (citation,) = sentence.citations
        assert sentence.text in citation.chunk.text
        assert sentence.supported
    chunk = answer.hits[0].chunk
    assert chunk.kind == "document"
    assert chunk.url == f"/corpora/notes/passage/{'%2Fnotes%2Fbread.txt-0'}"
    assert (chunk.document, chunk.title, chunk.anchor) == ("/notes/bread.txt", "bread.txt", "")
    assert "# Tea" not in opened().ask("At how many degrees does green tea steep?").text


def test_every_stage_says_what_it_did() -> None:
    answer = opened().ask(GLUTEN)
    assert stages(answer) == [
        "understand.normalise", "understand.spell", "understand.rewrite", "understand.filter",
        "understand.decompose", "embed", "retrieve", "fuse", "fuse.distinct", "pack", "synthesize.decide",
        "synthesize",
    ]  # fmt: skip
    assert all(step.seconds >= 0 and step.received and step.produced for step in answer.steps)
    by_name = {step.stage: step for step in answer.steps}
    (first, *_) = by_name["fuse"].produced["passages"]
    assert first["rank"] == 1
    assert first["id"] == answer.hits[0].chunk.id
    assert {"score", "dense", "lexical"} <= set(first)
    assert by_name["pack"].cost["tokens"] > 0
    assert answer.timings["understand"] == pytest.approx(sum(s.seconds for s in answer.steps[:5]))


def test_what_the_documents_lack_is_refused_with_the_nearest_passages() -> None:
    answer = opened().ask("Which volcano erupted near Naples?")
    assert answer.refused
    assert (answer.sentences, answer.conflicts) == ((), ())
    assert answer.hits
    assert answer.confidence < 0.5
    assert "refused" in answer.steps[-1].note
    empty = opened([])
    assert empty.ask(GLUTEN).refused
    assert empty.search(GLUTEN) == []


def test_a_follow_up_leans_on_what_was_said() -> None:
    pipeline = opened()
    history = [Message("user", "What does boiling water do to green tea?"), Message("assistant", "Bitter.")]
    answer = pipeline.ask("And black tea?", history)
    assert answer.question == "And black tea?"
    by_name = {step.stage: step for step in answer.steps}
    assert by_name["retrieve"].received["queries"] == ["What does boiling water do to black tea?"]


def test_filters_of_the_question_and_of_the_asker_both_hold() -> None:
    pipeline = opened()
    only = pipeline.ask(f"{GLUTEN[:-1]} in my text files?", today=date(2026, 1, 1))
    assert {hit.chunk.document for hit in only.hits} == {"/notes/bread.txt"}
    by_name = {step.stage: step for step in only.steps}
    assert by_name["retrieve"].received["filters"] == ["kind: text"]
    tea_only = pipeline.search(GLUTEN, conditions=[Condition("kind", ("markdown",))])
    assert {one.row.document for one in tea_only} == {"tea.md"}
    # No PDF is there: the question's own filter is given up, and the step says so.
    wide = pipeline.ask(f"{GLUTEN[:-1]} in my PDFs?")
    assert not wide.refused
    retrieved = [step for step in wide.steps if step.stage == "retrieve"]
    assert len(retrieved) == 2
    assert "asked without" in retrieved[-1].note
    # What the asker filters by is not: nothing is found, and it is asked once.
    none = pipeline.ask(GLUTEN, conditions=[Condition("kind", ("pdf",))])
    assert [step.stage for step in none.steps].count("retrieve") == 1
    assert none.hits == ()
    assert pipeline.search(GLUTEN, conditions=[Condition("kind", ("pdf",))]) == []
    with pytest.raises(HandbookError, match="no field"):
        pipeline.search(GLUTEN, conditions=[Condition("year", ("2021",))])


def test_several_questions_are_looked_for_apart_and_fused() -> None:
    answer = opened().ask("What is gluten and how do the leaves darken?")
    by_name = {step.stage: step for step in answer.steps}
    assert len(by_name["retrieve"].received["queries"]) > 1
    assert {hit.chunk.document for hit in answer.hits[:3]} == {"tea.md", "/notes/bread.txt"}
    assert by_name["fuse"].received["rankings"] == 2 * len(by_name["retrieve"].received["queries"])


def test_over_an_index_on_disk_it_is_the_same(tmp_path: Path) -> None:
    pipeline = on_disk(tmp_path)
    answer = pipeline.ask(GLUTEN)
    assert answer.text == opened().ask(GLUTEN).text
    assert [hit.chunk for hit in answer.hits] == [hit.chunk for hit in opened().ask(GLUTEN).hits]
    tea_only = pipeline.search(GLUTEN, conditions=[Condition("kind", ("markdown",))])
    assert {one.row.document for one in tea_only} == {"tea.md"}
    for config in (Config(expansion="parents"), Config(expansion="neighbours", balance=0.5)):
        wide = Pipeline("notes", pipeline.reader, "local", EMBEDDER, Lexicon({}, 0), config=config)
        assert wide.ask(GLUTEN).hits[0].chunk.text == " ".join(BREAD)
    # One tenant never sees another's.
    other = Pipeline("notes", pipeline.reader, "somebody", EMBEDDER, Lexicon({}, 0), weights=weights())
    assert other.ask(GLUTEN).hits == ()


@pytest.mark.parametrize("question", ["", "  ", "x" * 2001])
def test_no_question_and_an_endless_one(question: str) -> None:
    with pytest.raises(HandbookError):
        opened().ask(question)


def test_each_stage_can_be_replaced() -> None:
    used = []

    def reranked(question: str, found: Any) -> list[Found]:
        used.append("rerank")
        return [replace(one, rerank=1.0) for one in reversed(found)]

    def retrieved(queries: Any, vectors: Any, conditions: Any) -> list[Both]:
        used.append("retrieve")
        return [Both((), tuple(Found(row, 1.0, lexical=1.0) for row in bread()))]

    def fused(both: Any) -> list[Found]:
        used.append("fuse")
        return list(both[0].lexical)

    def packed(found: Any) -> pack.Packed:
        used.append("pack")
        return pack.Packed(tuple(found[:1]), tuple(found[1:]), 7)

    def said(vector: Any, passages: Any, near: Any) -> tuple[Sentence, ...]:
        used.append("synthesize")
        return (Sentence("Said.", (), supported=True),)

    replaced = Stages(retrieve=retrieved, fuse=fused, rerank=reranked, pack=packed, synthesize=said)
    sure = Confidence("hash", 9.0, {"top": 0.0}, 0.5)
    answer = opened(stages=replaced, weights=sure).ask(GLUTEN)
    assert used == ["retrieve", "fuse", "rerank", "pack", "synthesize"]
    assert answer.text == "Said."
    assert [hit.chunk.id for hit in answer.hits] == ["/notes/bread.txt-1"]
    (rerank,) = [step for step in answer.steps if step.stage == "rerank.pairs"]
    assert [(one["rank_before"], one["rank"]) for one in rerank.produced["passages"]] == [(2, 1), (1, 2)]


def test_settings_reach_their_stages() -> None:
    wide = opened(config=Config(expansion="parents"))
    gluten = wide.ask(GLUTEN).hits[0]
    assert gluten.chunk.text == " ".join(BREAD)
    near = opened(config=Config(expansion="neighbours")).ask(GLUTEN)
    assert near.hits[0].chunk.text == " ".join(BREAD)
    assert "retrieve.expand" in stages(near)
    few = opened(config=Config(passages=1, fusion="min-max", balance=0.5, alike=0)).ask(GLUTEN)
    assert len(few.hits) == 1
    assert "fuse.diverse" in stages(few)
    assert "fuse.distinct" not in stages(few)
    assert opened(config=Config(budget=1)).ask(GLUTEN).hits == ()


@pytest.mark.parametrize(
    "wrong",
    [{"depth": 0}, {"fusion": "sum"}, {"expansion": "all"}, {"balance": 1.5}, {"alike": -1}, {"pool": 0}],
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Config(**wrong)


def test_generated_sentences_are_held_against_the_passages() -> None:
    chat = ScriptedChat(["Gluten is a network of proteins [1]. Volcanoes erupt near Naples [1]."])
    pipeline = opened(chat=chat)
    pieces = list(pipeline.generate(GLUTEN, pipeline.ask(GLUTEN)))
    assert isinstance(pieces[0], Delta)
    carried, invented = [piece for piece in pieces if isinstance(piece, Sentence)]
    assert carried.supported
    assert carried.citations[0].chunk.id == "/notes/bread.txt-0"
    assert not invented.supported
    with pytest.raises(HandbookError, match="'notes' does not answer"):
        pipeline.generate("x", pipeline.ask("Which volcano erupted near Naples?"))
    pipeline.chat = None
    with pytest.raises(HandbookError, match="No chat model"):
        pipeline.generate(GLUTEN, pipeline.ask(GLUTEN))


def test_without_documents_nothing_is_misspelt() -> None:
    step = next(step for step in opened([]).ask("What is abort?").steps if step.stage == "embed")
    assert step.received == {"texts": ["What is abort?"]}


def test_a_supposed_answers_vector_takes_the_questions_place() -> None:
    supposed = EMBEDDER.embed(["green tea"])[0]

    def understand(question: str, history: Any, today: Any) -> Understood:
        return Understood(question, question, (question,), (question,), ("notes",), vector=supposed)

    asked = []

    def retrieved(queries: Any, vectors: Any, conditions: Any) -> list[Both]:
        asked.append(vectors)
        return [Both((), ()) for _ in queries]

    opened(stages=Stages(understand=understand, retrieve=retrieved)).ask(GLUTEN)
    assert np.array_equal(asked[0], supposed[None])


def test_a_row_that_two_queries_find_has_the_best_of_its_scores() -> None:
    row, other = bread()
    first = Both((Found(row, 0.2, dense=0.2),), (Found(row, 3.0, lexical=3.0),))
    second = Both((Found(other, 0.9, dense=0.9), Found(row, 0.6, dense=0.6)), ())
    (best, next_one) = opened()._fuse([first, second])
    assert (best.row.id, best.dense, best.lexical) == (row.id, 0.6, 3.0)
    assert (next_one.row.id, next_one.dense, next_one.lexical) == (other.id, 0.9, None)


def test_an_expanded_passage_has_a_vector_of_its_own() -> None:
    embedder = HashEmbedder("hash", 256)
    rows = bread()
    held: Any = Held(rows, embedder)
    lexicon = Lexicon.of(row.text for row in rows)
    for expansion, embedded in (("none", False), ("parents", True)):
        embedder.embedded.clear()
        config = Config(expansion=expansion)
        Pipeline("notes", held, "local", embedder, lexicon, config=config, weights=weights()).ask(GLUTEN)
        assert (f"bread.txt. {' '.join(BREAD)}" in embedder.embedded) is embedded
