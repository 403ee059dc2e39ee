import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.errors import HandbookError
from handbook.rag.query.normal import LONGEST, normalise


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("  How  does\tRoPE\nwork ?? ", "How does RoPE work ?"),
        ("what\u2019s the \ufb01rst step", "what's the first step"),
        ("\uff32\uff4f\uff30\uff25?", "RoPE?"),
        ("key\u2010value\u200b cache\u202e", "key-value cache"),
        ("cafe\u0301", "caf\u00e9"),
        ("HOW DOES ROPE WORK?", "how does rope work?"),
        ("GQA VS MQA", "GQA VS MQA"),
        ("Hi there, could you please tell me how RoPE works?? Thanks!", "How RoPE works?"),
        ("Please explain RoPE, please.", "Explain RoPE."),
        ("I'd like to know what a token is", "What a token is"),
        ("x\u00b2 or x2?", "x\u00b2 or x2?"),
        ("hello!", "hello!"),
        ("please", "please"),
        ("help me", "help me"),
    ],
)
def test_what_is_typed_and_what_is_meant(typed: str, meant: str) -> None:
    found = normalise(typed)
    assert found.text == meant
    assert found.given == typed
    assert bool(found.changes) == (typed != meant)


@pytest.mark.parametrize("typed", ["", " \n ", "\u200b", "\x00\x07"])
def test_nothing_asked_is_an_error(typed: str) -> None:
    with pytest.raises(HandbookError, match="Expected a question, got nothing"):
        normalise(typed)


def test_a_question_too_long_is_an_error() -> None:
    with pytest.raises(HandbookError, match="got 2001"):
        normalise("x" * (LONGEST + 1))
    assert normalise("x" * LONGEST).text == "x" * LONGEST


@given(st.text(max_size=80).filter(lambda text: any(c.isalnum() for c in text)))
def test_its_own_result_it_leaves_alone(text: str) -> None:
    once = normalise(text).text
    assert normalise(once).text == once


WORDS = st.sampled_from(
    ["hi,", "please", "can you tell me", "what", "RoPE", "is", "thanks", "!", "?", "so,", "ok:", "HOW"]
)


@given(st.lists(WORDS, min_size=1, max_size=7))
def test_courtesies_in_any_order_leave_something(parts: list[str]) -> None:
    text = " ".join(parts)
    once = normalise(text).text
    assert once
    assert normalise(once).text == once
    if "RoPE" in parts:
        assert "rope" in once.lower()
