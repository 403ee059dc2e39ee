"""Mathematics in the terminal: readable, nothing lost, nothing that reads as something else."""

import re

import pytest
from click.testing import CliRunner

from handbook.app.cli.ask import _print_answer
from handbook.app.cli.plain import plain
from handbook.book.load import open_book
from handbook.records import Answer, Chunk, Citation, Sentence


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("$n^2$ of $x_{i}$", "n^2 of x_i"),
        (r"$e^{s_j - m}$", "e^(s_j - m)"),
        (r"$\sum_j e^{s_j}$", "∑_j e^(s_j)"),
        (r"$10000^{2i/C}$", "10000^(2i/C)"),
        (r"$1536 / 576 = \tfrac83$", "1536 / 576 = 8/3"),
        (r"$\tfrac{8}{3}C$", "8/3 C"),
        (r"$1 - \frac{576 \cdot 60}{2048 \cdot 95}$", "1 - (576 · 60)/(2048 · 95)"),
        (r"$\frac{Q K^\top}{\sqrt{d}}$", "(Q K^\N{DOWN TACK})/√d"),
        (r"$1/\sqrt{128 + 64}$", "1/√(128 + 64)"),
        (r"$\sqrt[3]{x}$", "3√x"),
        (r"$\binom{16}{2} = 120$", "C(16, 2) = 120"),
        (r"$4{,}096$", "4,096"),
        (r"$\mathrm{silu}(W_{gate}\,x) \odot y$", "silu(W_gate x) ⊙ y"),
        (r"$e^{x_{ij} + y^{a+b}}$", "e^(x_ij + y^(a+b))"),
        (r"A price is \$5, or $5 and $6.", "A price is $5, or $5 and $6."),
        (r"$\frac{1$ and $x_{$ and $}{$", r"$\frac{1$ and $x_{$ and $}{$"),
        ("no mathematics, `a_{b}` and {braces}", "no mathematics, `a_{b}` and {braces}"),
    ],
)
def test_one_line_of_plain_characters(tex: str, expected: str) -> None:
    assert plain(tex) == expected


def test_no_paragraph_of_the_book_shows_tex() -> None:
    seen = 0
    for chapter in open_book().chapters.values():
        for paragraph in chapter.paragraphs:
            prose = re.sub(r"`[^`]*`", "", paragraph.text) if "$" in paragraph.text else ""
            for found in re.finditer(r"(?<![\\$\d])\$(?!\s)([^$\n]+)(?<![\s\\])\$(?![\d$])", prose):
                line = plain(found[0])
                seen += 1
                assert line, found[0]
                assert not set("\\{}$") & set(line), f"{found[0]} became {line}"
    assert seen > 100


def test_an_answer_is_printed_in_plain_characters() -> None:
    chunk = Chunk("a", "a", "a", "A", "text", "/book/a#a")
    sentence = Sentence(r"Scores are divided by $\sqrt{d}$.", (Citation(chunk, 1.0),), True)
    answer = Answer("Why?", (sentence,), refused=False, hits=(), confidence=0.9)
    with CliRunner().isolation() as (out, _, _):
        _print_answer(answer)
        assert out.getvalue().decode().startswith("Scores are divided by √d.\n")
