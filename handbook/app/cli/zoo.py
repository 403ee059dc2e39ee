"""`handbook zoo`: public models in numbers, computed from their config.json; or your own."""

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from handbook.app.cli.output import json_option, print_json
from handbook.errors import HandbookError, ModelFileError

LONGEST = 1 << 24
OWN = "your config.json"


@click.command("zoo")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--config",
    "file",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Size this config.json of a checkpoint instead (- reads standard input).",
)
@click.option(
    "--context",
    type=click.IntRange(1, LONGEST),
    default=2048,
    show_default=True,
    metavar="N",
    help="Tokens that FLOPs and one of the caches are counted at.",
)
@json_option
def zoo_command(names: tuple[str, ...], file: Path | None, context: int, as_json: bool) -> None:
    """Size public models, or your own config.json: weights, cache, FLOPs.

    Without NAME a table of all; with one its numbers and their sums; with several (four at most) side by
    side. Nothing is downloaded: the configurations come with the handbook, each with its source.
    """
    from handbook.model.zoo.entries import MOST, entries

    if file is not None and names:
        raise click.UsageError("Give NAMEs or --config, not both.")
    if unknown := [name for name in names if name not in entries()]:
        raise click.UsageError(f"No model {', '.join(map(repr, unknown))}. Models: {', '.join(entries())}.")
    if len(dict.fromkeys(names)) > MOST:
        raise click.UsageError(f"{MOST} models fit beside each other, got {len(dict.fromkeys(names))}.")
    if file is not None:
        _one(*_own(file, context), as_json)
        return
    from handbook.model.zoo.rows import config_of, row_of, rows

    chosen = list(dict.fromkeys(names))
    if len(chosen) == 1:
        _one(config_of(chosen[0]), row_of(chosen[0], context), as_json)
        return
    listed = [row_of(name, context) for name in chosen] or rows(context)
    if as_json:
        _json(listed, context)
    elif chosen:
        _beside(listed)
    else:
        _table(listed)


def _own(file: Path, context: int) -> tuple[Any, Any]:
    from handbook.model.zoo.own import own_row, read

    try:
        with click.open_file(str(file), encoding="utf-8", errors="replace") as stream:
            text = stream.read(1 << 20)
    except OSError as error:
        raise HandbookError(
            f"{file} could not be read: {error.strerror}.", "Name a config.json that is there."
        ) from error
    try:
        config = read(text)
    except ModelFileError as error:
        raise ModelFileError(f"{file}: {error.what}", error.remedy, error.faults) from error
    return config, own_row(config, text, OWN, context)


def _json(rows: Sequence[Any], context: int) -> None:
    from handbook.model.zoo.entries import entries

    models = []
    for row in rows:
        entry = entries().get(row.name)
        found = {"hub": entry.hub if entry else None, "sources": list(entry.sources) if entry else []}
        models.append({**dataclasses.asdict(row), **found})
    print_json("handbook.zoo/1", {"context": context, "models": models})


def _table(rows: Sequence[Any]) -> None:
    from handbook.model.zoo.columns import COLUMNS

    keys = ("total", "active", "layers", "heads", "attention", "cache", "cache-32k", "decode", "context")
    columns = [COLUMNS[key] for key in keys]
    lines = [["name", *(column.title.lower() for column in columns)]]
    lines += [[row.name, *(column.text(row) for column in columns)] for row in rows]
    _print(lines, [False, *(column.number for column in columns)])
    click.echo("\nOne model with its sums: handbook zoo NAME. Your own: handbook zoo --config FILE.")


def _beside(rows: Sequence[Any]) -> None:
    from handbook.model.zoo.columns import COLUMNS

    lines = [["", *(row.title for row in rows)]]
    lines += [[column.title, *(column.text(row) for row in rows)] for column in COLUMNS.values()]
    _print(lines, [False] * (len(rows) + 1))


def _one(config: Any, row: Any, as_json: bool) -> None:
    from handbook.model.zoo.columns import COLUMNS
    from handbook.model.zoo.entries import entries
    from handbook.model.zoo.sums import sums

    if as_json:
        _json([row], row.at)
        return
    click.echo(row.title)
    entry = entries().get(row.name)
    if entry is not None:
        click.echo(f"config.json of {entry.hub}, as in {'; '.join(entry.sources)}")
        if entry.note:
            click.echo(entry.note)
    click.echo("")
    lines = [
        [column.title, column.text(row), column.says.format(at=f"{row.at:,}")] for column in COLUMNS.values()
    ]
    _print(lines, [False] * 3)
    if row.decode_flops is None:
        click.echo(f"\nFLOPs at {row.at:,} tokens are left out: the context ends at {row.context:,}.")
    for line in sums(config, row):
        click.echo(f"\n{line.title}: {line.shown}")
        click.echo(textwrap.fill(line.words, 100, initial_indent="  ", subsequent_indent="  "))
        click.echo(f"  {line.arithmetic}")


def _print(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, right, strict=True)
        click.echo("  ".join(f"{text:>{n}}" if to else f"{text:<{n}}" for text, n, to in cells).rstrip())
