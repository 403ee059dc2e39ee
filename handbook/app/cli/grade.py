"""`handbook grade QUESTION [FILE|-]`: a typed answer, criterion by criterion."""

import sys
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from handbook.app.cli.output import json_option, print_json, shown
from handbook.errors import HandbookError
from handbook.practice.grade import Feedback, feedback, grade, open_grader, rating_of
from handbook.records import Grade, Question
from handbook.settings import load

LONGEST = 1_000_000  # bytes of a file that are read
_WORDS = {"yes": "met    ", "no": "not met", "unclear": "unclear"}


@click.command("grade")
@click.argument("question")
@click.argument("file", default="-")
@json_option
def grade_command(question: str, file: str, as_json: bool) -> int:
    """Grade the answer in FILE (- for standard input) to QUESTION, by its id.

    Each criterion that is met comes with its quote from the answer. What is unclear is for you to judge. Exit
    code 1 when a criterion that an answer must meet is not met.
    """
    settings = load()
    asked = _find(question, settings.book)
    given = grade(asked, _read(file), open_grader(settings))
    told = feedback(asked, given)
    if as_json:
        print_json("handbook.grade/1", grade_json(given, told))
    else:
        _print(asked, given, told)
    return int(any(each.must and each.verdict == "no" for each in given.judgements))


def _find(id: str, root: Path | None) -> Question:
    from handbook.book.load import open_book

    questions = open_book(root).questions
    if id in questions:
        return questions[id]
    near = get_close_matches(id, questions, 3, 0.4)
    raise HandbookError(
        f"The book has no question {shown(id)!r}.",
        f"Did you mean {' or '.join(near)}?" if near else "`handbook drill` shows questions with their ids.",
    )


def _read(file: str) -> str:
    """Raises HandbookError for a file that is not there, not text, or too large."""
    try:
        if file == "-":
            data = sys.stdin.buffer.read(LONGEST + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(LONGEST + 1)
    except OSError as error:
        raise HandbookError(f"{shown(file)} can't be read: {error.strerror}.", "Name a text file.") from error
    if len(data) > LONGEST:
        raise HandbookError(f"The answer has more than {LONGEST:,} bytes.", "Give a shorter one.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise HandbookError(
            f"{shown(file)} is not UTF-8 text: {error.reason}.", "Save it as UTF-8."
        ) from error


def grade_json(given: Grade, told: Feedback) -> dict[str, Any]:
    """Without the answer, which the asker has."""
    return {
        "question": given.question,
        "grader": given.grader,
        "seconds": given.seconds,
        "score": given.score,
        "low": given.low,
        "high": given.high,
        "rating": rating_of(given),
        "notes": list(given.notes),
        "criteria": [
            {key: value for key, value in asdict(each).items() if key != "by"} for each in given.judgements
        ],
        "misconceptions": [asdict(each) for each in told.misconceptions],
        "missed": [{"criterion": each.id, "lesson": lesson} for each, lesson in told.missed],
        "next_level": list(told.next_level),
        "url": told.url,
    }


def _print(asked: Question, given: Grade, told: Feedback) -> None:
    criteria = {each.id: each for each in asked.criteria}
    for note in given.notes:
        click.echo(f"Note: {shown(note)}")
    for each in given.judgements:
        click.echo(f"{_WORDS[each.verdict]}  {criteria[each.criterion].yes}{' (a must)' * each.must}")
        if each.quote:
            click.echo(f'         "{shown(" ".join(each.quote.split()))}"')
        if each.why:
            click.echo(f"         {shown(each.why)}")
    for mistake in told.misconceptions:
        click.echo(f'\nA known mistake: {mistake.wrong}\n  You wrote: "{shown(mistake.quote)}"')
        click.echo(f"  {mistake.correction}")
    total = sum(each.weight for each in given.judgements)
    met = [each for each in given.judgements if each.verdict == "yes"]
    click.echo(
        f"\n{len(met)} of {len(given.judgements)} criteria met, "
        f"{sum(each.weight for each in met):g} of {total:g} by weight; {len(given.open)} for you to judge."
    )
    click.echo(f"Proposed rating: {rating_of(given)}. Read: {told.url}")
    for line in told.next_level:
        click.echo(f"  {line}")
