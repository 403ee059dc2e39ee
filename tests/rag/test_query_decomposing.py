import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.chat import ScriptedChat
from handbook.errors import ChatError
from handbook.rag.query.decomposing import MOST, decompose, split


@pytest.mark.parametrize(
    ("question", "form", "parts"),
    [
        ("What is RoPE and how does it work?", "several", ["What is RoPE?", "How does RoPE work?"]),
        ("Why is decode slow? Can batching help?", "several", ["Why is decode slow?", "Can batching help?"]),
        (
            "What is the difference between LoRA and QLoRA?",
            "comparison",
            ["What is the difference between LoRA and QLoRA?", "What is LoRA?", "What is QLoRA?"],
        ),
        (
            "Is DPO better than PPO for small models?",
            "comparison",
            [
                "Is DPO better than PPO for small models?",
                "DPO better for small models",
                "PPO better for small models",
            ],
        ),
        (
            "compare dense and sparse retrieval",
            "comparison",
            ["compare dense and sparse retrieval", "What is dense retrieval?", "What is sparse retrieval?"],
        ),
        ("LoRA vs. QLoRA", "comparison", ["LoRA vs. QLoRA", "What is LoRA?", "What is QLoRA?"]),
        ("What are MHA, MQA and GQA?", "list", ["What is MHA?", "What is MQA?", "What is GQA?"]),
    ],
)
def test_what_asks_several_things_is_taken_apart(question: str, form: str, parts: list[str]) -> None:
    found = decompose(question)
    assert (found.form, list(found.parts), found.by) == (form, parts, "rule")
    assert found.why


@pytest.mark.parametrize(
    "question",
    [
        "What are query and key vectors?",
        "How and why does attention scale?",
        "How do bread and butter interact?",
        "What happens to keys and values when the cache is full?",
        "Explain the trade-off",
        "Does it matter what the batch is and how it is cut?",
        "",
    ],
)
def test_what_asks_one_thing_stays_whole(question: str) -> None:
    found = decompose(question)
    assert (found.form, found.parts) == ("one", (question,))


SOME = (
    "What",
    "is",
    "are",
    "how",
    "does",
    "why",
    "LoRA",
    "and",
    ",",
    "?",
    "vs",
    "between",
    "difference",
    "or",
)


@given(st.lists(st.sampled_from((*SOME, "compare", "it"))))
def test_any_words_make_some_parts(words: list[str]) -> None:
    question = " ".join(words)
    parts = split(question).parts
    assert 1 <= len(parts) <= MOST + 1
    assert all(part.strip() for part in parts) or parts == (question,)


@pytest.mark.parametrize(
    "piece", ["a and ", "how does a, ", "is a than ", "what is, and ", "compare a with b in "]
)
def test_long_questions_take_no_long_time(piece: str) -> None:
    question = (piece * 2000)[:2000]
    began = time.thread_time()  # of this thread alone, whoever else is busy
    split(question)
    assert time.thread_time() - began < 1.0


# --- with a chat model

CHAIN = "When was the author of the paper on RoPE born?"


def test_a_model_splits_what_rules_do_not() -> None:
    chat = ScriptedChat(
        ['{"parts": ["Who is the author of the paper on RoPE?", "When was the author born?"]}']
    )
    found = decompose(CHAIN, chat)
    assert found.parts == ("Who is the author of the paper on RoPE?", "When was the author born?")
    assert (found.form, found.by, found.dependent) == ("steps", "model", True)
    assert chat.schemas[0]["properties"]["parts"]["maxItems"] == MOST


def test_a_model_is_not_asked_where_rules_have_done_it() -> None:
    chat = ScriptedChat([])
    assert decompose("LoRA vs. QLoRA", chat).by == "rule"
    assert chat.asked == []


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("no JSON at all", "Expected JSON"),
        ('{"parts": []}', "is not as asked"),
        ('{"parts": ["Jianlin Su wrote RoFormer in Shenzhen"]}', "not of the question"),
        (f'{{"parts": ["{CHAIN}"]}}', "one part too"),
        (ChatError("Nothing answers."), "gave nothing"),
        ("{" * 2000, "Expected JSON"),
    ],
)
def test_what_a_model_gets_wrong_leaves_the_question_whole(reply: str | Exception, why: str) -> None:
    found = decompose(CHAIN, ScriptedChat([reply]))
    assert found.parts == (CHAIN,)
    assert why in found.why
