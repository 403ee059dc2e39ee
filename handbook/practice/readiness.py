"""How ready somebody is, area by area: an interval and what it rests on.

What is shown is the share of a rubric's weight that an answer would meet today, on a question of the person's
level drawn from all of an area's questions, asked or not. It comes from the diagnostic's model
(practice/belief.py) over everything that was answered: the diagnostic, and of each question the first review
of the latest day on which it was asked (a second one on that day comes after its model answer was read),
whose score counts times the probability that it is still known (the scheduler's retrievability). What people
say of themselves counts as little as in the diagnostic, and 'I don't know' as nothing known.
The interval holds the middle 80 % of what the model takes for possible. It is wide where little was asked,
and where nothing was, nothing is said.

Asking more narrows it; reading does not, because having read is no evidence of knowing. Exercises are named
as evidence and not reckoned with: they have their own verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from handbook.practice.aim import local_day
from handbook.practice.diagnostic import DIFFICULTY, Answered, Diagnostic, shortened
from handbook.records import Grade, Judgement, Level

if TYPE_CHECKING:
    from handbook.practice.diagnostic import Result
    from handbook.practice.graph import Graph
    from handbook.practice.material import Done

SHARE = 0.8  # of what is possible lies within the interval
OF_RATING = {"again": 0.15, "hard": 0.5, "good": 0.8, "easy": 0.97}  # where a review has no grade


@dataclass(frozen=True, slots=True)
class Readiness:
    """low, high: share of a rubric's weight, 0 to 1; both None where nothing of the area was asked. asked:
    questions answered, of so many; sections: of the area with an answer, of so many with questions."""

    area: str
    title: str
    low: float | None
    high: float | None
    evidence: tuple[str, ...]
    asked: int = 0
    questions: int = 0
    sections_asked: int = 0
    sections: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
    """A section whose standing is another one than after the diagnostic."""

    section: str
    before: str
    now: str
    evidence: tuple[str, ...]


def merged(
    graph: Graph,
    level: Level,
    diagnostic: Iterable[Answered],
    reviews: Iterable[Mapping[str, Any]],
    known: Mapping[str, float],
) -> Diagnostic:
    """Everything that was answered, as one diagnostic. reviews: rows, any order; the first of the latest day
    of each question counts, in place of the diagnostic's answer to it, unless it is the review which that
    answer left. known: question -> probability that it is still known.
    """
    latest: dict[str, Mapping[str, Any]] = {}
    for review in sorted(reviews, key=lambda each: each["at"]):
        there = latest.get(review["question"])
        if review["rating"] and (there is None or local_day(there["at"]) < local_day(review["at"])):
            latest[review["question"]] = review
    answers = {each.question: each for each in diagnostic if each.score is not None}
    for question, review in latest.items():
        if question in graph.questions:
            chance = min(1.0, max(0.0, known.get(question, 1.0)))
            there_too = answers.get(question) if review.get("kind") == "diagnostic" else None
            answers[question] = _faded(there_too or _of_review(review), review, chance)
    return Diagnostic(graph, level=level, answers=list(answers.values()))


def readiness(graph: Graph, current: Diagnostic, done: Done | None = None) -> list[Readiness]:
    """Each area of the book in order. current: everything answered so far, as `merged` makes it."""
    belief = current.belief()
    answered = [each for each in current.answers if each.score is not None]
    found = []
    for area in graph.areas.values():
        sections = [each for each in graph.in_area(area.id) if each.id in belief.index and each.questions]
        questions = {id for each in sections for id in each.questions}
        mine = [each for each in answered if each.question in questions]
        touched = {graph.places[each.question] for each in mine}
        evidence = _evidence(graph, area.id, mine, sections, touched, done)
        row = Readiness(area.id, area.title, None, None, evidence, len(mine), len(questions))
        row = replace(row, sections_asked=len(touched), sections=len(sections))
        if mine:
            weights = [float(len(each.questions)) for each in sections]
            ids = [each.id for each in sections]
            low, high = belief.among(ids, weights, DIFFICULTY[current.level], SHARE)
            row = replace(row, low=round(low, 3), high=round(high, 3))
        found.append(row)
    return found


def changes(before: Result, now: Result) -> list[Changed]:
    """Sections that stand otherwise than they did, in the book's order."""
    return [
        Changed(id, before.sections[id].state, standing.state, standing.evidence)
        for id, standing in now.sections.items()
        if id in before.sections and before.sections[id].state != standing.state
    ]


def _evidence(
    graph: Graph, area: str, mine: Sequence[Answered], sections: Sequence[Any], touched: set[str], done: Any
) -> tuple[str, ...]:
    if not sections:
        return ("No chapter of this area has questions yet.",)
    total = sum(len(each.questions) for each in sections)
    said = []
    if mine:
        met = sum(cast(float, each.score) for each in mine)
        said.append(
            f"{len(mine)} of {total} questions answered, worth {met:.1f} of {len(mine)} "
            f"by their criteria and by what is likely to be forgotten since."
        )
        said.append(f"They are from {len(touched)} of {len(sections)} sections; the others are inferred.")
    else:
        said.append(f"None of its {total} questions has been answered yet.")
    if done is not None:
        written = [each for each in graph.in_area(area) if each.written]
        read = sum(each.id in done.read for each in written)
        exercises = [name for each in written for name in each.exercises]
        solved = sum(name in done.solved for name in exercises)
        said.append(f"{read} of {len(written)} sections read; that is not reckoned with.")
        if exercises:
            said.append(f"{solved} of {len(exercises)} exercises solved; that is not reckoned with.")
    return tuple(said)


def _faded(answer: Answered, review: Mapping[str, Any], known: float) -> Answered:
    """The answer with what is likely to be forgotten since."""
    day = local_day(review["at"]).isoformat()
    note = f"{answer.note or 'answered'} on {day}; chance that it is still known: {known:.2f}"
    return replace(answer, score=cast(float, answer.score) * known, note=shortened(note, 500))


def _of_review(review: Mapping[str, Any]) -> Answered:
    """A review as an answer. Its grade is plain data, which an import may have written; where it does not
    read as one, the rating stands in, and an empty answer says that the person did not know."""
    question = review["question"]
    if (grade := _grade(review)) is not None:
        certain = 1 - (grade.high - grade.low)
        if certain >= 0.05:
            met = sum(each.verdict == "yes" for each in grade.judgements)
            note = f"{met} of {len(grade.judgements)} criteria met"
            return Answered(question, min(1.0, grade.low / certain), 0.0, "graded", certain, note)
    if review["rating"] == "again" and not str(review.get("answer", "x")).strip():
        return Answered(question, 0.0, 0.0, "dont-know")
    score, note = OF_RATING.get(review["rating"], 0.5), f"rated {review['rating']} by yourself"
    return Answered(question, score, 0.0, "self", 1.0, note)


def _grade(review: Mapping[str, Any]) -> Grade | None:
    """The proposed grade with what the person decided."""
    try:
        listed = review["grade"]["judgements"]
        decided = review["decided"]
        judgements = tuple(
            Judgement(
                criterion=str(each["criterion"]),
                verdict=_verdict(decided.get(each["criterion"], each["verdict"])),
                weight=_weight(each.get("weight", 1.0)),
            )
            for each in listed
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return Grade(review["question"], "", judgements) if judgements else None


def _verdict(value: Any) -> Any:
    if value not in ("yes", "no", "unclear"):
        raise ValueError(value)
    return value


def _weight(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100:
        raise ValueError(value)
    return float(value)
