"""A drill in the terminal: the question, the typed answer, its grade, the person's decisions, the rating."""

import sys
import time
from collections.abc import Mapping

import click

from handbook.app.cli.output import shown
from handbook.app.cli.plain import plain
from handbook.errors import HandbookError
from handbook.practice.cards import Deck, Reviewed
from handbook.practice.due import Rating, in_words
from handbook.practice.grade import Grader, feedback, grade, open_grader, rating_of, with_person
from handbook.practice.memory import RATINGS
from handbook.practice.places import title_of, url_of
from handbook.records import Grade, Judgement, Question, Verdict
from handbook.settings import Settings

HELP = (
    "End your answer with a line that holds only a dot. An empty answer is 'I don't know'. "
    "/skip goes on, /undo takes the last answer back, /quit stops; what you typed is kept."
)
MARKS: dict[Verdict, str] = {"yes": "met", "no": "not met", "unclear": "open"}
LETTERS: dict[str, Rating] = {rating[0]: rating for rating in RATINGS}


class Ended(Exception):
    """The input is at its end: what was typed is a draft, and nothing counts that was not confirmed."""


class Sitting:
    """One session. Everything typed is kept line by line; a grade counts when its rating is confirmed."""

    def __init__(self, settings: Settings, deck: Deck) -> None:
        self._settings = settings
        self._deck = deck
        self._grader: Grader | None = None
        self._answered: list[Reviewed] = []
        self._explained = False

    def ask(self, question: Question, which: str) -> bool:
        """One question, to its end. False when the person wants to stop."""
        said = f"{which} · {title_of(self._deck.book, question)} · {question.level} · {question.kind}"
        click.echo(f"\n{click.style(line(said), dim=True)}")
        if self._deck.state(question).leech:
            click.echo(f"This one keeps being missed. Read first: {url_of(self._deck.book, question)}")
        click.echo(line(question.prompt))
        if not self._explained:
            click.echo(click.style(HELP, dim=True))
            self._explained = True
        begun = time.monotonic()
        answer = self._typed(question)
        if answer in ("/skip", "/quit"):
            return answer == "/skip"
        seconds = time.monotonic() - begun
        if not answer.strip():
            self._confirm(question, "", None, {}, seconds)
            return True
        given = self._graded(question, answer)
        decided = self._decided(question, given)
        self._confirm(question, answer, given, decided, seconds)
        return True

    def summary(self) -> None:
        if not self._answered:
            click.echo("\nNothing was answered.")
            return
        click.echo(f"\nAnswered: {len(self._answered)}.")
        for one in self._answered:
            click.echo(f"  {one.rating:<6} {in_words(one.due, self._deck.now()):<16} {one.question}")

    def _typed(self, question: Question) -> str:
        """The answer, or a command. Each line is kept as a draft; an earlier draft can be gone on from."""
        draft = self._deck.draft(question)
        lines: list[str] = []
        if draft is not None and draft.text.strip():
            click.echo(f"You had begun:\n{line(draft.text)}")
            if _yes_or_no("Go on from it?"):
                lines = draft.text.split("\n")
        while True:
            text = _read("> ")
            command = text.strip()
            if command == "/undo":
                self._undo()
                continue
            if command in ("/skip", "/quit"):
                return command
            if command == ".":
                return "\n".join(lines).strip()
            lines.append(text)
            self._deck.save_draft(question, "drill", "\n".join(lines))

    def _undo(self) -> None:
        undone = self._deck.undo()
        if undone is None:
            click.echo("There is nothing to take back.")
            return
        self._answered = [one for one in self._answered if one.key != undone.key]
        click.echo(f"Taken back: {undone.question} ({undone.rating}). Its answer is a draft again.")

    def _graded(self, question: Question, answer: str) -> Grade:
        """By the grader of the settings; where it can't be had, nothing is decided."""
        if sys.stderr.isatty():
            click.echo(click.style("Grading...", dim=True), err=True)
        try:
            if self._grader is None:
                self._grader = open_grader(self._settings)
            return grade(question, answer, self._grader)
        except HandbookError as error:
            click.echo(f"No grader: {line(error.what)} You decide each criterion.", err=True)
        open_ones = (
            Judgement(each.id, "unclear", weight=each.weight, must=each.must) for each in question.criteria
        )
        return Grade(question.id, answer, tuple(open_ones), grader="none")

    def _decided(self, question: Question, given: Grade) -> dict[str, Verdict]:
        """The person's verdicts: of what is open, and of what they see otherwise."""
        decided: dict[str, Verdict] = {}
        words = {criterion.id: criterion.yes for criterion in question.criteria}
        for note in given.notes:
            click.echo(line(note))
        for number, judgement in enumerate(given.judgements, start=1):
            if judgement.verdict != "unclear":
                _show(number, judgement, words)
        for number, judgement in enumerate(given.judgements, start=1):
            if judgement.verdict == "unclear":
                _show(number, judgement, words)
                decided[judgement.criterion] = (
                    "yes" if _yes_or_no("     Does your answer show this?") else "no"
                )
        while change := _read("Enter accepts; a number changes that one: ").strip():
            if not change.isdigit() or not 1 <= int(change) <= len(given.judgements):
                click.echo(f"Expected a number from 1 to {len(given.judgements)}, or Enter.")
                continue
            judgement = given.judgements[int(change) - 1]
            now = decided.get(judgement.criterion, judgement.verdict)
            decided[judgement.criterion] = "no" if now == "yes" else "yes"
            click.echo(f"  {change}  {MARKS[decided[judgement.criterion]]}")
        return decided

    def _confirm(
        self,
        question: Question,
        answer: str,
        given: Grade | None,
        decided: Mapping[str, Verdict],
        seconds: float,
    ) -> None:
        """What was missed and what is right, then the rating with the day that each one gives."""
        final = with_person(given, dict(decided)) if given is not None else None
        self._explain(question, final)
        proposed = rating_of(final) if final is not None else "again"
        at = self._deck.now()
        days = self._deck.preview(question, at)
        click.echo(
            " ".join(f"[{rating[0]}]{rating[1:]}: {in_words(days[rating], at)}." for rating in RATINGS)
        )
        while True:
            said = _read(f"Rating ({proposed}): ").strip().lower()
            rating = proposed if not said else LETTERS.get(said[0])
            if rating is not None:
                break
            click.echo("Expected a, h, g, e or Enter.")
        reviewed = self._deck.answered(question, answer, given, dict(decided), seconds, rating)
        self._answered.append(reviewed)
        if reviewed.leech and reviewed.rating == "again":
            place = url_of(self._deck.book, question)
            click.echo(f"Missed on {reviewed.lapses} later days. Reading its paragraph helps more: {place}")

    def _explain(self, question: Question, final: Grade | None) -> None:
        if final is not None:
            told = feedback(question, final)
            for wrong in told.misconceptions:
                click.echo(f"\nA misconception: {line(wrong.wrong)}\n  {line(wrong.correction)}")
            for criterion, why in told.missed:
                click.echo(f"\nMissed: {line(criterion.yes)}\n  {line(why)}")
            for more in told.next_level:
                click.echo(f"\nThe next level adds: {line(more)}")
        click.echo(f"\nA model answer: {line(question.answer)}")
        click.echo(f"In the book: {url_of(self._deck.book, question)}\n")


def _show(number: int, judgement: Judgement, words: Mapping[str, str]) -> None:
    click.echo(f"  {number}  {MARKS[judgement.verdict]:<8} {line(words.get(judgement.criterion, ''))}")
    for more in (f'"{judgement.quote}"' if judgement.quote else "", judgement.why):
        if more:
            click.echo(click.style(f"              {line(more)}", dim=True))


def _yes_or_no(question: str) -> bool:
    while True:
        said = _read(f"{question} [y/n] ").strip().lower()
        if said[:1] in ("y", "n"):
            return said[0] == "y"
        click.echo("Expected y or n.")


def _read(prompt: str) -> str:
    """A line, without its end. Raises Ended where there is none."""
    click.echo(prompt, nl=False)
    text = sys.stdin.readline()
    if not text:
        raise Ended
    return text.rstrip("\r\n")


def line(text: str) -> str:
    """A text of the book, of a grader or of the person as lines that a terminal may show."""
    return "\n".join(shown(each) for each in plain(text).split("\n"))
