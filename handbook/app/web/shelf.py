"""What every room takes from: the book, its corpus, the tutor, the chat model, the reader's state.

Each is opened when it is first needed and shared from then on. What can't be opened (a database from a newer
version, a model that is not here) is a notice on the pages, never the end of reading.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from handbook.app.web.jobs import Jobs
from handbook.errors import HandbookError
from handbook.settings import Settings

if TYPE_CHECKING:
    from handbook.app.web.diagnosing import Taking
    from handbook.app.web.grading import Graders, Gradings
    from handbook.app.web.judging import Judges, Run, Runs
    from handbook.book.nouns import Book, Chapter
    from handbook.book.render import Rendered
    from handbook.chat import Chat
    from handbook.database import Database
    from handbook.database.practice import Practice
    from handbook.embed import Embedder
    from handbook.practice.cards import Deck
    from handbook.practice.grade import Grader
    from handbook.practice.study import Study
    from handbook.rag.corpora import Corpora
    from handbook.rag.jobs import Ingestion
    from handbook.rag.own import Corpus
    from handbook.records import Answer
    from handbook.tutor import Desk, Tutor

BOOK, AUTO = "book", "auto"  # the corpus that is always there; whichever answers
ANSWERS_KEPT = 32
LOOK_AGAIN = 1.0  # seconds between looks at the book's files
LOOK_AT_CORPORA = 2.0  # seconds between looks at which corpora there are
RETRY_STATE = 10.0  # seconds before a database that could not be opened is tried again
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Notice:
    """A line on every page. Raised by what it names; gone when that works again."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Named:
    """A corpus by its name and title. changed: when its documents last did."""

    name: str
    title: str
    changed: datetime


def _named(database: "Database") -> list[Named]:
    from handbook.database.corpora import Catalogue

    rows = Catalogue(database).corpora()
    there = [row for row in rows if row["name"][:1].isalnum()]  # others are being removed
    found = [Named(row["name"], row["title"] or row["name"], row["changed"]) for row in there]
    return sorted(found, key=lambda each: each.title.lower())


class Shelf:
    """Safe to call from any thread."""

    def __init__(
        self,
        settings: Settings,
        chat: "Chat | None" = None,
        embedder: "Embedder | None" = None,
        judges: "Judges | None" = None,
        background: bool = True,
        graders: "Graders | None" = None,
    ) -> None:
        self.settings = settings
        self.background = background  # whether what will be needed is made ready before it is
        self.jobs = Jobs()
        self.measuring = threading.Lock()  # timings of two claims at once would be of neither
        self._lock = threading.RLock()
        self._corpus_lock = threading.RLock()  # opening the corpus takes a while; pages don't wait for it
        self._chat, self._embedder = chat, embedder
        self._book: Book | None = None
        self._looked = 0.0
        self._rendered: dict[str, Rendered] = {}
        self._fragments: dict[tuple[str, str], str] = {}
        self._answers: dict[tuple[Any, ...], Answer] = {}
        self._corpus: tuple[Book, Corpus] | None = None
        self._corpora: Corpora | None = None
        self._ingestion: Ingestion | None = None
        self._desk: tuple[Corpora | None, Desk] | None = None
        self._named: tuple[float, list[Named]] | None = None
        self._judges = judges
        self._runs: Runs | None = None
        self._graders = graders
        self._gradings: Gradings | None = None
        self._warmed = False
        self._database: Database | None = None
        self._database_fault: HandbookError | None = None
        self._database_tried = 0.0

    # The book

    @property
    def book(self) -> "Book":
        """The book as its files are now; read again when one of them changed."""
        with self._lock:
            now = time.monotonic()
            if self._book is None or (now - self._looked > LOOK_AGAIN and self._book.changed()):
                from handbook.book.load import open_book

                self._book = open_book(self.settings.book)
                self._rendered.clear()
                self._fragments.clear()
            if now - self._looked > LOOK_AGAIN:
                self._looked = now
            return self._book

    def rendered(self, chapter: "Chapter") -> "Rendered":
        """The chapter as HTML, kept until the book changes."""
        with self._lock:
            book = self.book
            if chapter.path not in self._rendered:
                from handbook.book.render import render

                self._rendered[chapter.path] = render(book, book.chapters[chapter.slug])
            return self._rendered[chapter.path]

    def fragment(self, chapter: "Chapter", text: str) -> str:
        """A piece of Markdown (an answer, a statement) as HTML, with a chapter's links; kept likewise."""
        from handbook.book.render import render_fragment

        book = self.book
        key = (chapter.path, text)
        if key not in self._fragments:
            self._fragments[key] = render_fragment(book, book.chapters[chapter.slug], text)
        return self._fragments[key]

    # Asking

    @property
    def embedder(self) -> "Embedder":
        """Opening it loads nothing; its first use raises ModelUnavailable where the model is missing."""
        with self._lock:
            if self._embedder is None:
                from handbook.embed import open_embedder

                self._embedder = open_embedder(self.settings)
            return self._embedder

    @property
    def corpus(self) -> "Corpus":
        """Search and retrieval over the book as it is now."""
        book, embedder = self.book, self.embedder
        with self._corpus_lock:
            if self._corpus is None or self._corpus[0] is not book:
                from handbook.rag.own import open_corpus

                self._corpus = (book, open_corpus(book, self.settings, embedder))
                self._answers.clear()
            return self._corpus[1]

    def answer(self, question: str, corpus: str = BOOK, after: Sequence[str] = ()) -> "Answer":
        """The desk's answer. The last few are kept, so that reloading and generating don't ask again.

        after: the questions that it follows on, the oldest first.
        """
        from handbook.records import Message

        desk = self.desk
        made = () if corpus == BOOK else [(each.name, each.changed) for each in self.corpora_there()]
        key = (corpus, question, *after, *made)  # other programs ingest too
        if key not in self._answers:
            history = [Message("user", each) for each in after]
            self._answers[key] = desk.ask(question, corpus, history)
            while len(self._answers) > ANSWERS_KEPT:
                self._answers.pop(next(iter(self._answers)), None)
        return self._answers[key]

    @property
    def tutor(self) -> "Tutor":
        from handbook.tutor import Tutor

        return Tutor(self.corpus, self.embedder, self.chat)

    @property
    def desk(self) -> "Desk":
        """Whom questions are put to. Without a database there are no corpora, and the book is asked alone."""
        corpora = self.state(lambda database: self.corpora, None)
        with self._lock:
            if self._desk is None or self._desk[0] is not corpora:
                from handbook.tutor import Desk, stages_of

                stages = stages_of(self.settings)
                self._desk = corpora, Desk(lambda: self.tutor, corpora, self.chat, stages=stages)
            return self._desk[1]

    # Documents of one's own

    @property
    def corpora(self) -> "Corpora":
        """Raises HandbookError where the database can't be opened."""
        database, embedder = self.database, self.embedder
        with self._lock:
            if self._corpora is None:
                from handbook.rag.corpora import Corpora

                self._corpora = Corpora(self.settings, database, embedder)
            return self._corpora

    @property
    def ingestion(self) -> "Ingestion":
        """What reads documents in the background, and knows how far each corpus is."""
        corpora = self.corpora
        with self._lock:
            if self._ingestion is None:
                from handbook.rag.jobs import Ingestion

                self._ingestion = Ingestion(corpora)
            return self._ingestion

    def corpora_there(self) -> list[Named]:
        """Which corpora there are, in order of title; looked up anew after some seconds. For every page: it
        opens none of them."""
        now = time.monotonic()
        if self._named is None or now - self._named[0] > LOOK_AT_CORPORA:
            self._named = now, self.state(_named, list[Named]())
        return self._named[1]

    def corpora_changed(self) -> None:
        """After a change made here: lists and answers are of what is there now."""
        self._named = None
        self._answers.clear()

    @property
    def chat(self) -> "Chat":
        with self._lock:
            if self._chat is None:
                from handbook.chat import open_chat

                self._chat = open_chat(self.settings)
            return self._chat

    # The reader's state

    @property
    def database(self) -> "Database":
        """Raises DatabaseError, NewerDatabase, DiskFull; tried anew some seconds later."""
        with self._lock:
            if self._database is None:
                now = time.monotonic()
                if self._database_fault is None or now - self._database_tried > RETRY_STATE:
                    self._open_database(now)
            if self._database_fault is not None:
                raise self._database_fault
            assert self._database is not None
            return self._database

    def _open_database(self, now: float) -> None:
        from handbook.database import open_database

        self._database_tried = now
        try:
            self._database = open_database(self.settings)
            self._database_fault = None
        except HandbookError as error:
            self._database_fault = error

    def state(self, read: "Callable[[Database], T]", otherwise: T) -> T:
        """Something read from the database, or `otherwise` while it can't be opened (a notice says so)."""
        try:
            return read(self.database)
        except HandbookError as error:
            self._database_fault = self._database_fault or error
            return otherwise

    def read_sections(self) -> dict[str, set[str]]:
        """Sections read, by chapter slug."""
        return self.state(lambda database: database.read(), {})

    def solved(self) -> set[str]:
        return self.practised(lambda practice: practice.solved(), set[str]())

    def asks(self, limit: int) -> list[dict[str, Any]]:
        return self.state(lambda database: database.asks(limit), list[dict[str, Any]]())

    def attempts(self, exercise: str, limit: int) -> list[dict[str, Any]]:
        return self.practised(lambda practice: practice.attempts(exercise, limit), list[dict[str, Any]]())

    def practised(self, read: "Callable[[Practice], T]", otherwise: T) -> T:
        """`state` for what is kept of exercises."""

        def reading(database: "Database") -> T:
            from handbook.database.practice import Practice

            return read(Practice(database))

        return self.state(reading, otherwise)

    # Judging

    @property
    def judges(self) -> "Judges":
        with self._lock:
            if self._judges is None:
                from handbook.app.web.judges import Warm

                self._judges = Warm(self.settings, ahead=self.background)
            return self._judges

    @property
    def runs(self) -> "Runs":
        """What is being judged; nothing is begun by looking."""
        judges = self.judges
        with self._lock:
            if self._runs is None:
                from handbook.app.web import practising
                from handbook.app.web.judging import Runs

                def keep(run: "Run") -> Any:
                    return self.practised(lambda practice: practising.keep(practice, run), None)

                self._runs = Runs(judges, keep)
            return self._runs

    # Questions

    @property
    def deck(self) -> "Deck":
        """The reader's cards over the book as it is now. Raises DatabaseError where there is no database."""
        from handbook.practice.cards import Deck

        return Deck(self.database, self.book)

    def drilled(self, read: "Callable[[Deck], T]", otherwise: T) -> T:
        """`state` for what is kept of questions."""
        return self.state(lambda database: read(self.deck), otherwise)

    @property
    def study(self) -> "Study":
        """Plan, day and diagnostic over the book as it is now. Raises DatabaseError where there is none."""
        from handbook.practice.study import Study

        return Study(self.database, self.book)

    def studied(self, read: "Callable[[Study], T]", otherwise: T) -> T:
        """`state` for what is kept of plans and diagnostics."""
        return self.state(lambda database: read(self.study), otherwise)

    @property
    def gradings(self) -> "Gradings":
        """Answers on their way to a grade; nothing is loaded by looking."""
        with self._lock:
            if self._gradings is None:
                from handbook.app.web.grading import Gradings

                self._gradings = Gradings(self._graders_here())
            return self._gradings

    @cached_property
    def taking(self) -> "Taking":
        """Answers of a diagnostic on their way in."""
        from handbook.app.web.diagnosing import Taking

        return Taking(lambda: self.gradings, lambda: self.study)

    def _graders_here(self) -> "Graders":
        if self._graders is None:
            from handbook.app.web.grading import Lazy

            def opening() -> "Grader":
                from handbook.practice.grade import open_grader

                return open_grader(self.settings, embedder=self.embedder)

            self._graders = Lazy(opening)
        return self._graders

    def warm_grader(self) -> None:
        """Begin to load what grading needs, once, while an answer is being typed; returns at once."""
        with self._lock:
            if self._warmed or not self.background:
                return
            self._warmed = True
            graders = self._graders_here()

        def warming() -> None:
            with contextlib.suppress(HandbookError, OSError):  # the first answer says why
                graders.warm()

        threading.Thread(target=warming, name="grader-warms", daemon=True).start()

    def own_measurements(self) -> dict[str, dict[str, Any]]:
        """The newest measurement of each claim that was made on this machine."""
        return self.state(lambda database: database.measurements(), dict[str, dict[str, Any]]())

    @cached_property
    def machine(self) -> Any:
        from handbook.hardware.probe import probe

        return probe()

    @property
    def notices(self) -> list[Notice]:
        fault = self._database_fault
        if fault is None:
            return []
        return [Notice(f"What you read and try is not kept for now. {fault.what}", fault.remedy)]

    def close(self) -> None:
        if self._runs is not None:
            self._runs.close()
        if self._judges is not None:
            self._judges.close()
        if self._gradings is not None:
            self._gradings.close()
        if self._ingestion is not None:
            self._ingestion.close()
        if self._database is not None:
            self._database.close()
