import numpy as np
import pytest

from handbook.rag.synthesize import DANGLING, LEAD, NEAR, Candidate, cited, numbers_of, pick, support, worth


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


@pytest.mark.parametrize(
    ("text", "plain", "numbers"),
    [
        ("Keys are kept [1].", "Keys are kept.", [1]),
        ("Keys [2] are kept [1, 2].", "Keys are kept.", [2, 1]),
        ("Keys are kept. [3] [3]", "Keys are kept.", [3]),
        ("A list [a] of x[i].", "A list [a] of x[i].", []),
        ("[1]", "", [1]),
    ],
)
def test_citations_are_read_and_taken_out(text: str, plain: str, numbers: list[int]) -> None:
    assert cited(text) == (plain, numbers)


def test_numbers_ignore_thousands_separators() -> None:
    assert numbers_of("8,192 tokens at 2.5 bytes, 16") == {"8192", "2.5", "16"}


def test_support_is_the_nearest_part() -> None:
    passage = np.array([[1, 0], [0, 1]], np.float32)
    assert support(np.array([0.6, 0.8], np.float32), passage) == pytest.approx(0.8)
    assert support(np.array([0.6, 0.8], np.float32), passage[:0]) == -1.0
