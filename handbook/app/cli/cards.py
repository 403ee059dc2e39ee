"""`handbook cards forecast|retention|leeches|undo|optimize|export|import`: what the drill's cards hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from handbook.app.cli.exchanging import export_command, import_command
from handbook.app.cli.output import json_option, print_json
from handbook.settings import load

if TYPE_CHECKING:
    from handbook.practice.cards import Deck

AHEAD = 30  # days of a forecast where there is no date to go by


@click.group("cards")
def cards_command() -> None:
    """What lies ahead, what was still known, what keeps being forgotten; take an answer back."""


@contextmanager
def opened() -> "Iterator[Deck]":
    """The deck of the settings, and its database closed behind it."""
    from handbook.book.load import open_book
    from handbook.database import open_database
    from handbook.practice.cards import Deck

    settings = load()
    database = open_database(settings)
    try:
        yield Deck(database, open_book(settings.book))
    finally:
        database.close()


@cards_command.command("forecast")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="To this day; default: the interview.")
@click.option("--new", "new_a_day", default=0, type=click.IntRange(0, 50), help="New questions a day.")
@json_option
def forecast_command(until: datetime | None, new_a_day: int, as_json: bool) -> None:
    """How many reviews each day will bring, and the minutes they take."""
    with opened() as deck:
        today = deck.now().astimezone().date()
        interview = deck.interview()
        coming = interview if interview is not None and interview >= today else None
        end = until.date() if until else coming or today + timedelta(days=AHEAD)
        loads = deck.forecast(end, new_a_day)
        pace = deck.pace()
    if as_json:
        days = [{"day": one.day.isoformat(), "reviews": one.reviews, "minutes": one.minutes} for one in loads]
        values = {"seconds": pace.seconds, "answers": pace.answers, "days": days}
        print_json("handbook.cards.forecast/1", values)
        return
    rests = f"your last {pace.answers} answers" if pace.answers else "a guess: there are too few answers yet"
    click.echo(f"{pace.seconds / 60:.1f} minutes an answer ({rests}).")
    for one in loads:
        if one.reviews:
            click.echo(f"{one.day:%a %d %b %Y}  {one.reviews:6.1f} reviews  {one.minutes:6.0f} min")
    total = sum(one.reviews for one in loads)
    click.echo(f"{total:.0f} reviews expected from today to {end:%d %b %Y}.")


@cards_command.command("retention")
@click.option("--period", default="month", show_default=True, type=click.Choice(["week", "month", "all"]))
@json_option
def retention_command(period: str, as_json: bool) -> None:
    """What was still known when it was asked again, beside what the schedule expected."""
    with opened() as deck:
        rows = [row for row in deck.retention() if as_json or row.period == period]
    if as_json:
        values = [{**asdict(row), "start": row.start.isoformat()} for row in rows]
        print_json("handbook.cards.retention/1", {"rows": values})
        return
    if not rows:
        click.echo("Nothing was asked a second time yet, so there is nothing to say of memory.")
        return
    click.echo("from         interval   known of asked   95 % interval   expected")
    for row in rows:
        if row.low is not None and row.high is not None and row.expected is not None:
            low, high, expected = (f"{100 * value:.0f} %" for value in (row.low, row.high, row.expected))
            share = f"{row.known} of {row.asked}"
            click.echo(f"{row.start.isoformat():<12} {row.age:<10} {share:<16} {low} to {high:<9} {expected}")
    click.echo("young: intervals under 21 days; mature: 21 or more.")


@cards_command.command("leeches")
@json_option
def leeches_command(as_json: bool) -> None:
    """Questions that keep being forgotten, with the paragraph to go back to."""
    with opened() as deck:
        found = deck.leeches()
    if as_json:
        values = [
            {
                "question": one.question.id,
                "lapses": one.lapses,
                "reviews": one.reviews,
                "section": one.section,
                "url": one.url,
                "missed": [{"criterion": words, "times": times} for words, times in one.missed],
            }
            for one in found
        ]
        print_json("handbook.cards.leeches/1", {"leeches": values})
        return
    if not found:
        click.echo("None: no question was missed on four days after its first one.")
    for one in found:
        click.echo(f"{one.question.id}: missed on {one.lapses} later days, in {one.reviews} reviews.")
        click.echo(f"  Read: {one.title}, {one.url}")
        for words, times in one.missed:
            click.echo(f"  Missed {times} times: {words}")


@cards_command.command("undo")
@json_option
def undo_command(as_json: bool) -> int:
    """Take the last answer back: its card is as before, its text a draft. Exit code 1 if there is none."""
    with opened() as deck:
        undone = deck.undo(None)
    if as_json:
        values = (
            {"question": undone.question, "rating": undone.rating, "at": undone.at.isoformat()}
            if undone
            else None
        )
        print_json("handbook.cards.undo/1", {"undone": values})
    elif undone is None:
        click.echo("There is no answer to take back.")
    else:
        click.echo(
            f"Taken back: {undone.question} ({undone.rating}), answered {undone.at.astimezone():%d %b %H:%M}."
        )
    return 0 if undone else 1


@cards_command.command("optimize")
@click.option("--undo", "back", is_flag=True, help="Go back to the parameters before the last fit.")
@json_option
def optimize_command(back: bool, as_json: bool) -> int:
    """Fit the schedule to your own history, where there is enough of it.

    The fit holds only if it predicts reviews that it has not seen better than what holds now. Exit code 1 if
    nothing was changed.
    """
    from handbook.practice import fitting

    with opened() as deck:
        if back:
            changed = fitting.back(deck)
            if as_json:
                print_json(
                    "handbook.cards.optimize/1", {"fit": None, "used": False, "why": "", "undone": changed}
                )
            else:
                click.echo("The last fit is undone." if changed else "There is no fit to undo.")
            return 0 if changed else 1
        try:
            found = fitting.fit(deck)
        except fitting.TooFew as error:
            if as_json:
                values = {"fit": None, "used": False, "why": error.what, "undone": False}
                print_json("handbook.cards.optimize/1", values)
            else:
                click.echo(str(error))
            return 1
        if found.better:
            fitting.use(deck, found)
    said = (
        f"Log loss on {found.checked} reviews that it had not seen: {found.after:.4f}; with what held before "
        f"{found.before:.4f}. It learned from {found.learned}."
    )
    if as_json:
        fit = {"fit": asdict(found), "used": found.better, "why": said, "undone": False}
        print_json("handbook.cards.optimize/1", fit)
    else:
        click.echo(said + (" It holds from now on." if found.better else " Nothing was changed."))
    return 0 if found.better else 1


cards_command.add_command(export_command)
cards_command.add_command(import_command)
