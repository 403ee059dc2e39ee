from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from handbook.chat import ScriptedChat
from handbook.errors import ChatError
from handbook.rag.query.acronyms import Acronyms, meaning
from handbook.rag.query.expanding import BETA, MOST, hyde, multi_query

TEXTS = [
    "Grouped-query attention (GQA) shares keys.",
    "In multi-head latent attention (MLA), keys are small; mixtures of experts (MoEs) are sparse.",
    "Recall (see above) and precision (PR curves) matter (A)",
]


@pytest.mark.parametrize(
    ("short", "before", "long"),
    [
        ("GQA", "with grouped-query attention", "grouped-query attention"),
        ("KV", "the cache of key and value", "key and value"),
        ("HMM", "a hidden Markov model", "hidden Markov model"),
        ("BM25", "best match 25", "best match 25"),
        ("SSE", "a scheduled event", ""),
        ("XY", "nothing of the sort", ""),
        ("TP", "a late example", ""),
        ("AB", "ab", ""),
    ],
)
def test_what_a_short_form_stands_for(short: str, before: str, long: str) -> None:
    """The second is the paper's kind of case: a letter may stand inside a word, the first one may not."""
    assert meaning(short, before) == long


def test_acronyms_of_a_corpus() -> None:
    found = Acronyms.of(TEXTS)
    assert found.long == {
        "GQA": "grouped-query attention",
        "MLA": "multi-head latent attention",
        "MoE": "mixtures of experts",
    }
    assert found.variants("why GQAs?") == [
        ("why grouped-query attentions?", "GQA is grouped-query attention")
    ]
    ((text, _),) = found.variants("what Grouped-Query Attention shares")
    assert text == "what GQA shares"
    assert found.variants("gqa in small letters") == []


def test_a_question_in_several_wordings() -> None:
    found = multi_query("Why does GQA share keys?", Acronyms.of(TEXTS))
    assert [one.text for one in found.queries] == [
        "Why does GQA share keys?",
        "Why does grouped-query attention share keys?",
    ]
    assert found.cost == {}


def test_a_models_wordings_are_taken_if_they_are_of_the_question() -> None:
    reply = (
        "1. How does GQA save memory?\n- Why do heads share keys\n\nThe weather is fine.\nwhy does gqa "
        "share keys\nkeys " + "x" * 400
    )
    chat = ScriptedChat([reply])
    found = multi_query("Why does GQA share keys?", chat=chat)
    texts = [one.text for one in found.queries]
    assert texts[0] == "Why does GQA share keys?"
    assert "How does GQA save memory?" in texts
    assert "Why do heads share keys" in texts
    assert len(texts) <= MOST
    assert [why for _, why in found.dropped] == ["no word of the question", "far too long"]
    assert found.cost["calls"] == 1


def test_a_model_that_fails_leaves_the_others() -> None:
    found = multi_query("Why does GQA share keys?", chat=ScriptedChat([ChatError("Down.")]))
    assert [one.text for one in found.queries] == ["Why does GQA share keys?"]
    assert "Down." in found.why


# --- vectors


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """One axis a letter of a, b, c; unit length."""
    rows = np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_supposed_answers_move_the_vector() -> None:
    """By hand: the mean of a, b and b is (1, 2, 0) / 3."""
    chat = ScriptedChat(["b", "b"])
    found = hyde("a", embed, chat)
    assert found.vector == pytest.approx(np.array([1, 2, 0]) / np.sqrt(5), abs=1e-6)
    assert (found.by, found.texts) == ("model", ("b", "b"))
    assert {sampling.seed for _, sampling in chat.asked} == {0, 1}
    assert found.cost["calls"] == 2


def test_without_a_model_the_passages_found_first_do() -> None:
    """By hand: a + 0.75 * mean(b, c)."""
    found = hyde("a", embed, search=lambda question: ["b", "c"])
    wanted = np.array([1, BETA / 2, BETA / 2])
    assert found.vector == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-6)
    assert found.by == "feedback"


def test_with_neither_it_is_the_questions_own() -> None:
    assert hyde("a", embed).by == "nothing"
    assert hyde("a", embed, search=lambda question: []).vector == pytest.approx([1, 0, 0])
    failing = hyde("a", embed, ScriptedChat([ChatError("Down.")]), lambda question: ["b"])
    assert failing.by == "feedback"


def test_a_model_that_fails_half_way_gives_what_it_said() -> None:
    found = hyde("a", embed, ScriptedChat(["b", ChatError("Down.")]))
    assert found.texts == ("b",)
