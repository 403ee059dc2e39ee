"""The beginning of a passage, as a list of passages shows it."""

import pytest

from handbook.app.web.pages import snippet


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [
        ("Short.", 20, "Short."),
        ("# A\n\n## B c\n\nText # here", 40, "A B c Text # here"),
        ("one two three four", 12, "one two …"),
        ("abcdefghijklmnop", 5, "abcde …"),
        ("the sum $1 + 2 + 3 = 6$ is small", 15, "the sum …"),
        ("the name `a b c d e f` is long", 15, "the name …"),
        ("the sum $1 + 2$ is not large", 20, "the sum $1 + 2$ is …"),
    ],
)
def test_a_passage_is_cut_between_words_and_never_in_a_formula(text: str, length: int, shown: str) -> None:
    assert snippet(text, length) == shown
