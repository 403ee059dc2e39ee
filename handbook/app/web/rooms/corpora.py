"""Corpora: documents of one's own, added, looked through, brought up to date, taken back and deleted."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from handbook.app.web import uploads
from handbook.app.web.pages import environment, number, shelf_of
from handbook.app.web.pages import show as show_page
from handbook.app.web.shelf import AUTO, BOOK, Shelf
from handbook.app.web.tokens import fields, files
from handbook.errors import CorpusError, HandbookError

if TYPE_CHECKING:
    from handbook.rag.corpora import About, Item
    from handbook.rag.jobs import Progress
    from handbook.rag.published import Version

router = APIRouter()
ON_PAGE = 50  # documents
SIGNALS = 200  # of the newest that are looked at
VERSIONS = 8  # that are shown
COUNTS = {  # what an ingestion says it did
    "new": "new",
    "changed": "changed",
    "same": "unchanged",
    "gone": "gone",
    "unreadable": "not readable",
    "lossy": "read in part",
}
GOING = ("running", "waiting", "stopping")
STAGES = {
    "plan": "Looking for what changed",
    "embed": "Reading and embedding",
    "remove": "Taking out what is gone",
    "index": "Making the index fast",
}
STATES = {
    "running": "Being read now",
    "waiting": "Waits for another ingestion",
    "stopping": "Stopping",
    "stopped": "Stopped",
    "interrupted": "Was cut off",
    "failed": "Broke off",
    "done": "Done",
}
DONE = {
    "stopping": "It stops as soon as what it holds is finished.",
    "removed": "Taken out of the corpus.",
    "rolled-back": "The corpus is what it was then. An update takes in what changed since.",
    "titled": "It has a new title.",
    "deleted": "The corpus was deleted. Your own files are where they were.",
}
URL = re.compile(r"https?://", re.IGNORECASE)


def about_of(shelf: Shelf, name: str) -> "About":
    """Raises 404 where there is no such corpus."""
    try:
        about: About = shelf.corpora.about(name)
    except CorpusError as error:
        raise HTTPException(404, str(error)) from error
    return about


def all_of(shelf: Shelf) -> "list[About]":
    """Every corpus, in order of title. A database that can't be opened has none (a notice says so)."""
    if not shelf.corpora_there():
        return []
    found: list[About] = shelf.corpora.all()
    return sorted(found, key=lambda each: each.title.lower())


def latest(shelf: Shelf, name: str) -> "Progress | None":
    found: Progress | None = shelf.ingestion.latest(name)
    return found


def stated(progress: "Progress | None") -> dict[str, Any]:
    """What the fragment on an ingestion needs."""
    going = progress is not None and progress.state in GOING
    counts = progress.counts if progress is not None and progress.state == "done" else {}
    made = ", ".join(f"{number(counts[name])} {said}" for name, said in COUNTS.items() if counts.get(name))
    return {"progress": progress, "going": going, "stages": STAGES, "states": STATES, "made": made}


def versions_of(shelf: Shelf, name: str) -> "list[Version]":
    """What the corpus was, the newest first; of those within a minute the last, as one ingestion makes
    several."""
    found: dict[str, Version] = {}
    for version in shelf.corpora.versions(name):
        found.setdefault(f"{version.at:%Y-%m-%d %H:%M}", version)
    return list(found.values())[:VERSIONS]


def signals(shelf: Shelf, name: str) -> dict[str, Any]:
    """What was noted about answers from a corpus: counts, what was not answered, what was opened."""
    counts = shelf.state(lambda database: database.signal_counts(name), dict[str, int]())
    rows = shelf.state(lambda database: database.signals(name, SIGNALS), list[dict[str, Any]]())
    opened = Counter(row["chunk"] for row in rows if row["kind"] == "cited" and row["chunk"])
    missed = list(dict.fromkeys(row["question"] for row in rows if row["kind"] == "not_helped"))
    return {"counts": counts, "opened": opened.most_common(8), "missed": missed[:8]}


def opened_titles(shelf: Shelf, name: str, ids: Sequence[str]) -> dict[str, str]:
    """What the passages that were opened are called; without those that are gone."""
    from handbook.rag.corpora import TENANT

    try:
        rows = shelf.corpora.reader(name).get(ids, TENANT)
    except HandbookError:
        return {}
    return {row.id: ", ".join(dict.fromkeys([row.title or row.document, *row.headings])) for row in rows}


@router.get("/corpora")
def page(request: Request, done: str = "") -> Response:
    shelf = shelf_of(request)
    there = all_of(shelf)
    return show_page(
        request,
        "corpora.html",
        {
            "book": shelf.book,
            "there": there,
            "progress_of": {each.name: stated(latest(shelf, each.name)) for each in there},
            "said": DONE.get(done, ""),
            "signals": signals(shelf, BOOK),
            "kinds": ", ".join(uploads.kinds()),
            "about": None,
        },
    )


def sources_of(form: dict[str, str]) -> list[str]:
    """The folder and the page that a form names. Raises HandbookError for a path that isn't whole."""
    path, url = form.get("path", "").strip(), form.get("url", "").strip()
    if path and not URL.match(path) and not path.startswith("~") and not Path(path).is_absolute():
        raise HandbookError(
            f"Expected a whole path, got {path[:200]!r}.", "Begin it with / (or ~ for your home folder)."
        )
    if url and not URL.match(url):
        raise HandbookError(f"Expected the address of a page, got {url[:200]!r}.", "Begin it with https://.")
    return [each for each in (path, url) if each]


def begin(shelf: Shelf, name: str, sources: Sequence[str], sent: Sequence[UploadFile]) -> None:
    """Start an ingestion of what was named and sent."""
    if not sources and not sent:
        raise HandbookError(
            "Expected a folder, files or the address of a page, got nothing.", "Give one of them."
        )
    folder = shelf.corpora.uploads(name)
    if sent:
        uploads.keep(sent, folder)
    shelf.ingestion.start(name, [*sources, *([str(folder)] if sent else [])])
    shelf.corpora_changed()


@router.post("/corpora")
def create(
    request: Request,
    form: Annotated[dict[str, str], Depends(fields)],
    sent: Annotated[list[UploadFile], Depends(files)],
) -> Response:
    """A new corpus, with what it begins with."""
    shelf = shelf_of(request)
    sources, title = sources_of(form), " ".join(form.get("title", "").split())
    uploads.checked(sent)
    if not sources and not sent:
        raise HandbookError(
            "Expected a folder, files or the address of a page, got nothing.", "Give one of them."
        )
    if not title:
        title = titled(sources[0]) if sources else Path(uploads.safe_name(sent[0].filename or "")).stem
    name = free_name(title, {each.name for each in shelf.corpora.all()})
    shelf.corpora.create(name, title)
    try:
        begin(shelf, name, sources, sent)
    except BaseException:
        shelf.corpora.delete(name)
        raise
    return RedirectResponse(f"/corpora/{name}", 303)


def titled(source: str) -> str:
    """What a corpus is called where nobody says so: as its folder, or as its page's address."""
    if URL.match(source):
        return URL.sub("", source).partition("?")[0].rstrip("/")
    return Path(source).name or source


def free_name(title: str, taken: set[str]) -> str:
    """A name for a corpus, from its title, unlike those that are taken."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:34].strip("-") or "notes"
    taken = taken | {BOOK, AUTO}
    return next(
        name for name in (slug, *(f"{slug}-{n}" for n in range(2, len(taken) + 3))) if name not in taken
    )


@router.get("/corpora/{name}")
def corpus(request: Request, name: str, show: str = "", at: int = 1, done: str = "") -> Response:
    shelf = shelf_of(request)
    about = about_of(shelf, name)
    unread, partly, languages = shelf.corpora.catalogue.spread(name)
    only = show if show == "report" else ""
    count = unread + partly if only else about.documents
    pages = max(1, -(-count // ON_PAGE))
    at = max(1, min(at, pages))
    items: list[Item] = shelf.corpora.listed(name, (at - 1) * ON_PAGE, ON_PAGE, bool(only))
    noted = signals(shelf, name)
    noted["titles"] = opened_titles(shelf, name, [id for id, _ in noted["opened"]])
    folder = str(shelf.corpora.uploads(name))
    return show_page(
        request,
        "corpus.html",
        {
            "book": shelf.book,
            "about": about,
            "items": items,
            "unread": unread,
            "partly": partly,
            "only": only,
            "at": at,
            "pages": pages,
            "languages": languages[:4],
            "uploads": folder,
            "called": lambda item: called(item, folder),
            "first_passage": first_passage,
            "versions": versions_of(shelf, name),
            "signals": noted,
            "said": DONE.get(done, ""),
            "chosen_corpus": name,
            "kinds": ", ".join(uploads.kinds()),
            **stated(latest(shelf, name)),
        },
    )


def called(item: "Item", folder: str) -> str:
    """Where a document is, as short as it is clear: below its source."""
    if item.source.startswith(f"{folder}/"):
        return item.source[len(folder) + 1 :]
    if item.origin and item.source.startswith(item.origin.rstrip("/") + "/"):
        return item.source[len(item.origin.rstrip("/")) + 1 :]
    return item.source


def first_passage(item: "Item") -> str:
    """The id of a document's first passage (see `rag.chunk.rows`)."""
    from handbook.rag.chunk import row_id
    from handbook.rag.corpora import TENANT

    return row_id(TENANT, item.source, 0)


@router.get("/corpora/{name}/progress")
def progress(request: Request, name: str) -> Response:
    """How far an ingestion is; the page asks again and again, so it makes no token. When it has ended, the
    page is told to look at the documents."""
    shelf = shelf_of(request)
    about = about_of(shelf, name)
    values = stated(latest(shelf, name))
    html = environment.get_template("fragments/progress.html").render({**values, "about": about, "polled": 1})
    response = HTMLResponse(html)
    if not values["going"]:
        shelf.corpora_changed()
        response.headers["HX-Trigger"] = "ingested"
    return response


@router.post("/corpora/{name}/add")
def add(
    request: Request,
    name: str,
    form: Annotated[dict[str, str], Depends(fields)],
    sent: Annotated[list[UploadFile], Depends(files)],
) -> Response:
    shelf = shelf_of(request)
    about_of(shelf, name)
    begin(shelf, name, sources_of(form), sent)
    return RedirectResponse(f"/corpora/{name}", 303)


@router.post("/corpora/{name}/update")
def update(request: Request, name: str, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Look at all sources again. retry: also at what could not be read. anew: embed all, after another
    model was set."""
    shelf = shelf_of(request)
    about_of(shelf, name)
    if form.get("anew"):
        shelf.corpora.anew(name)
    if form.get("retry"):
        shelf.corpora.retry(name)
    shelf.ingestion.start(name)
    shelf.corpora_changed()
    return RedirectResponse(f"/corpora/{name}", 303)


@router.post("/corpora/{name}/{what}")
def change(
    request: Request, name: str, what: str, form: Annotated[dict[str, str], Depends(fields)]
) -> Response:
    """stop, resume, remove, title, rollback."""
    shelf = shelf_of(request)
    about_of(shelf, name)
    done = ""
    if what in ("stop", "resume"):
        current = latest(shelf, name)
        if current is not None:
            (shelf.ingestion.stop if what == "stop" else shelf.ingestion.resume)(current.id)
            done = "stopping" if what == "stop" and current.state in GOING else ""
    elif what == "remove":
        shelf.corpora.remove(name, [form.get("source", "")])
        done = "removed"
    elif what == "title":
        shelf.corpora.entitle(name, form.get("title", ""))
        done = "titled"
    elif what == "rollback":
        number = form.get("version", "")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise HandbookError(f"Expected a version's number, got {number[:20]!r}.", "Choose one.")
        shelf.corpora.rollback(name, int(number))
        done = "rolled-back"
    elif what == "delete":
        if form.get("confirm", "").strip() != name:
            raise HandbookError(
                f"Nothing was deleted: the name `{name}` was not typed.", "Go back and type it."
            )
        shelf.corpora.delete(name)
        shelf.corpora_changed()
        return RedirectResponse("/corpora?done=deleted", 303)
    else:
        raise HTTPException(404, what)
    shelf.corpora_changed()
    return RedirectResponse(f"/corpora/{name}" + (f"?done={done}" if done else ""), 303)
