"""What is a duplicate of a better hit, and what only looks like one."""

import random

import pytest

from handbook.rag.dedupe import Distinct, distinct, resemblance, said, shared, shingles
from handbook.rag.nouns import Found, Row

LONG = (
    "The release of the valve takes place at the pressure that the maker names on the plate, and the plate "
    "must be readable from the place where the operator stands while the pump runs at full load in summer."
)


def hits(*texts: str) -> list[Found]:
    return [Found(Row(str(i), f"doc{i}", text, 0, len(text)), -float(i)) for i, text in enumerate(texts)]


def why(found: Distinct) -> list[tuple[str, str, str]]:
    return [(one.found.row.id, one.of, one.why) for one in found.dropped]


def test_by_hand() -> None:
    """Runs of two words: ab bc cd and ab bc ce have two of four in common."""
    assert shingles(["a", "b", "c", "d"], 2) == {("a", "b"), ("b", "c"), ("c", "d")}
    assert resemblance(shingles(["a", "b", "c", "d"], 2), shingles(["a", "b", "c", "e"], 2)) == 0.5
    assert shingles(["a", "b"]) == {("a", "b")}
    assert shingles([]) == frozenset()
    assert resemblance(frozenset(), frozenset()) == 0.0
    one, other = Row("1", "d", "", 0, 10), Row("2", "d", "", 6, 100)
    assert (shared(one, other), shared(other, one)) == (0.4, 0.4)
    assert shared(one, Row("3", "e", "", 0, 10)) == 0.0
    assert shared(one, Row("3", "d", "", 10, 20)) == 0.0
    assert said(["it", "did", "not", "fall", "below", "-3.5", "%"]) == {"not": 1, "-3.5": 1, "%": 1}


def test_the_same_text_and_nearly_the_same() -> None:
    found = distinct(hits(LONG, LONG.upper().replace(",", " ;\n"), "Other words.", LONG + " Always."))
    assert [one.row.id for one in found.kept] == ["0", "2"]
    assert why(found) == [("1", "0", "same text"), ("3", "0", "alike")]
    assert found.dropped[0].found.score == -1.0
    assert len(distinct(hits(LONG, LONG + " Always."), alike=1.01).kept) == 2
    halves = hits("a b c d e f g", "a b c d e f h")  # two of four runs in common
    assert [len(distinct(halves, alike).kept) for alike in (0.5, 0.51)] == [1, 2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{LONG} It opens at 12.5 bar.", f"{LONG} It opens at 12.6 bar."),
        (f"{LONG} It may be opened.", f"{LONG} It may not be opened."),
        (f"{LONG} This is safe.", f"{LONG} This isn't safe."),
        (f"{LONG} So p < q holds.", f"{LONG} So p > q holds."),
        (f"{LONG} So p > q holds.", f"{LONG} So p ~ q holds."),
        (f"{LONG} At -4 degrees.", f"{LONG} At 4 degrees."),
        (f"{LONG} Take x1 first.", f"{LONG} Take x2 first."),
    ],
)
def test_what_contradicts_stays(one: str, other: str) -> None:
    assert len(distinct(hits(one, other)).kept) == 2


def test_overlapping_places() -> None:
    text = " ".join(f"word{i}" for i in range(100))

    def hit(id: str, start: int, end: int, document: str = "d", tenant: str = "") -> Found:
        return Found(Row(id, document, text[start:end] + id, start, end, tenant=tenant), 0.0)

    found = distinct([hit("a", 0, 300), hit("b", 200, 400), hit("c", 280, 500), hit("d", 40, 90)])
    assert [one.row.id for one in found.kept] == ["a", "c"]
    assert why(found) == [("b", "a", "overlap"), ("d", "a", "overlap")]
    assert len(distinct([hit("a", 0, 100), hit("b", 0, 100, "e")], alike=2).kept) == 2
    assert len(distinct([hit("a", 0, 300), hit("b", 200, 400)], overlap=0.51, alike=2).kept) == 2


def test_equals_comparing_all_pairs() -> None:
    """The inverted list finds what a comparison of each with each kept one finds."""
    rng = random.Random(0)
    base = [[rng.choice("abcdefghij") * 2 for _ in range(60)] for _ in range(6)]
    texts = []
    for _ in range(120):
        words = list(rng.choice(base))
        for _ in range(rng.randint(0, 4)):
            words[rng.randrange(60)] = rng.choice("klmno") * 2
        texts.append(" ".join(words))
    for alike in (0.5, 0.8, 1.0):
        kept: list[str] = []
        for text in texts:
            own = shingles(text.split())
            if all(resemblance(own, shingles(other.split())) < alike for other in kept):
                kept.append(text)
        found = distinct(hits(*texts), alike)
        assert [one.row.text for one in found.kept] == kept
        assert 6 <= len(kept) < 120
        by_id = {one.row.id: one.row.text for one in found.kept}
        for one in found.dropped:
            assert resemblance(shingles(one.found.row.text.split()), shingles(by_id[one.of].split())) >= alike


def test_bad_input() -> None:
    assert distinct([]) == Distinct((), ())
    assert len(distinct(hits("", "", "...")).kept) == 3  # nothing is said, so nothing is said twice
    with pytest.raises(ValueError, match="above 0"):
        distinct([], alike=0)
    with pytest.raises(ValueError, match="above 0"):
        distinct([], overlap=-1)
