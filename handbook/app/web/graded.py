"""A grade as the drill room shows it: rows of criteria in words, mistakes, what it would count as, and when
the question would come again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from handbook.app.web.grading import NOBODY, Decided, Grading
from handbook.app.web.marking import Piece, pieces
from handbook.practice.due import Rating
from handbook.records import Grade, Judgement, Question

RATINGS: tuple[Rating, ...] = get_args(Rating)
STATES = {"yes": "Met.", "no": "Not met.", "unclear": "You decide."}
SURE = ((0.95, "The grader is sure."), (0.85, "The grader is fairly sure."), (0.0, "The grader is not sure."))
JUDGES = {
    "local": "the handbook's own grader on this machine",
    "embedding": "likeness of vectors alone, on this machine",
}
LONGEST_QUOTE = 400  # characters of a quote in a row; the whole of it is marked in the answer


@dataclass(frozen=True, slots=True)
class Row:
    """lesson: Markdown, what the model answer says of it; only where it is not met so far."""

    id: str
    yes: str
    must: bool
    verdict: str
    state: str
    sure: str
    quote: str
    why: str
    lesson: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A rating, and when the question would come again with it."""

    rating: str
    when: str


@dataclass(frozen=True, slots=True)
class View:
    pieces: tuple[Piece, ...]
    notes: tuple[str, ...]
    said: str
    by: str
    rows: tuple[Row, ...]
    mistakes: tuple[Any, ...]
    next_level: tuple[str, ...]
    rating: str
    reason: str
    ratings: tuple[Offer, ...]


def own_decisions(grading: Grading) -> Decided:
    """What the person decided otherwise than it was proposed, or what was left open. A form sends all
    verdicts that it shows."""
    assert grading.grade is not None
    proposed = {each.criterion: each.verdict for each in grading.grade.judgements}
    return {id: said for id, said in grading.decided.items() if id in proposed and said != proposed[id]}


def current(grading: Grading) -> Grade:
    """The grade with what the person decided so far."""
    from handbook.practice.grade import with_person

    assert grading.grade is not None
    decided = own_decisions(grading)
    return with_person(grading.grade, decided) if decided else grading.grade


def view(grading: Grading, due: Mapping[Rating, datetime], at: datetime) -> View:
    """due: when each rating would bring the question back."""
    from handbook.practice.feedback import feedback, rating_of

    assert grading.grade is not None
    question, grade = grading.question, current(grading)
    told = feedback(question, grade)
    asked = {f"Be ready for: {' '.join(each.ask.split())}" for each in question.follow_ups}  # shown apart
    rows = tuple(
        _row(question, grade, before, after)
        for before, after in zip(grading.grade.judgements, grade.judgements, strict=True)
    )
    return View(
        pieces=pieces(grade),
        notes=grade.notes if grade.answer.strip() else (),
        said=said(grade),
        by=judge(grade),
        rows=rows,
        mistakes=told.misconceptions,
        next_level=tuple(each for each in told.next_level if each not in asked),
        rating=rating_of(grade),
        reason=reason(grade),
        ratings=tuple(Offer(each, when(due.get(each), at)) for each in RATINGS),
    )


def _row(question: Question, grade: Grade, before: Judgement, after: Judgement) -> Row:
    from handbook.practice.feedback import lesson

    criterion = next(each for each in question.criteria if each.id == after.criterion)
    if after.by == "person":
        state = "You say that it is met." if after.verdict == "yes" else "You say that it is not met."
        other = before.verdict not in ("unclear", after.verdict)
        sure = f"The grader said {'met' if before.verdict == 'yes' else 'not met'}." if other else ""
    else:
        state = STATES[after.verdict]
        given = grade.answer.strip() and after.verdict != "unclear"
        sure = in_words(after.confidence) if given else ""
    quote = after.quote if len(after.quote) <= LONGEST_QUOTE else f"{after.quote[:LONGEST_QUOTE]} …"
    return Row(
        id=criterion.id,
        yes=criterion.yes,
        must=criterion.must,
        verdict=after.verdict,
        state=state,
        sure=sure,
        quote=quote,
        why="" if after.by == "person" or after.why in grade.notes else after.why,
        lesson=lesson(question, criterion) if after.verdict != "yes" else "",
    )


def in_words(confidence: float) -> str:
    return next(words for low, words in SURE if confidence >= low)


def said(grade: Grade) -> str:
    """`4 of 6 criteria met, 5 of 8 by weight. 1 waits for you.`"""
    met = [each for each in grade.judgements if each.verdict == "yes"]
    weight, total = sum(each.weight for each in met), sum(each.weight for each in grade.judgements)
    words = f"{len(met)} of {len(grade.judgements)} criteria met, {weight:g} of {total:g} by weight."
    count = len(grade.open)
    if count:
        words += f" {count} {'waits' if count == 1 else 'wait'} for you."
    return words


def judge(grade: Grade) -> str:
    """Who judged, and how long it took; "" where nobody did."""
    if grade.grader == NOBODY or not grade.answer.strip():
        return ""
    kind, _, model = grade.grader.partition(":")
    who = (
        f"the model {model}, asked twice"
        if kind == "chat"
        else JUDGES.get(kind, f"the grader {grade.grader}")
    )
    return f"Judged by {who}, in {grade.seconds:.1f} s."


def reason(grade: Grade) -> str:
    """Why the rating is what it is."""
    lacking = {each.verdict for each in grade.judgements if each.must and each.verdict != "yes"}
    if lacking:
        return "a must-have is missing" if "no" in lacking else "a must-have is open"
    if grade.open:
        return "what is open counts as not met"
    return "by the criteria"


def when(due: datetime | None, at: datetime) -> str:
    """`tomorrow`, `in 8 days`; with a date from two weeks on."""
    if due is None:
        return ""
    here = due.astimezone()
    days = (here.date() - at.astimezone().date()).days
    if days < 2:
        return "tomorrow" if days == 1 else "today"
    return f"in {days} days" if days < 14 else f"in {days} days, {here.day} {here:%B}"
