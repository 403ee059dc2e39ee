import pytest

from handbook.rag.formats.faults import Unreadable
from handbook.rag.ingest import parse
from tests.rag.papers import column, pdf

FIRST = ["The first line of a paragraph goes on to", "the second, and ends there."]
MORE = ["and a second line,", "a third one,", "and a last."]
SECOND = ["Another one begins after a gap, and it is", "as long as two lines of ten points are."]


def test_paragraphs_headings_and_pages() -> None:
    pages = [
        [(72, 750, 18, "A Title"), *column(FIRST), *column(SECOND, top=680)],
        [(72, 750, 14, "A Part"), *column(["Words on the second page."])],
    ]
    parsed = parse(pdf(pages, "/Title(On Gaps)/Author(Ada)/CreationDate(D:20240501120000Z)"), "gaps.pdf")
    found = [(b.kind, b.level, parsed.text[b.start : b.end]) for b in parsed.blocks]
    assert found == [
        ("heading", 1, "A Title"),
        ("paragraph", 0, " ".join(FIRST)),
        ("paragraph", 0, " ".join(SECOND)),
        ("heading", 2, "A Part"),
        ("paragraph", 0, "Words on the second page."),
    ]
    assert parsed.text[parsed.pages[1] :].startswith("A Part")
    assert (parsed.title, parsed.lost, parsed.language) == ("On Gaps", (), "en")
    assert parsed.metadata == {"author": "Ada", "date": "2024-05-01", "pages": "2"}


def test_a_sentence_goes_on_over_the_end_of_a_page() -> None:
    pages = [
        column(["It begins on one page and it"]),
        column(["goes on over the next one.", "Then more follows."]),
    ]
    parsed = parse(pdf(pages))
    assert len(parsed.blocks) == 1
    assert "one page and it goes on over" in parsed.text
    assert parsed.text[parsed.pages[1] :].startswith("goes on over")


def test_running_titles_and_numbers_go_and_are_told() -> None:
    pages = [
        [(72, 770, 8, f"Chapter {i // 3}"), *column([f"Words of page {i}", *MORE]), (300, 30, 8, str(i))]
        for i in range(9)
    ]
    parsed = parse(pdf(pages))
    assert [parsed.text[b.start : b.end] for b in parsed.blocks] == [
        f"Words of page {i} {' '.join(MORE)}" for i in range(9)
    ]
    assert parsed.lost == ('running titles, which stand on many pages: "#", "chapter #"',)


def test_lines_that_repeat_in_a_short_document_stay() -> None:
    parsed = parse(pdf([column(["The same words."])] * 3))
    assert parsed.text.count("The same words.") == 3


def test_scanned_pages_are_told_one_by_one() -> None:
    text = column(["A page with words."])
    parsed = parse(pdf([text, None, None, text, None]))
    assert parsed.lost == ("pages 2-3, 5: pictures without text: scanned",)
    assert [parsed.text[place : place + 6] for place in parsed.pages] == ["A page"] * 4 + [""]


def test_lists() -> None:
    parsed = parse(pdf([column(["Bring these:", "\u2022 bread and", "butter", "\u2022 salt"])]))
    kinds = [(b.kind, parsed.text[b.start : b.end]) for b in parsed.blocks]
    assert kinds == [("paragraph", "Bring these:"), ("list", "\u2022 bread and butter\n\u2022 salt")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pdf([None, None]), "scanned"),
        (pdf([column(["Secret words."])], password="open sesame"), "encrypted"),
        (b"%PDF-1.7\nnothing of the kind", "cut off"),
        (pdf([]), "broken"),
    ],
)
def test_nothing_to_read_is_said(data: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        parse(data, "a.pdf")


def test_an_empty_password_is_no_obstacle() -> None:
    """What is encrypted for printing alone opens for everybody."""
    assert parse(pdf([column(["Not so secret."])], password="")).text == "Not so secret."


def test_a_pdf_that_is_cut_off_gives_what_is_there() -> None:
    whole = pdf([column([f"Page {i} with its words."]) for i in range(20)])
    parsed = parse(whole[: int(len(whole) * 0.5)], "cut.pdf")
    assert "Page 3 with its words." in parsed.text
    assert parsed.lost[0].startswith("pages 12-20: broken")
    assert parsed.lost[-1].startswith("the end of the file")
