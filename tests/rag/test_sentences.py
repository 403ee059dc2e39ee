import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.sentences import spans, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("See sec. 3.2 of Vaswani et al. 2017, e.g. Table 1. Then go on.", 2),
        ("It costs 2.5 bytes, i.e. Little. Next.", ["It costs 2.5 bytes, i.e. Little.", "Next."]),
        ("J. Su wrote it. Others followed.", ["J. Su wrote it.", "Others followed."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("It grows. [1] It shrinks [2].", ["It grows. [1]", "It shrinks [2]."]),
        ("The sum is $a. b$ long. $x$ follows.", ["The sum is $a. b$ long.", "$x$ follows."]),
        ("no capital. after this", ["no capital. after this"]),
        ("  spaced  ", ["spaced"]),
        ("", []),
    ],
)
def test_where_sentences_end(text: str, expected: list[str] | int) -> None:
    found = split(text)
    assert found == expected if isinstance(expected, list) else len(found) == expected


@given(st.text())
def test_spans_cover_all_but_white_space_in_order(text: str) -> None:
    found = spans(text)
    rest = text
    for start, end in reversed(found):
        assert text[start:end] == text[start:end].strip() != ""
        rest = rest[:start] + rest[end:]
    assert rest.strip() == ""
    assert found == sorted(found)
