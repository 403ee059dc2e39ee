"""The stage as a whole, and its labelled set: floors some way below what was measured."""

import importlib.util
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from handbook.chat import ScriptedChat
from handbook.errors import ChatError, HandbookError
from handbook.rag.nouns import Condition
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.query.routing import Profile
from handbook.rag.understand import ALL, DEFAULT, Understanding
from handbook.records import Message

TODAY = date(2026, 11, 22)
TEXTS = [
    "LoRA trains two thin matrices.",
    "QLoRA quantizes the base; memory shrinks.",
    "Attention weighs values.",
]
NOTES = Profile("notes", Lexicon.of(TEXTS), "Notes on training.")


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[0.6, 0.8] for _ in texts], np.float32)


def test_from_what_was_typed_to_what_is_looked_for() -> None:
    history = [Message("user", "Hi! how does LoRA save memroy?"), Message("assistant", "Thin matrices.")]
    understood = Understanding([NOTES])("And what abuot QLoRA in my PDFs?", history, TODAY)
    assert understood.question == "How does QLoRA save memory?"
    assert understood.conditions == (Condition("kind", ("pdf",)),)
    assert understood.corpora == ("notes",)
    assert understood.queries == ("How does QLoRA save memory?",)
    stages = [step.stage for step in understood.steps]
    assert stages == [
        f"understand.{n}" for n in ("normalise", "spell", "rewrite", "filter", "route", "decompose")
    ]
    assert all(step.seconds >= 0 and step.received and step.produced for step in understood.steps)
    assert understood.steps[2].note


def test_several_parts_are_looked_for_apart() -> None:
    understood = Understanding([NOTES])("LoRA vs QLoRA")
    assert understood.parts == understood.queries == ("LoRA vs QLoRA", "What is LoRA?", "What is QLoRA?")


def test_small_talk_looks_for_nothing() -> None:
    understood = Understanding([NOTES])("thank you!")
    assert (understood.corpora, understood.queries) == ((), ())
    assert understood.steps[-1].stage == "understand.route"
    after = Understanding([NOTES])("Got it, thanks!", [Message("user", "How does LoRA save memory?")])
    assert [step.stage for step in after.steps] == ["understand.normalise", "understand.route"]
    assert after.corpora == ()


def test_only_the_steps_in_use_are_made() -> None:
    understood = Understanding([NOTES], frozenset())("Hi, what abuot my PDFs?")
    assert understood.question == "What abuot my PDFs?"
    assert [step.stage for step in understood.steps] == ["understand.normalise"]
    assert understood.corpora == ("notes",)
    with pytest.raises(ValueError, match="expected steps of"):
        Understanding([NOTES], frozenset({"guess"}))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'hyde'"):
        Understanding([NOTES], ALL)


def test_all_steps_with_a_model_that_is_down_lose_nothing() -> None:
    chat = ScriptedChat([ChatError("Down.")] * 9)
    understand = Understanding([NOTES], ALL, chat=chat, embed=embed, search=lambda question: TEXTS[:1])
    understood = understand("And QLoRA?", [Message("user", "How does LoRA save memory?")], TODAY)
    plain = Understanding([NOTES])("And QLoRA?", [Message("user", "How does LoRA save memory?")], TODAY)
    assert (understood.question, understood.corpora) == (plain.question, plain.corpora)
    assert understood.queries[0] == "How does QLoRA save memory?"
    assert understood.vector == pytest.approx([0.6, 0.8])
    assert "Down." in " ".join(step.note for step in understood.steps)


def test_a_models_cost_is_in_the_trace() -> None:
    chat = ScriptedChat(["How does QLoRA save memory?", "{}", '{"parts": ["How does QLoRA save memory?"]}'])
    understand = Understanding([NOTES], DEFAULT, chat=chat)
    understood = understand("And QLoRA?", [Message("user", "How does LoRA save memory?")], TODAY)
    cost = {step.stage: step.cost for step in understood.steps}
    assert cost["understand.rewrite"]["calls"] == 1
    assert cost["understand.rewrite"]["prompt_tokens"] > 0
    assert cost["understand.normalise"] == {}


def test_turns_of_nothing_and_of_far_too_much_are_borne() -> None:
    history = [Message("user", "\u200b"), Message("user", "LoRA " * 5000), Message("tool", "x")]
    assert Understanding([NOTES])("What does it train?", history).question


@pytest.mark.parametrize("question", ["", "   ", "x" * 2001])
def test_what_is_no_question_is_an_error(question: str) -> None:
    with pytest.raises(HandbookError):
        Understanding([NOTES])(question)


def test_names_of_filters_are_not_misspelt() -> None:
    texts = ["general papers about training"] * 3
    understood = Understanding([Profile("notes", Lexicon.of(texts))])(
        "German papers about training", today=TODAY
    )
    assert understood.conditions == (Condition("language", ("de",)),)


# --- the labelled set

BENCH = Path(__file__).parents[2] / "bench" / "understand.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_understand", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_set_is_large_enough_and_split_once_and_for_all(bench: ModuleType) -> None:
    rows = bench.read()
    assert len(rows) >= 60
    assert (
        len({row["id"] for row in rows})
        == len({(row["question"], str(row["history"])) for row in rows})
        == len(rows)
    )
    for split in bench.SPLITS:
        some = [row for row in rows if row["split"] == split]
        assert len(some) >= 30
        assert all(any(row[name] for row in some) for name in ("needs", "conditions", "parts", "history"))


def test_what_is_measured_holds(bench: ModuleType) -> None:
    """Right of all, by step, both splits together; the book's words change as it grows."""
    understand = Understanding(bench.profiles())
    steps = bench.score(bench.read(), understand)["steps"]
    right = {
        step: sum(cell[0] for cell in cells.values()) / sum(cell[1] for cell in cells.values())
        for step, cells in steps.items()
    }
    assert all(share >= 0.85 for share in right.values()), right
    assert sum(cell["not needed"][0] for cell in steps.values()) >= 0.9 * sum(
        cell["not needed"][1] for cell in steps.values()
    )
