"""`handbook export` and `handbook import`: the reader's own state, as one JSON file."""

import json
from pathlib import Path

import click

from handbook.app.cli.exchanging import opened, read, said
from handbook.app.cli.output import json_option, print_json
from handbook.settings import load


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def export_command(file: Path, force: bool) -> None:
    """Write reading marks, questions asked, exercise attempts and own measurements to FILE (JSON)."""
    from handbook.database import open_database

    if file.exists() and not force:
        raise click.UsageError(f"{file} exists; --force replaces it.")
    database = open_database(load())
    beside = file.with_name(file.name + ".part")
    try:
        beside.write_text(json.dumps(database.export(), ensure_ascii=False, indent=1), encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
        database.close()
    click.echo(f"Written: {file}")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def import_command(file: Path, as_json: bool) -> None:
    """Add what FILE (an export) holds; what is here already stays as it is.

    Answers are checked, and when each question is due is reckoned anew, as `handbook cards import` does.
    """
    with opened() as exchange:
        taken = exchange.take_whole(read(file), file.name)
    if as_json:
        values = {"added": sum(taken.taken.values()), "key": taken.key, "left_out": dict(taken.left_out)}
        print_json("handbook.import/1", values)
        return
    for line in said(taken, "handbook cards import --undo"):
        click.echo(line)
