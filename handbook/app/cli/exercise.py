"""`handbook exercise list|show|start|run|hint|solution`: coding exercises without the browser."""

from pathlib import Path

import click

from handbook.app.cli.judge import find, isolation_option, run_judge
from handbook.app.cli.output import json_option, print_json
from handbook.settings import load


@click.group("exercise")
def exercise_command() -> None:
    """List, show and run coding exercises."""


@exercise_command.command("list")
@json_option
def list_exercises(as_json: bool) -> None:
    """All exercises with level, pattern and time."""
    from handbook.book.load import open_book

    exercises = open_book(load().book).exercises.values()
    rows = [
        {
            "name": e.name,
            "title": e.title,
            "level": e.level,
            "minutes": e.minutes,
            "chapter": e.chapter,
            "pattern": e.pattern,
        }
        for e in exercises
    ]
    if as_json:
        print_json("handbook.exercises/1", {"exercises": rows})
        return
    for row in rows:
        what = f"{row['minutes']:>3} min  {row['pattern']:<20}  {row['title']}"
        click.echo(f"{row['name']:<32} {row['level']:<11} {what}")


@exercise_command.command("show")
@click.argument("name")
def show_exercise(name: str) -> None:
    """The statement."""
    click.echo(find(name).statement)


@exercise_command.command("start")
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def start_exercise(name: str, file: Path) -> None:
    """Write the starter to FILE."""
    if file.exists():
        raise click.UsageError(f"{file} exists; choose another name.")
    file.write_text(find(name).starter, encoding="utf-8")
    click.echo(f"Written: {file}. Run it with: handbook exercise run {name} {file}")


@exercise_command.command("run")
@click.argument("name")
@click.argument("file")
@json_option
@isolation_option
def run_exercise(name: str, file: str, as_json: bool, isolation: str | None) -> int:
    """Judge FILE (- for standard input) by the tests of the exercise, as `handbook judge NAME FILE` does.

    Exit code 1 when a test fails.
    """
    return run_judge(name, file, as_json, isolation=isolation)


@exercise_command.command("hint")
@click.argument("name")
@click.argument("number", type=click.IntRange(1, 3))
def hint_exercise(name: str, number: int) -> None:
    """Hint NUMBER: 1 is a nudge, 3 nearly the answer."""
    click.echo(find(name).hints[number - 1])


@exercise_command.command("solution")
@click.argument("name")
def solution_exercise(name: str) -> None:
    """The worked solution and its commentary."""
    exercise = find(name)
    click.echo(exercise.file("solution.py").read_text(encoding="utf-8").rstrip())
    if exercise.solution:
        from handbook.book.symbols import source

        click.echo(f"\n# {exercise.solution}\n\n{source(exercise.solution).text.rstrip()}")
    if exercise.commentary:
        click.echo(f"\n{exercise.commentary.strip()}")
