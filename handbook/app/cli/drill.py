"""`handbook drill`: questions of the book, answered in the terminal, graded, and asked again in time."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from handbook.app.cli.output import json_option, print_json
from handbook.practice.due import in_words
from handbook.settings import Settings, load

if TYPE_CHECKING:
    from handbook.practice.cards import Deck, Due
    from handbook.records import Question

USUAL = 10  # questions of a session
MOST = 200


@click.command("drill")
@click.option("--due", "only_due", is_flag=True, help="Only what is due; nothing new.")
@click.option("--chapter", "chapters", multiple=True, metavar="NAME", help="Only of this chapter (repeat).")
@click.option("--limit", default=USUAL, show_default=True, type=click.IntRange(1, MOST), help="Questions.")
@json_option
def drill_command(only_due: bool, chapters: tuple[str, ...], limit: int, as_json: bool) -> int:
    """Answer questions of the book: what is due first, then new ones.

    You type an answer, it is graded criterion by criterion, and you confirm or correct the grade; without a
    grader on this machine you decide each criterion yourself. With --json: what would be asked, nothing else.
    """
    from handbook.book.load import open_book
    from handbook.database import open_database
    from handbook.practice.cards import Deck
    from handbook.practice.dealing import mixed

    settings = load()
    book = open_book(settings.book)
    for name in chapters:
        if book.chapter(name) is None:
            known = ", ".join(slug for slug, chapter in book.chapters.items() if chapter.questions)
            raise click.BadParameter(f"There is no chapter {name!r}. With questions: {known}.")
    slugs = {name.rpartition("/")[2] for name in chapters}
    database = open_database(settings)
    try:
        deck = Deck(database, book)
        due = deck.due(limit=limit, chapters=slugs)
        new = [] if only_due else deck.new(limit - len(due), chapters=slugs)
        if as_json:
            print_json("handbook.drill/1", dealt_json(deck, due, new))
            return 0
        first = mixed((one.question for one in due), lambda one: one.chapter)
        return _sit(settings, deck, first + new, slugs)
    finally:
        database.close()


def _sit(settings: Settings, deck: "Deck", questions: "list[Question]", slugs: set[str]) -> int:
    from handbook.app.cli.drilling import Ended, Sitting

    if not questions:
        click.echo("Nothing is due now." + _next(deck))
        return 0
    sitting = Sitting(settings, deck)
    with suppress(Ended):
        for number, question in enumerate(questions, start=1):
            if not sitting.ask(question, f"{number} of {len(questions)}"):
                break
        else:
            failed = [one.question for one in deck.due(chapters=slugs) if one.again]
            all(sitting.ask(question, "once more") for question in failed)
    sitting.summary()
    return 0


def _next(deck: "Deck") -> str:
    at = deck.now()
    coming = [state.due for state in deck.states().values() if state.due and not state.suspended]
    later = [due for due in coming if due > at]
    return f" The next question is {in_words(min(later), at)}." if later else ""


def dealt_json(deck: "Deck", due: "list[Due]", new: "list[Question]") -> dict[str, Any]:
    from handbook.practice.places import section_of, url_of

    interview = deck.interview()

    def question(one: "Question") -> dict[str, Any]:
        return {
            "question": one.id,
            "prompt": one.prompt,
            "level": one.level,
            "kind": one.kind,
            "section": section_of(deck.book, one),
            "url": url_of(deck.book, one),
        }

    return {
        "interview": interview.isoformat() if interview else None,
        "retention_target": deck.retention_target(),
        "due": [
            {
                **question(one.question),
                "due": one.due.isoformat(),
                "retrievability": one.retrievability,
                "lapses": one.lapses,
                "leech": one.leech,
                "again": one.again,
            }
            for one in due
        ],
        "new": [question(one) for one in new],
    }
