"""A book of two chapters with nothing but sections and questions, and a clock that tests turn."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from handbook.book.nouns import Book, Chapter, Paragraph, Part, Section
from handbook.records import Criterion, FollowUp, Grade, Judgement, Level, Misconception, Question

SECTIONS = {"bread": ("flour", "water", "heat"), "tea": ("leaves", "cup")}
LEVELS: tuple[Level, ...] = ("foundation", "senior", "lead")
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


class Clock:
    """Says the time that it was given last."""

    def __init__(self, at: datetime = AT) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def forward(self, days: float) -> datetime:
        self.at += timedelta(days=days)
        return self.at


def question(chapter: str, section: str, number: int) -> Question:
    return Question(
        id=f"{section}-{number}",
        chapter=f"food/{chapter}",
        level=LEVELS[number % 3],
        kind="explain",
        prompt=f"Why {section}, {number}?",
        answer="Because it is so.",
        criteria=tuple(Criterion(id, f"Says that {id}.", must=id == "a") for id in "abcd"),
        misconceptions=(Misconception("wrong", "tempting", "right"),),
        follow_ups=(FollowUp("And then?", "a"),),
        anchor=f"{section}-text",
    )


def make_book() -> Book:
    """Four questions of each section: flour-0 .. flour-3, water-0 ..."""
    chapters = {}
    for slug, names in SECTIONS.items():
        questions = tuple(question(slug, name, number) for name in names for number in range(4))
        sections = tuple(Section(name, name.title(), 2, 1) for name in names)
        paragraphs = tuple(Paragraph(f"{name}-text", name, f"About {name}.", 1) for name in names)
        anchors = {each: 1 for name in names for each in (name, f"{name}-text")}
        chapters[slug] = Chapter(
            part="food",
            slug=slug,
            title=slug.title(),
            status="written",
            summary="",
            source=Path(f"{slug}.md"),
            folder=Path(slug),
            sections=sections,
            paragraphs=paragraphs,
            anchors=anchors,
            questions=questions,
        )
    every = {one.id: one for chapter in chapters.values() for one in chapter.questions}
    empty = MappingProxyType({})
    return Book(
        root=Path(),
        title="Food",
        parts=(Part("food", "Food", tuple(chapters.values())),),
        chapters=chapters,
        paths=(),
        references=empty,
        questions=every,
        exercises=empty,
        claims=empty,
        faults=(),
        backlinks=empty,
        package="handbook",
    )


def grade(name: str, answer: str, **verdicts: str) -> Grade:
    """A grade with these verdicts on the criteria a to d: yes where none is given."""
    judgements = tuple(
        Judgement(
            criterion=id,
            verdict=verdicts.get(id, "yes"),  # type: ignore[arg-type]
            quote=answer if verdicts.get(id, "yes") == "yes" else "",
            start=0 if verdicts.get(id, "yes") == "yes" else -1,
            end=len(answer) if verdicts.get(id, "yes") == "yes" else -1,
            met=0.8,
            confidence=0.7,
            by="stand-in",
            must=id == "a",
        )
        for id in "abcd"
    )
    return Grade(name, answer, judgements, grader="stand-in")
