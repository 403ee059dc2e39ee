import numpy as np
import pytest

from handbook.rag.evidence import Passage, spans
from handbook.rag.synthesize import DANGLING, LEAD, NEAR, Candidate, extract, pick, worth
from handbook.records import Chunk
from tests.rag.fakes import HashEmbedder


def candidate(score: float, place: tuple[int, int], *direction: float) -> Candidate:
    vector = np.array(direction or (1.0, 0.0), np.float32)
    return Candidate(0, place, f"s{place}", vector / np.linalg.norm(vector), score)


def test_the_best_come_in_reading_order_without_near_duplicates() -> None:
    best = candidate(0.9, (2, 0), 1, 0)
    same = candidate(0.85, (1, 0), 1, 0.1)
    other = candidate(0.8, (0, 3), 0, 1)
    weak = candidate(0.9 * NEAR - 0.01, (0, 0), 1, -1)
    assert pick([weak, other, same, best]) == [other, best]
    assert pick([other, best], limit=1) == [best]
    assert pick([]) == []


def test_leads_are_preferred_and_leaning_sentences_are_not() -> None:
    plain = worth(0.5, 0.5, 0, 1, "Keys are kept.")
    assert worth(0.5, 0.5, 0, 0, "Keys are kept.") == pytest.approx(plain + LEAD)
    assert worth(0.5, 0.5, 0, 1, "It is kept.") == pytest.approx(plain - DANGLING)
    assert worth(0.5, 0.5, 0, 1, "Items are kept.") == pytest.approx(plain)
    assert worth(0.5, 0.5, 1, 1, "Keys are kept.") < plain


def answer(text: str, kind: str) -> str:
    embed = HashEmbedder().embed
    texts = tuple(text[a:b] for a, b in spans(text))
    chunk = Chunk("1", "d", "", "T", text, "/u", kind)
    passage = Passage(chunk, texts, embed([text, *texts]), "d")
    return " ".join(s.text for s in extract(embed(["green tea"])[0], [passage], [0.5]))


def test_pointers_questions_and_marks_are_no_answers() -> None:
    text = "Write it yourself: green tea. Is it green tea? Green tea is tea."
    assert answer(text, "paragraph") == "Green tea is tea."
    listed = "# Green tea\n\n- Green tea\n- Green tea is tea\n\n| green | tea | green | tea |"
    assert answer(listed, "document") == "Green tea is tea"
