"""MaxSim, and hits in its order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from handbook.rag.late_interaction import LateInteraction, max_sim, max_sims
from handbook.rag.nouns import Found, Row

WORDS = {"red": (1.0, 0.0), "crimson": (0.8, 0.6), "blue": (0.0, 1.0)}


class Words:
    """Token vectors of three words, and of [CLS] and [SEP] that point where no word does."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def token_vectors(self, text: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        self.read.append(text)
        words = text.split()
        places = [(0, 0), *((i, i + 1) for i in range(len(words))), (0, 0)]
        vectors = [(9.0, 9.0), *((3 * x, 3 * y) for x, y in (WORDS[word] for word in words)), (9.0, 9.0)]
        return np.array(places, np.intp), np.array(vectors, np.float32)


def hit(text: str) -> Found:
    return Found(Row(text, text, text, 0, len(text)), 0.5, dense=0.25)


def test_by_hand() -> None:
    """red finds crimson at 0.8 and blue at 0; blue finds crimson at 0.6 and blue at 1."""
    question = np.array([WORDS["red"], WORDS["blue"]], np.float32)
    both = np.array([WORDS["crimson"], WORDS["blue"]], np.float32)
    assert max_sim(question, both) == pytest.approx(0.8 + 1.0)
    assert max_sim(question, both[:1]) == pytest.approx(0.8 + 0.6)
    assert max_sims(question, [both, both[:1]]) == pytest.approx([1.8, 1.4])


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.lists(st.integers(0, 6), max_size=6))
def test_one_product_equals_the_loop(seed: int, asked: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    question = rng.standard_normal((asked, 8)).astype(np.float32)
    passages = [rng.standard_normal((length, 8)).astype(np.float32) for length in lengths]
    expected = [max_sim(question, passage) for passage in passages]
    assert max_sims(question, passages) == pytest.approx(expected, abs=1e-4)


def test_hits_in_its_order() -> None:
    words = Words()
    late = LateInteraction(words)
    found = late("red", [hit("blue"), hit("blue crimson"), hit("red blue blue")])
    assert [one.row.id for one in found] == ["red blue blue", "blue crimson", "blue"]
    assert [one.score for one in found] == pytest.approx([1, 0.8, 0], abs=1e-3)
    assert [one.rerank for one in found] == [one.score for one in found]
    assert found[0].dense == 0.25
    assert late("red blue", [hit("crimson")])[0].score == pytest.approx((0.8 + 0.6) / 2, abs=1e-3)
    assert late("red", []) == []
    assert [one.score for one in late("", [hit("blue")])] == [0.0]


def test_a_passage_is_read_once_while_it_is_remembered() -> None:
    words = Words()
    late = LateInteraction(words, kept=2)
    first = late("red", [hit("red"), hit("blue")])
    assert late("red", [hit("red"), hit("blue")]) == first
    assert words.read == ["red", "red", "blue", "red"]  # questions are not remembered
    late("red", [hit("blue")])
    late("red", [hit("red")])
    late("red", [hit("crimson")])  # red was used after blue, so blue goes
    words.read.clear()
    late("red", [hit("red"), hit("blue")])
    assert words.read == ["red", "blue"]
