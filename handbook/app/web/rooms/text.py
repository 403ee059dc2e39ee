"""Fragments of Markdown (answers, statements) as HTML."""

from handbook.book.nouns import Book, Chapter


def markdown(book: Book, chapter: Chapter, text: str) -> str:
    """With the links and math of a chapter."""
    from handbook.book.render import render_fragment

    return render_fragment(book, chapter, text)
