"""What fits into a context, and where it stands."""

import pytest

from handbook.rag.nouns import Found, Row
from handbook.rag.pack import Packed, ends_first, pack


def hit(id: str, words: int, title: str = "") -> Found:
    return Found(Row(id, id, " ".join(["w"] * words), 0, 1, title=title), 0.0)


def count(text: str) -> int:
    return len(text.split())


def names(packed: Packed) -> tuple[str, str, int]:
    kept, left = ("".join(one.row.id for one in some) for some in (packed.kept, packed.left))
    return kept, left, packed.tokens


def test_as_many_as_fit() -> None:
    hits = [hit("a", 4), hit("b", 7), hit("c", 3), hit("d", 3), hit("e", 1)]
    assert names(pack(hits, 10, count)) == ("acd", "be", 10)
    assert names(pack(hits, 9, count)) == ("ace", "bd", 8)
    assert names(pack(hits, 10, count, most=2)) == ("ac", "bde", 7)
    assert names(pack(hits, 10, count, wrapping=1)) == ("ac", "bde", 9)
    assert names(pack(hits, 100, count)) == ("abcde", "", 18)
    assert names(pack(hits, 0, count)) == ("", "abcde", 0)
    assert names(pack([], 10, count)) == ("", "", 0)


def test_titles_cost_tokens() -> None:
    assert names(pack([hit("a", 4, "Two words")], 5, count)) == ("", "a", 0)
    assert names(pack([hit("a", 4, "Two words")], 6, count)) == ("a", "", 6)


@pytest.mark.parametrize("more", [{"budget": -1}, {"budget": 1, "most": -1}, {"budget": 1, "wrapping": -1}])
def test_bad_input(more: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        pack([], count=count, **more)


def test_the_weakest_stand_in_the_middle() -> None:
    assert ends_first([1, 2, 3, 4, 5]) == [1, 3, 5, 4, 2]
    assert ends_first([1, 2, 3, 4]) == [1, 3, 4, 2]
    assert ends_first([1, 2]) == [1, 2]
    assert ends_first("") == []
