"""What verbs share: JSON on request, errors with a remedy, progress bars, settings."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from handbook.errors import BookError, HandbookError, ModelFileError

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """`--json`: one JSON object on standard output, nothing else; notes go to standard error."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/json.md).")(function)


def print_json(schema: str, values: Mapping[str, Any]) -> None:
    """One object, its shape named and numbered. NaN and infinity, which JSON lacks, become null; what a
    terminal would obey is escaped."""
    text = json.dumps(_finite({"schema": schema, **values}), ensure_ascii=False, indent=2)
    lines = (_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", line) for line in text.split("\n"))
    click.echo("\n".join(lines))


def shown(text: str) -> str:
    """A line with names or words of somebody else in it, without what a terminal would obey or what turns the
    direction of writing: a file may be called anything."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _OBEYED.match(c) else c for c in text)


_OBEYED = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_finite(item) for item in value]
    return value


def report_error(error: HandbookError) -> None:
    click.echo(click.style("Error: ", fg="red", bold=True) + _lines(error.what), err=True)
    if isinstance(error, BookError | ModelFileError):
        for fault in error.faults:
            if fault not in error.what:
                click.echo(f"  {_lines(str(fault))}", err=True)
    if error.remedy:
        click.echo(_lines(error.remedy), err=True)


def _lines(text: str) -> str:
    return "\n".join(map(shown, text.split("\n")))


@contextmanager
def progress(title: str) -> Iterator[Callable[[float, float | None, str], None]]:
    """A progress bar on standard error (plain lines where that is no terminal).

    Yields `advance(done, total, note)`; total None means that the length is not known yet.
    """
    if not sys.stderr.isatty():
        last = ""

        def say(_done: float, _total: float | None, note: str) -> None:
            nonlocal last
            if note and note != last:
                last = note
                click.echo(f"{title}: {note}", err=True)

        yield say
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, note="")

        def advance(done: float, total: float | None, note: str) -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield advance
