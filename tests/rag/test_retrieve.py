import numpy as np
import pytest

from handbook.rag.passages import Entry
from handbook.rag.retrieve import DenseIndex, fused, subject
from handbook.records import Chunk
from tests.rag.conftest import Open


def entry(id: str, text: str = "One. Two.", asks: tuple[str, ...] = (), answers: bool = True) -> Entry:
    return Entry(Chunk(id, "d", id, "T", text, f"/{id}"), text, asks, answers)


def unit(*values: float) -> np.ndarray:
    return np.array(values, np.float32) / np.float32(np.linalg.norm(values))


def test_a_passage_scores_the_mean_of_its_whole_and_its_nearest_part() -> None:
    """By hand: p is (1, 0), its sentences (0, 1) and (-1, 0), its question (0.6, 0.8); q is one text."""
    entries = [entry("p", asks=("Why?",)), entry("q", "Only one.")]
    vectors = np.stack([unit(1, 0), unit(0, 1), unit(-1, 0), unit(0.6, 0.8), unit(0.8, 0.6)])
    index = DenseIndex(entries, vectors)
    assert index.scores(unit(1, 0)) == pytest.approx([(1 + 0.6) / 2, 0.8])
    assert index.scores(unit(0, 1)) == pytest.approx([(0 + 1) / 2, 0.6])
    assert index.search(unit(0, 1), 5) == [("q", pytest.approx(0.6)), ("p", pytest.approx(0.5))]
    assert index.search(unit(0, 1), 1, ["paragraph"]) == [("q", pytest.approx(0.6))]
    assert index.search(unit(0, 1), 5, ["code"]) == []


def test_vectors_of_sentences_and_of_the_passage_without_its_questions() -> None:
    entries = [entry("p", asks=("Why?",)), entry("q", "Only one."), entry("outline", answers=False)]
    vectors = np.arange(12, dtype=np.float32).reshape(6, 2)
    index = DenseIndex(entries, vectors)
    assert index.sentence_vectors("p").tolist() == vectors[1:3].tolist()
    assert index.passage_vectors("p").tolist() == vectors[0:3].tolist()
    assert index.question_vectors("p").tolist() == vectors[3:4].tolist()
    assert index.question_vectors("q").tolist() == []
    assert (
        index.sentence_vectors("q").tolist() == index.passage_vectors("q").tolist() == vectors[4:5].tolist()
    )
    assert index.sentence_vectors("outline").tolist() == vectors[5:].tolist()


def test_an_index_checks_its_vectors_and_may_be_empty() -> None:
    with pytest.raises(ValueError, match="expected 3 vectors"):
        DenseIndex([entry("p")], np.zeros((2, 2), np.float32))
    assert DenseIndex([], np.zeros((0, 2), np.float32)).search(unit(1, 0), 5) == []


def test_fused_hits_keep_the_score_of_each_retriever() -> None:
    entries = {id: entry(id) for id in "abc"}
    hits = fused([("a", 7.0), ("b", 5.0)], [("b", 0.9), ("c", 0.8)], entries)
    assert [(hit.chunk.id, hit.lexical, hit.dense) for hit in hits] == [
        ("b", 5.0, 0.9),
        ("a", 7.0, None),
        ("c", None, 0.8),
    ]
    assert hits[0].score > hits[1].score > hits[2].score


def test_the_subject_of_a_question_is_never_empty() -> None:
    assert subject("Why does kneading build gluten?") == "kneading build gluten?"
    assert subject("Why, how?") == "Why, how?"


def test_a_question_that_a_passage_answers_leads_to_it(open_small: Open) -> None:
    """The passage itself has none of these words; the interview questions that point at it have."""
    for question in ("makes bread elastic", "And chewy?"):
        (hit, *_) = open_small().retrieve(question, citable=True)
        assert hit.chunk.id == "bread-making#knead"
        assert "elastic" not in hit.chunk.text
