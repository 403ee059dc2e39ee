"""Where a question of the book is at home: its section, and the paragraph that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from handbook.records import Question

if TYPE_CHECKING:
    from handbook.book.nouns import Book


def section_of(book: Book, question: Question) -> str:
    """`chapter-slug#section`: the nearest heading above the paragraph that answers it. Questions of the same
    section are siblings. Without a heading the section is "", and so is an unknown chapter's."""
    chapter = book.chapter(question.chapter)
    if chapter is None:
        return f"{question.chapter.rpartition('/')[2]}#"
    if chapter.section(question.anchor) is not None:
        return f"{chapter.slug}#{question.anchor}"
    paragraph = chapter.paragraph(question.anchor)
    return f"{chapter.slug}#{paragraph.section if paragraph else ''}"


def url_of(book: Book, question: Question) -> str:
    """Where a person reads the paragraph that answers it."""
    return f"/book/{question.chapter}#{question.anchor}"


def title_of(book: Book, question: Question) -> str:
    """Of its section: `Transformers: The KV cache`; of its chapter where there is no heading."""
    chapter = book.chapter(question.chapter)
    if chapter is None:
        return question.chapter
    section = chapter.section(section_of(book, question).partition("#")[2])
    return f"{chapter.title}: {section.title}" if section else chapter.title


def sections(book: Book, questions: Iterable[Question]) -> Mapping[str, str]:
    """Section by question."""
    return {question.id: section_of(book, question) for question in questions}
