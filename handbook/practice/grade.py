"""Typed answers graded: criteria met or not, each yes with a quote that code has checked; a score that is
reckoned from them, never asked for.

    read (rules: what can be evidence) -> judge (a grader's opinion) -> check (quotes, figures) -> Grade

A grader may be wrong in what it says is met; it can't be wrong in what was typed. Where it is not sure, it
says nothing and the person decides, whose word stands.

Binary criteria with evidence follow the practice of analytic rubrics; that abstention beats guessing where a
person is at hand: Chow 1970 (IEEE Trans. Inf. Theory 16:1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from handbook.practice.evidence import ASKED, Reading, may_ask, read
from handbook.practice.feedback import Feedback, Named, feedback, rating_of
from handbook.practice.figures import agreement, wanted
from handbook.practice.opinions import Found, Grader, Opinion
from handbook.practice.statements import statement
from handbook.records import Criterion, Grade, Judgement, Question, Recognised, Verdict

if TYPE_CHECKING:
    from handbook.chat import Forming
    from handbook.embed import Embedder
    from handbook.settings import Settings

__all__ = [
    "Feedback",
    "Grader",
    "Named",
    "Opinion",
    "feedback",
    "grade",
    "open_grader",
    "rating_of",
    "with_person",
]

SURE = 0.99  # of what rules decide


def grade(question: Question, answer: str, grader: Grader) -> Grade:
    """Raises HandbookError where the grader's model can't be had; never for what the answer holds."""
    begun = perf_counter()
    reading = read(question, answer)
    opinion = _judged(reading, grader)
    found = {each.criterion: each for each in opinion.found}
    judgements = tuple(
        _judgement(reading, each, found.get(each.id), grader.name) for each in question.criteria
    )
    mistakes = tuple(each for each in opinion.mistakes if _stands(reading, each))
    notes = tuple(dict.fromkeys((*reading.notes, *opinion.notes)))
    return Grade(question.id, answer, judgements, mistakes, grader.name, perf_counter() - begun, notes)


def _judged(reading: Reading, grader: Grader) -> Opinion:
    """What the rules decide alone, and else the grader."""
    criteria = reading.question.criteria
    if reading.nothing:
        return Opinion(tuple(Found(each.id, "no", 0.01, SURE, why=reading.nothing) for each in criteria))
    if reading.foreign and grader.languages and reading.foreign not in grader.languages:
        why = "This grader reads English only; you judge."
        note = "It seems to be in another language than English, which is all that this grader reads."
        return Opinion(tuple(Found(each.id, "unclear", why=why) for each in criteria), notes=(note,))
    return grader.judge(reading)


def _judgement(reading: Reading, criterion: Criterion, found: Found | None, by: str) -> Judgement:
    if found is None:
        found = Found(criterion.id, "unclear", why="The grader said nothing of it.")
    why = doubt(reading, criterion, found) if found.verdict == "yes" else ""
    verdict: Verdict = "unclear" if why else found.verdict
    quoted = 0 <= found.start < found.end <= len(reading.answer) and verdict != "no"
    against = (
        found.verdict == "no"
        and 0 <= found.start < found.end <= len(reading.answer)
        and "denied" in found.why
    )
    start, end = (found.start, found.end) if quoted or against else (-1, -1)
    return Judgement(
        criterion.id,
        verdict,
        reading.answer[start:end] if start >= 0 else "",
        start,
        end,
        _share(found.met),
        min(_share(found.confidence), 0.5) if why else _share(found.confidence),
        why or found.why,
        by,
        criterion.weight,
        criterion.must,
    )


def _share(value: float) -> float:
    return min(1.0, max(0.0, value)) if value == value else 0.0


def doubt(reading: Reading, criterion: Criterion, found: Found) -> str:
    """Why a grader's yes is none, checked without a model; "" where it stands."""
    start, end = found.start, found.end
    if not 0 <= start < end <= len(reading.answer) or not reading.answer[start:end].strip():
        return "The grader quoted nothing that is in the answer."
    if not reading.carries(start, end):
        return "The quote is no evidence by itself."
    within = [each for each in reading.sentences if each.start < end and each.end > start]
    weak = [each.weak for each in within if each.weak and not (each.weak == ASKED and may_ask(criterion.yes))]
    if within and len(weak) == len(within):
        return weak[0]
    need = wanted(statement(criterion.yes))
    share, given = agreement(need, reading.answer[start:end])
    if need.main and given and not share:
        return "Its figures are other ones."
    return ""


def _stands(reading: Reading, mistake: Recognised) -> bool:
    return (
        0 <= mistake.misconception < len(reading.question.misconceptions)
        and 0 <= mistake.start < mistake.end <= len(reading.answer)
        and reading.answer[mistake.start : mistake.end] == mistake.quote
    )


def with_person(grade: Grade, decided: Mapping[str, str]) -> Grade:
    """The grade with what the person decided, {criterion: "yes" or "no"}; unknown criteria and other words
    change nothing. The quote stays where the person agrees with it."""
    judgements = []
    for each in grade.judgements:
        said = decided.get(each.criterion)
        if said == "yes":
            each = replace(each, verdict="yes", met=1.0, confidence=1.0, why="", by="person")
        elif said == "no":
            each = replace(
                each, verdict="no", met=0.0, confidence=1.0, why="", by="person", quote="", start=-1, end=-1
            )
        judgements.append(each)
    return replace(grade, judgements=tuple(judgements))


def open_grader(settings: Settings, chat: Forming | None = None, embedder: Embedder | None = None) -> Grader:
    """Who judges, as the setting `grader` has it. Loads nothing and asks nobody.

    auto: the model at chat_url where one is set; else the local grader where its encoder and weights are
    here; else nobody, so that the person does.
    """
    from handbook.practice.graders.opened import opened

    return opened(settings, chat, embedder)
