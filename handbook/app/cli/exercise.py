"""`handbook exercise list|show|start|run`: coding exercises without the browser."""

from pathlib import Path
from typing import Any

import click

from handbook.app.cli.output import json_option, print_json
from handbook.settings import load


@click.group("exercise")
def exercise_command() -> None:
    """List, show and run coding exercises."""


def _exercise(name: str) -> Any:
    from handbook.book.load import open_book

    book = open_book(load().book)
    if name not in book.exercises:
        raise click.UsageError(f"No exercise {name!r}. Exercises: {', '.join(book.exercises)}.")
    return book.exercises[name]


@exercise_command.command("list")
@json_option
def list_exercises(as_json: bool) -> None:
    """All exercises with level and time."""
    from handbook.book.load import open_book

    exercises = open_book(load().book).exercises.values()
    rows = [
        {"name": e.name, "title": e.title, "level": e.level, "minutes": e.minutes, "chapter": e.chapter}
        for e in exercises
    ]
    if as_json:
        print_json("handbook.exercises/1", {"exercises": rows})
        return
    for row in rows:
        click.echo(f"{row['name']:<32} {row['level']:<11} {row['minutes']:>3} min  {row['title']}")


@exercise_command.command("show")
@click.argument("name")
def show_exercise(name: str) -> None:
    """The statement."""
    click.echo(_exercise(name).statement)


@exercise_command.command("start")
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def start_exercise(name: str, file: Path) -> None:
    """Write the starter to FILE."""
    if file.exists():
        raise click.UsageError(f"{file} exists; choose another name.")
    file.write_text(_exercise(name).starter, encoding="utf-8")
    click.echo(f"Written: {file}. Run it with: handbook exercise run {name} {file}")


@exercise_command.command("run")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def run_exercise(name: str, file: Path, as_json: bool) -> int:
    """Run FILE against the tests of the exercise, in a process of its own with a time limit.

    It runs as you: with your rights, on your machine. Exit code 1 when a test fails.
    """
    from handbook.book.exercises import judge

    report = judge(_exercise(name), file)
    results = report.results
    passed = sum(item.passed for item in results)
    if as_json:
        rows = [
            {"name": r.name, "passed": r.passed, "message": r.message, "seconds": r.seconds} for r in results
        ]
        values = {"exercise": name, "passed": passed, "total": len(rows), "broken": report.broken}
        print_json("handbook.exercise.run/1", {**values, "tests": rows})
    elif report.broken:
        click.echo(f"{report.broken}\nNone of {len(results)} tests ran.")
    else:
        for item in results:
            click.echo(f"{'pass' if item.passed else 'FAIL'}  {item.name}  {item.message}".rstrip())
        click.echo(f"{passed} of {len(results)} passed.")
    return 0 if passed == len(results) else 1
