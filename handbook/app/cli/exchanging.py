"""`handbook cards export | import`: the practice as JSON, CSV or a package of Anki, out and in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handbook.app.cli.output import json_option, print_json
from handbook.errors import DiskFull, HandbookError
from handbook.settings import load

if TYPE_CHECKING:
    from handbook.practice.exchange import Exchange, Taken

KINDS = {"json": "practice.json", "anki": "deck.apkg"}
SUFFIXES = {".json": "json", ".apkg": "anki", ".csv": "csv"}
TABLES = ("reviews", "cards", "criteria")
SHOWN = 10  # imports that are listed


@contextmanager
def opened() -> "Iterator[Exchange]":
    """The exchange of the settings, and its database closed behind it."""
    from handbook.book.load import open_book
    from handbook.database import open_database
    from handbook.practice.cards import Deck
    from handbook.practice.exchange import Exchange

    settings = load()
    database = open_database(settings)
    try:
        yield Exchange(Deck(database, open_book(settings.book)), database)
    finally:
        database.close()


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--table", type=click.Choice(TABLES), help="Of a CSV; default: reviews.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@json_option
def export_command(file: Path, table: str | None, force: bool, as_json: bool) -> None:
    """Write the practice to FILE: .json (all of it), .csv (a table) or .apkg (for Anki)."""
    kind = SUFFIXES.get(file.suffix.lower())
    if kind is None:
        raise click.UsageError(f"Expected a FILE that ends in {', '.join(SUFFIXES)}, got {file.name}.")
    if table and kind != "csv":
        raise click.UsageError("--table goes with a FILE that ends in .csv.")
    if file.exists() and not force:
        raise click.UsageError(f"{file} exists; --force replaces it.")
    with opened() as exchange:
        data = exchange.write(KINDS.get(kind, f"{table or TABLES[0]}.csv"))
    beside = file.with_name(file.name + ".part")
    try:
        beside.write_bytes(data)
        beside.replace(file)
    except OSError as error:
        raise DiskFull(f"{file} can't be written: {error}.", "Choose another place.") from error
    finally:
        beside.unlink(missing_ok=True)
    if as_json:
        print_json("handbook.cards.export/1", {"file": str(file), "kind": kind, "bytes": len(data)})
    else:
        click.echo(f"Written: {file}")


@click.command("import")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--undo", "back", help="Take an import back: its key, or `last`.")
@click.option("--list", "listed", is_flag=True, help="List the imports of late.")
@json_option
def import_command(file: Path | None, back: str | None, listed: bool, as_json: bool) -> int:
    """Add what FILE (.json, .csv or .apkg) holds beside what is here; nothing is added twice.

    Exit code 1 where FILE brought nothing new, or there was nothing to take back.
    """
    if (file is not None) + bool(back) + listed != 1:
        raise click.UsageError("Name a FILE, or --undo KEY, or --list.")
    with opened() as exchange:
        if listed:
            found = exchange.history(SHOWN)
        elif file is not None:
            found = [exchange.take(read(file), file.name)]
        else:
            found = _undone(exchange, back or "")
    if as_json:
        print_json("handbook.cards.import/1", {"imports": [_plain(each) for each in found]})
    elif not found:
        click.echo("Nothing was imported yet." if listed else "There is no import to take back.")
    for each in found if not as_json else ():
        for line in said(each):
            click.echo(line)
    return 0 if listed or any(each.key for each in found) else 1


def read(file: Path) -> bytes:
    """A file's bytes, one more than an import takes at most. Raises HandbookError."""
    from handbook.practice.exchange.limits import FILE

    try:
        with file.open("rb") as source:
            return source.read(FILE + 1)
    except OSError as error:
        raise HandbookError(f"{file} can't be read: {error}.", "Choose another file.") from error


def _undone(exchange: "Exchange", key: str) -> "list[Taken]":
    if key != "last":
        return [exchange.undo(key)]
    last = [each for each in exchange.history() if not each.undone][:1]
    return [exchange.undo(each.key) for each in last]


def said(each: "Taken", undo: str = "--undo") -> list[str]:
    """An import in a few lines; undo: how it is taken back."""
    from handbook.practice.exchange.words import in_words

    head = f"{each.name} ({each.at.astimezone():%d %b %Y %H:%M})"
    if each.undone:
        lines = [f"{head}: taken back."]
    elif each.key:
        lines = [f"{head}: taken in: {_listed(in_words(each.taken))}. To undo it: {undo} {each.key}"]
    else:
        lines = [f"{head}: nothing new."]
    return lines + [f"  Left out: {why}: {count}" for why, count in each.left_out.items()]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def _plain(each: "Taken") -> dict[str, object]:
    return {
        "key": each.key,
        "kind": each.kind,
        "file": each.name,
        "at": each.at.isoformat(),
        "taken": dict(each.taken),
        "left_out": dict(each.left_out),
        "undone": each.undone,
    }
