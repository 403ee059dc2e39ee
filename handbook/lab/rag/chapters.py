"""The book's chapters as documents, and their interview questions as a golden set: each rubric names the
paragraph that answers. Nothing but the encoder has to be on this machine.
"""

from dataclasses import dataclass
from functools import cache

from handbook.book.load import open_book
from handbook.book.nouns import Chapter
from handbook.rag.beir import Golden, Text, golden
from handbook.rag.nouns import Parsed
from handbook.rag.outline import markdown_blocks

CHAPTERS = (
    "transformer-deep-dive",
    "fine-tuning-strategies",
    "preference-alignment",
    "llm-serving-optimization",
)
SKIPPED = ("item", "figure")  # an item stands in its list
SMALL = 14_000  # characters of the first chapter


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and where its answer stands: documents[document].text[start:end]."""

    text: str
    document: int
    start: int
    end: int


@dataclass(frozen=True)
class Shelf:
    """Chapters as plain text under their headings. golden: their paragraphs, by `chapter#anchor`, under the
    chapter's title."""

    documents: tuple[Parsed, ...]
    questions: tuple[Asked, ...]
    golden: Golden


def read(chapter: Chapter, most: int = 0) -> tuple[str, dict[str, tuple[int, int]]]:
    """A chapter's text, and where each of its paragraphs stands, by anchor. most: characters, if any."""
    titles = {section.id: section for section in chapter.sections}
    text, section, places = f"# {chapter.title}\n\n", "", {}
    for paragraph in chapter.paragraphs:
        said = paragraph.text.strip()
        if paragraph.kind in SKIPPED or not said:
            continue
        if most and len(text) + len(said) > most:
            break
        if paragraph.section != section:
            section = paragraph.section
            if section in titles:
                text += f"{'#' * titles[section].level} {titles[section].title}\n\n"
        places[paragraph.anchor] = len(text), len(text) + len(said)
        text += f"{said}\n\n"
    return text, places


@cache
def shelf(small: bool = True) -> Shelf:
    """The first pages of one chapter, or four chapters whole."""
    book = open_book()
    documents: list[Parsed] = []
    questions: list[Asked] = []
    texts: dict[str, Text] = {}
    asked: dict[str, str] = {}
    judged: dict[str, dict[str, int]] = {}
    for slug in CHAPTERS[:1] if small else CHAPTERS:
        chapter = book.chapters[slug]
        text, places = read(chapter, SMALL if small else 0)
        for question in chapter.questions:
            if question.anchor in places:
                asked[question.id] = " ".join(question.prompt.split())
                judged[question.id] = {f"{slug}#{question.anchor}": 1}
                questions.append(Asked(asked[question.id], len(documents), *places[question.anchor]))
        texts |= {f"{slug}#{anchor}": Text(chapter.title, text[a:b]) for anchor, (a, b) in places.items()}
        documents.append(Parsed(slug, "markdown", chapter.title, text, slug, "en", markdown_blocks(text)))
    return Shelf(tuple(documents), tuple(questions), golden("book", texts, asked, judged))
