"""Search over book, questions and code, as a page and as the palette's list, which also has the commands."""

from dataclasses import asdict, dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from handbook.app.web.pages import shelf_of, show
from handbook.app.web.shelf import Shelf

router = APIRouter()
LIMIT = 30
PALETTE_LIMIT = 12
LONGEST = 300  # characters of a query that are looked at


@dataclass(frozen=True, slots=True)
class Found:
    title: str
    kind: str
    text: str
    url: str


PAGES = (
    Found("Today", "page", "What to do next", "/"),
    Found("Contents", "page", "All chapters and both study paths", "/book"),
    Found("Plan", "page", "Every day until the interview: move it, spread a missed week", "/plan"),
    Found("Diagnostic", "page", "Twenty minutes: what is solid, shaky, unknown", "/diagnostic"),
    Found("Drill", "page", "Questions that are due: type, compare, confirm the grade", "/drill"),
    Found("Ask the book", "page", "Answers with cited passages", "/ask"),
    Found("Corpora", "page", "Your own documents: add, update, look through, delete", "/corpora"),
    Found("Engine", "page", "Chat with the model, with its speed", "/engine"),
    Found("Engine, live", "page", "Block map and queues, step by step; opens a trace", "/engine/live"),
    Found("Training", "page", "Runs of handbook train: loss curves, held-out loss, speed", "/training"),
    Found("Progress", "page", "How ready you are, what you kept, what is read and solved", "/progress"),
    Found("Export and import", "page", "Your practice as JSON, CSV or for Anki, out and in", "/export"),
    Found("References", "page", "Every cited source", "/references"),
    Found(
        "Architecture zoo", "page", "Public models in numbers: weights, cache, FLOPs; your own config", "/zoo"
    ),
    Found("Code", "page", "The modules of the handbook", "/code"),
    Found("Under the hood", "page", "Versions, models, data folder, export, import, delete", "/about"),
)
COMMANDS = (
    Found("handbook open", "command", "Start the app (--port, --no-browser)", "/about#commands"),
    Found("handbook doctor", "command", "What this machine has and what is missing", "/about#doctor"),
    Found("handbook verify", "command", "Rerun the labs and compare their numbers", "/about#commands"),
    Found("handbook ask", "command", "Ask the book from the terminal", "/about#commands"),
    Found("handbook ingest", "command", "Add a folder, a file or a page to a corpus", "/corpora"),
    Found("handbook chat", "command", "Chat with the built-in model in the terminal", "/about#commands"),
    Found("handbook models get", "command", "Bring a model to this machine", "/about#models"),
    Found("handbook book check", "command", "List all faults of the book", "/about#commands"),
    Found("handbook engine replay", "command", "Show a trace step by step in the terminal", "/engine/live"),
    Found(
        "handbook train sft", "command", "Fine-tune a model on your examples, with LoRA or whole", "/training"
    ),
    Found("handbook zoo", "command", "Size public models or your own config.json", "/zoo"),
    Found("handbook cards export", "command", "Write your practice as JSON, CSV or for Anki", "/export"),
    Found("handbook cards import", "command", "Take reviews in, from Anki too; undo it", "/export"),
    Found("handbook export", "command", "Write your own state to a file", "/about#data"),
)


def commands(text: str) -> list[Found]:
    words = text.lower().split()
    return [
        each
        for each in (*PAGES, *COMMANDS)
        if all(word in f"{each.title} {each.text}".lower() for word in words)
    ]


def titles(shelf: Shelf, text: str) -> list[Found]:
    """Chapters, labs and exercises whose title holds every word."""
    words = text.lower().split()
    found = []
    for chapter in shelf.book.chapters.values():
        if all(word in chapter.title.lower() for word in words):
            note = chapter.summary if chapter.written else f"Not written yet. {chapter.summary}"
            found.append(Found(chapter.title, "chapter", note, chapter.url))
        if chapter.lab and all(word in f"lab {chapter.title.lower()}" for word in words):
            found.append(Found(f"Lab: {chapter.title}", "lab", "Sliders and plots", f"{chapter.url}/lab"))
    for exercise in shelf.book.exercises.values():
        if all(word in exercise.title.lower() for word in words):
            found.append(
                Found(
                    exercise.title,
                    "exercise",
                    f"{exercise.level}, {exercise.minutes} minutes",
                    f"/exercise/{exercise.name}",
                )
            )
    return found


def find(shelf: Shelf, text: str, limit: int) -> list[Found]:
    text = text.strip()[:LONGEST]
    if not text:
        return []
    passages = [
        Found(hit.chunk.title, hit.chunk.kind, excerpt(hit.chunk.text, text), hit.chunk.url)
        for hit in shelf.corpus.search(text, limit)
    ]
    return [*titles(shelf, text), *passages]


def excerpt(text: str, query: str, width: int = 180) -> str:
    """The part of a passage around the first word of the query that it holds."""
    text = " ".join(text.split())
    low = text.lower()
    places = [at for word in query.lower().split() if (at := low.find(word)) >= 0]
    start = max(0, min(places, default=0) - width // 3)
    if start:
        start = text.rfind(" ", 0, start) + 1
    piece = text[start : start + width]
    return ("… " if start else "") + piece + (" …" if start + width < len(text) else "")


@router.get("/search")
def search(request: Request, q: str = "") -> Response:
    shelf = shelf_of(request)
    found = find(shelf, q, LIMIT)
    return show(
        request,
        "search.html",
        {
            "book": shelf.book,
            "query": q[:LONGEST],
            "found": found,
            "math": any("$" in each.text for each in found),
        },
    )


@router.get("/search.json")
def palette(request: Request, q: str = "") -> Response:
    text = q.strip()[:LONGEST]
    if not text:
        return JSONResponse({"results": [asdict(each) for each in PAGES]})
    shelf = shelf_of(request)
    found = [*commands(text)[:3], *find(shelf, text, PALETTE_LIMIT)]
    return JSONResponse({"results": [asdict(each) for each in found[: PALETTE_LIMIT + 3]]})
