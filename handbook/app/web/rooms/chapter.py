"""A chapter: the text as it was rendered, what is read of it, and ways on."""

import re

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.web.pages import environment, shelf_of, show
from handbook.app.web.rooms.claims import standing
from handbook.app.web.rooms.marks import mark
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import fresh
from handbook.book.nouns import Book, Chapter

router = APIRouter()
_CLAIM_NOTE = re.compile(r'(<aside\b[^>]*\bid="note-claim-([a-z0-9-]+)"[^>]*>.*?)(</aside>)', re.DOTALL)


def find(book: Book, part: str, slug: str) -> Chapter:
    """Raises a 404 where the book has no such chapter."""
    chapter = book.chapters.get(slug)
    if chapter is None or chapter.part != part:
        raise HTTPException(404)
    return chapter


def with_own_measurements(request: Request, shelf: Shelf, chapter: Chapter, html: str) -> str:
    """Into each claim's note: how it stands on this machine, and the button that measures it here."""
    known = {claim.id: claim for claim in chapter.claims}
    own = shelf.own_measurements()
    token = fresh(request)
    template = environment.get_template("fragments/claim.html")

    def filled(match: re.Match[str]) -> str:
        claim = known.get(match[2])
        if claim is None:
            return match[0]
        here = template.render(**standing(shelf, claim, own), token=token)
        return f"{match[1]}{here}{match[3]}"

    return _CLAIM_NOTE.sub(filled, html)


@router.get("/book/{part}")
def part(request: Request, part: str) -> Response:
    if all(each.slug != part for each in shelf_of(request).book.parts):
        raise HTTPException(404)
    return RedirectResponse(f"/book#{part}", 307)


@router.get("/book/{part}/{slug}")
def chapter(request: Request, part: str, slug: str) -> Response:
    shelf = shelf_of(request)
    book = shelf.book
    found = find(book, part, slug)
    html = shelf.rendered(found).html
    slugs = list(book.chapters)
    at = slugs.index(found.slug)
    return show(
        request,
        "chapter.html",
        {
            "book": book,
            "chapter": found,
            "part": next(each for each in book.parts if each.slug == part),
            "html": with_own_measurements(request, shelf, found, html),
            "math": 'class="math' in html,
            "mark": mark(found, shelf.read_sections()),
            "before": book.chapters[slugs[at - 1]] if at else None,
            "after": book.chapters[slugs[at + 1]] if at + 1 < len(slugs) else None,
        },
    )
