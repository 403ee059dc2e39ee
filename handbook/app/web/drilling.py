"""The session of a drill: what is asked next, what is laid aside for later, and what was done today.

It is told from the cards alone, so nothing is lost when the handbook or the browser ends in the middle. Only
what was put off to the end of the session is the browser's own, in a cookie of that day.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response

from handbook.app.web.graded import RATINGS, when
from handbook.practice.aim import local_day
from handbook.records import Question

if TYPE_CHECKING:
    from handbook.book.nouns import Book
    from handbook.practice.cards import Deck
    from handbook.practice.study import Study

NEW_A_DAY = 5
MINUTES = 3.0  # of a question, before enough were answered to know better
ENOUGH = 8  # answers from which on their own median counts
COOKIE = "handbook_drill_later"
LONGEST_COOKIE = 40  # questions
SAME = 0.8  # of a draft that a text which was typed on from it still holds
MISSED = 5  # criteria that a summary names


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the session. kind: due, again (it failed earlier today) or new."""

    question: Question
    kind: str


@dataclass(frozen=True, slots=True)
class Sitting:
    """asked: in order, without what waits for the end; later: what does. minutes: of all of it, about."""

    asked: tuple[Asked, ...]
    later: tuple[Asked, ...]
    minutes: int

    @property
    def all(self) -> tuple[Asked, ...]:
        return self.asked + self.later

    @property
    def next(self) -> Question | None:
        return self.all[0].question if self.all else None

    def count(self, kind: str) -> int:
        return sum(each.kind == kind for each in self.all)


def sitting(
    deck: "Deck", only: str, later: Sequence[str], at: datetime, planned: Sequence[str] | None = None
) -> Sitting:
    """only: slug of the one chapter to ask about, or "". planned: the new questions of the plan's day; None
    without a plan, and then a few come in the order of the book."""
    from handbook.practice.dealing import mixed

    chapters = (only,) if only else None
    today = of_today(deck, at)
    found = [Asked(each.question, "again" if each.again else "due") for each in deck.due(at, None, chapters)]
    first = mixed((each for each in found if each.kind == "due"), lambda each: each.question.chapter)
    if planned is None or only:
        begun = len({row["question"] for row in today if not row["before"].get("card")})
        fresh = deck.new(max(0, NEW_A_DAY - begun), at=at, chapters=chapters)
    else:
        fresh = _planned(deck, planned, at)
    every = first + [Asked(each, "new") for each in fresh] + [each for each in found if each.kind == "again"]
    laid = [each for id in later for each in every if each.question.id == id]
    rest = tuple(each for each in every if each.question.id not in later)
    return Sitting(rest, tuple(laid), round(len(every) * minutes(today)))


def _planned(deck: "Deck", ids: Iterable[str], at: datetime) -> list[Question]:
    """Those of the day's new questions that are still to be asked."""
    states = ((id, deck.state(id)) for id in ids if id in deck.book.questions)
    day = local_day(at).isoformat()
    return [
        deck.book.questions[id]
        for id, state in states
        if state.new and not state.suspended and state.buried != day
    ]


def of_plan(study: "Study") -> tuple[str, ...] | None:
    """The new questions of the day, as the plan has dealt them; None without a plan."""
    today = study.today()
    if today is None:
        return None
    items = (item for item in today.session.items if item.kind == "question")
    return tuple(item.id for item in items if item.key not in today.done)


def minutes(rows: Iterable[Mapping[str, Any]]) -> float:
    """Of one question: the median of these reviews, or a guess."""
    times = sorted(row["seconds"] for row in rows if row["seconds"] > 0)
    return times[len(times) // 2] / 60 if len(times) >= ENOUGH else MINUTES


def of_today(deck: "Deck", at: datetime) -> list[dict[str, Any]]:
    """Reviews of the reader's day in the drill room, the newest first."""
    midnight = datetime.combine(local_day(at), time()).astimezone(UTC)
    return [row for row in deck.reviews(since=midnight) if row["kind"] == "drill"]


@dataclass(frozen=True, slots=True)
class Summary:
    """Of a day. ratings: how many of each; rows: (question, rating, when it comes again), the newest first;
    missed: (criterion's words, where the book says it, how often), most often first."""

    count: int
    minutes: int
    ratings: tuple[tuple[str, int], ...]
    rows: tuple[tuple[Question, str, str], ...]
    missed: tuple[tuple[str, str, int], ...]
    corrected: int


def summary(deck: "Deck", book: "Book", at: datetime) -> Summary | None:
    rows = [row for row in of_today(deck, at) if row["question"] in book.questions]
    if not rows:
        return None
    ratings = Counter(row["rating"] for row in rows)
    missed: Counter[tuple[str, str]] = Counter()
    corrected = 0
    for row in rows:
        question, decided = book.questions[row["question"]], row["decided"]
        corrected += bool(decided)
        said = {each["criterion"]: each["verdict"] for each in row["grade"].get("judgements", ())} | decided
        url = f"/book/{question.chapter}#{question.anchor}"
        missed.update((each.yes, url) for each in question.criteria if said.get(each.id) == "no")
    return Summary(
        count=len(rows),
        minutes=max(1, round(sum(row["seconds"] for row in rows) / 60)),
        ratings=tuple((each, ratings[each]) for each in RATINGS if ratings[each]),
        rows=tuple((book.questions[row["question"]], row["rating"], _again(row, at)) for row in rows),
        missed=tuple((*what, count) for what, count in missed.most_common(MISSED)),
        corrected=corrected,
    )


def _again(row: Mapping[str, Any], at: datetime) -> str:
    try:
        return when(datetime.fromisoformat(row["after"]["due"]), at)
    except (KeyError, TypeError, ValueError):
        return ""


def typed_on(before: str, text: str) -> bool:
    """Whether a text is another one typed on: it holds SAME of its words, or of its letters at both ends.
    What is sent is always a little newer than what was kept while it was typed; a second window's is another
    text."""
    before, text = before.strip(), text.strip()
    least = min(len(before), len(text))
    head = next((at for at in range(least) if before[at] != text[at]), least)
    tail = next((at for at in range(least - head) if before[-1 - at] != text[-1 - at]), least - head)
    words = Counter(before.split())
    return (
        head + tail >= SAME * len(before) or (words & Counter(text.split())).total() >= SAME * words.total()
    )


# What waits for the end of the session


def later_of(request: Request, at: datetime) -> tuple[str, ...]:
    """The cookie's questions, in the order in which they were put off; those of another day are forgotten."""
    day, _, ids = request.cookies.get(COOKIE, "").partition(":")
    if day != local_day(at).isoformat():
        return ()
    return tuple(dict.fromkeys(id for id in ids.split(".") if id))[:LONGEST_COOKIE]


def put_off(response: Response, ids: Iterable[str], at: datetime) -> None:
    kept = list(ids)[-LONGEST_COOKIE:]
    value = f"{local_day(at).isoformat()}:{'.'.join(kept)}"
    response.set_cookie(COOKIE, value, max_age=86400, httponly=True, samesite="strict", path="/drill")


# What happened last


@dataclass(frozen=True, slots=True)
class Last:
    """A line about what was done a moment ago, with the form that takes it back."""

    words: str
    question: str
    prompt: str
    action: str
    fields: tuple[tuple[str, str], ...] = ()
    url: str = ""
    lapses: int = 0
    leech: bool = False


def reviewed(deck: "Deck", book: "Book", key: str, at: datetime) -> Last | None:
    """Of a review, if it holds and is the last one."""
    newest = deck.last()
    row = deck.rows.review(key) if newest is not None and newest.key == key else None
    question = book.questions.get(row["question"]) if row is not None else None
    if row is None or question is None:
        return None
    after = row["after"]
    return Last(
        f"Counted as {row['rating']}; it comes again {_again(row, at)}.",
        question.id,
        question.prompt,
        "/drill/undo",
        (("review", key),),
        f"/book/{question.chapter}#{question.anchor}",
        after.get("lapses", 0),
        bool(after.get("leech")),
    )


PUT = {"later": "It comes at the end.", "bury": "Not today.", "suspend": "It is not asked any more."}


def put(book: "Book", id: str, how: str) -> Last | None:
    question = book.questions.get(id)
    if question is None or how not in PUT:
        return None
    return Last(PUT[how], question.id, question.prompt, f"/drill/{question.id}/back", (("how", how),))
