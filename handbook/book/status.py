"""What is written and what is not, chapter by chapter."""

from __future__ import annotations

from typing import Any

from handbook.book.nouns import Book, Chapter


def _of(book: Book, chapter: Chapter) -> dict[str, Any]:
    name = chapter.folder.relative_to(book.root.parent).as_posix()
    faults = [f for f in book.faults if f.file == f"{name}.md" or f.file.startswith(f"{name}/")]
    return {
        "chapter": chapter.path,
        "title": chapter.title,
        "status": chapter.status if chapter.source else "missing",
        "written": chapter.written,
        "words": chapter.words,
        "sections": len(chapter.sections),
        "claims": len(chapter.claims),
        "measured": sum(claim.measured is not None for claim in chapter.claims),
        "questions": len(chapter.questions),
        "exercises": len(chapter.exercises),
        "lab": chapter.lab is not None,
        "figures": len(chapter.figures),
        "faults": len(faults),
    }


def status(book: Book) -> list[dict[str, Any]]:
    """One row per chapter, in order. The keys are stable; `status` is written, outline or missing."""
    return [_of(book, chapter) for chapter in book.chapters.values()]
