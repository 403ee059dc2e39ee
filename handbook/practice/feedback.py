"""What a grade means for the person: what was met, what was missed and why it matters, which mistake was
made, where to read, what the next level would have added, and the rating that follows."""

from __future__ import annotations

from dataclasses import dataclass

from handbook.practice.due import Rating
from handbook.practice.evidence import content
from handbook.practice.statements import statement
from handbook.rag.sentences import split
from handbook.records import Criterion, FollowUp, Grade, Level, Misconception, Question

AGAIN, HARD, GOOD = 0.4, 0.65, 0.9  # scores below which the rating is again, hard, good
ADDED = 3  # things that the next level would have added, at most

_LEVELS: dict[Level, str] = {
    "foundation": "At senior level, say also why it is so and when it does not hold.",
    "senior": "At lead level, say also what it costs, how you would measure it, and what would make you "
    "decide otherwise.",
    "lead": "At architect level, say also what it means for the parts around it, how it fails, and how you "
    "would take it back.",
    "architect": "",
}


@dataclass(frozen=True, slots=True)
class Named:
    """A misconception that the answer makes, in the book's words, and the answer's own."""

    wrong: str
    tempts: str
    correction: str
    quote: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """met, undecided: criteria. missed: each with the model answer's sentence on it (Markdown). url: the
    paragraph that answers the question."""

    met: tuple[Criterion, ...]
    missed: tuple[tuple[Criterion, str], ...]
    undecided: tuple[Criterion, ...]
    misconceptions: tuple[Named, ...]
    url: str
    next_level: tuple[str, ...]


def feedback(question: Question, grade: Grade) -> Feedback:
    """Of a grade of this question; criteria that the grade does not know are left out."""
    by_id = {each.id: each for each in question.criteria}
    sorted_: dict[str, list[Criterion]] = {"yes": [], "no": [], "unclear": []}
    for judgement in grade.judgements:
        if judgement.criterion in by_id:
            sorted_[judgement.verdict].append(by_id[judgement.criterion])
    missed = sorted(sorted_["no"], key=lambda each: (not each.must, -each.weight))
    return Feedback(
        tuple(sorted_["yes"]),
        tuple((each, lesson(question, each)) for each in missed),
        tuple(sorted_["unclear"]),
        tuple(
            _named(question.misconceptions[each.misconception], each.quote)
            for each in grade.misconceptions
            if 0 <= each.misconception < len(question.misconceptions)
        ),
        f"/book/{question.chapter}#{question.anchor}",
        next_level(question, tuple(sorted_["yes"])),
    )


def _named(mistake: Misconception, quote: str) -> Named:
    return Named(mistake.wrong, mistake.tempts, mistake.correction, quote)


def lesson(question: Question, criterion: Criterion) -> str:
    """The sentence of the model answer that is about a criterion; without one, its statement."""
    said = statement(criterion.yes)
    own = set(content(said))
    best, most = "", 0.0
    for sentence in split(question.answer):
        words = set(content(sentence))
        share = len(own & words) / (len(own) ** 0.5 * len(words) ** 0.5) if own and words else 0.0
        if share > most:
            best, most = " ".join(sentence.split()), share
    return best if most >= 0.25 else said


def next_level(question: Question, met: tuple[Criterion, ...]) -> tuple[str, ...]:
    """What would have lifted the answer: follow-ups on what it got right, then what the level above asks."""
    ids = {each.id for each in met}
    ready = [each for each in question.follow_ups if each.criterion in ids]
    later = [each for each in question.follow_ups if each.criterion not in ids]
    asked = [_probe(each) for each in (*ready, *later)][: ADDED - 1]
    general = _LEVELS[question.level]
    return (*asked, general) if general else tuple(asked)


def _probe(follow_up: FollowUp) -> str:
    return f"Be ready for: {' '.join(follow_up.ask.split())}"


def rating_of(grade: Grade) -> Rating:
    """What a grade counts as. What is unclear counts as not met: the person can say otherwise.

    again: a must-have is not met, or the score is below 0.4; hard: below 0.65; good: below 0.9; else easy.
    """
    if any(each.must and each.verdict != "yes" for each in grade.judgements) or grade.low < AGAIN:
        return "again"
    if grade.low < HARD:
        return "hard"
    return "good" if grade.low < GOOD else "easy"
