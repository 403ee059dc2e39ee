"""`handbook book status|check|fill|draw`: the book as its authors see it."""

from pathlib import Path

import click

from handbook.app.cli.output import json_option, print_json
from handbook.settings import load


@click.group("book")
def book_command() -> None:
    """Status of the book; check, fill and draw it."""


@book_command.command("status")
@json_option
def status_command(as_json: bool) -> None:
    """Per chapter: written, words, claims, questions, exercises, lab."""
    from handbook.book.load import open_book
    from handbook.book.status import status

    rows = status(open_book(load().book))
    if as_json:
        print_json("handbook.book.status/1", {"chapters": rows})
        return
    click.echo(
        f"{'chapter':<48} {'written':<8} {'words':>6} {'claims':>6} {'questions':>9} {'exercises':>9}  lab"
    )
    for row in rows:
        click.echo(
            f"{row['chapter']:<48} {'yes' if row['written'] else 'not yet':<8} {row['words']:>6} "
            f"{row['claims']:>6} {row['questions']:>9} {row['exercises']:>9}  {'yes' if row['lab'] else 'no'}"
        )


@book_command.command("check")
@json_option
def check_command(as_json: bool) -> int:
    """List every fault of the book with file and line. Exit code 1 when there is one."""
    from handbook.book.load import open_book

    book = open_book(load().book)
    if as_json:
        rows = [
            {"file": str(fault.file), "line": fault.line, "what": fault.what, "remedy": fault.remedy}
            for fault in book.faults
        ]
        print_json("handbook.book.check/1", {"faults": rows})
    else:
        for fault in book.faults:
            click.echo(str(fault))
        click.echo(f"{len(book.faults)} faults in {len(book.chapters)} chapters.")
    return 1 if book.faults else 0


@book_command.command("fill")
def fill_command() -> None:
    """Rewrite what is computed: included code and the texts of measured claims."""
    from handbook.book.fill import fill
    from handbook.book.load import open_book

    _list(fill(open_book(load().book)))


@book_command.command("draw")
def draw_command() -> None:
    """Redraw the figures (each chapter's figures.py)."""
    from handbook.book.draw import draw
    from handbook.book.load import open_book

    _list(draw(open_book(load().book)))


def _list(changed: list[Path] | tuple[Path, ...]) -> None:
    for path in changed:
        click.echo(f"Rewritten: {path}")
    if not changed:
        click.echo("Nothing to change.")
