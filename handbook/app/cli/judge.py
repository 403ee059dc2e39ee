"""`handbook judge EXERCISE FILE`, `judge problems FILE`, `judge isolation`: code judged, in isolation."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handbook.app.cli.output import json_option, print_json, progress, shown
from handbook.settings import load

if TYPE_CHECKING:
    from handbook.book.nouns import Exercise
    from handbook.practice.judge import Judge
    from handbook.practice.problems import Problem

NAMES = ("worker", "bubblewrap", "process")
isolation_option = click.option("--isolation", type=click.Choice(NAMES), help="What holds the code.")


class Verbs(click.Group):
    """`judge NAME FILE` is `judge exercise NAME FILE`: an exercise is what one mostly judges."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["exercise", *args]
        return super().resolve_command(ctx, args)


@click.group("judge", cls=Verbs)
def judge_command() -> None:
    """Judge code by an exercise's tests, or whole sets of problems.

    handbook judge EXERCISE FILE runs FILE (or - for standard input) against the tests of an exercise.
    """


def find(name: str) -> Exercise:
    """An exercise by name. Raises UsageError with names that are close."""
    from difflib import get_close_matches

    from handbook.book.load import open_book

    exercises = open_book(load().book).exercises
    if name not in exercises:
        close = get_close_matches(name, exercises) or list(exercises)
        raise click.UsageError(f"No exercise {name!r}. Exercises: {', '.join(close)}.")
    return exercises[name]


def code_of(file: str) -> str:
    """The text of a file, or of standard input."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} cannot be read: {error}.") from None


@contextlib.contextmanager
def opened(isolation: str | None) -> Iterator[Judge]:
    """A judge for one command, with its worker ended afterwards."""
    from handbook.practice.judge import Judge

    with Judge(load(judge_isolation=isolation)) as judge:
        yield judge


def run_judge(
    name: str,
    file: str,
    as_json: bool,
    *,
    visible: bool = False,
    tests: tuple[str, ...] = (),
    isolation: str | None = None,
    growth: bool = True,
) -> int:
    """Judge, print the report, and say the exit code."""
    from handbook.app.cli.judging import echo, report_lines

    exercise, code = find(name), code_of(file)
    if tests:
        known = _tests(exercise, not visible)
        if unknown := [test for test in tests if test not in known]:
            raise click.UsageError(f"No test {unknown[0]!r}. Tests: {', '.join(known)}.")
    with opened(isolation) as judge:
        report = judge.run(exercise, code, hidden=not visible, only=tests or None, growth=growth)
    if as_json:
        values = report.asdict()
        print_json(values.pop("schema"), values)
    else:
        echo(report_lines(report))
    return 0 if report.passed else 1


def _tests(exercise: Exercise, hidden: bool) -> list[str]:
    from handbook.book.exercise_files import tests_in

    stems = ("tests", "hidden") if hidden else ("tests",)
    return [name for stem in stems for name, _, _ in tests_in(exercise.file(f"{stem}.py"))]


@judge_command.command("exercise")
@click.argument("name")
@click.argument("file")
@json_option
@click.option("--visible", is_flag=True, help="Only the tests that the exercise shows.")
@click.option("--input", "snippet", help="Python to run after FILE; its last expression is shown.")
@click.option("--test", "tests", multiple=True, help="Only this test (may be given several times).")
@isolation_option
@click.option("--no-growth", is_flag=True, help="Do not measure how time grows with the input.")
def judge_exercise(
    name: str,
    file: str,
    as_json: bool,
    visible: bool,
    snippet: str | None,
    tests: tuple[str, ...],
    isolation: str | None,
    no_growth: bool,
) -> int:
    """Judge FILE (- for standard input) by the tests of exercise NAME. Exit code 1 when a test fails."""
    if snippet is not None:
        return _input(name, file, snippet, as_json, isolation)
    return run_judge(
        name, file, as_json, visible=visible, tests=tests, isolation=isolation, growth=not no_growth
    )


def _input(name: str, file: str, snippet: str, as_json: bool, isolation: str | None) -> int:
    from handbook.app.cli.judging import echo, tried_lines
    from handbook.practice.custom import try_input

    exercise, code = find(name), code_of(file)
    with opened(isolation) as judge:
        tried = try_input(exercise, code, snippet, using=judge)
    if as_json:
        print_json("handbook.judge.input/1", {"exercise": name, **asdict(tried)})
    else:
        echo(tried_lines(tried))
    return 1 if tried.error else 0


@judge_command.command("isolation")
@json_option
@isolation_option
def judge_isolation(as_json: bool, isolation: str | None) -> int:
    """What holds submissions on this machine, and what it does not hold."""
    from handbook.practice.sandbox.opened import isolation_of

    found = isolation_of(load(judge_isolation=isolation))
    if as_json:
        print_json("handbook.judge.isolation/1", asdict(found))
        return 0
    click.echo(f"{found.name}: {', '.join(found.layers)}")
    for word, whats in (("contained", found.contained), ("not contained", found.open)):
        for what in whats:
            click.echo(f"  {word:<14}{what}")
    return 0


@judge_command.command("problems")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--candidates",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of samples (task_id, completion); otherwise those in FILE.",
)
@json_option
@click.option("--limit", type=click.IntRange(1), help="Only the first so many problems.")
@click.option("--ids", help="Only these task_ids, joined by commas.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), help="Wall time for each candidate.")
@isolation_option
def judge_problems(
    file: Path,
    candidates: Path | None,
    as_json: bool,
    limit: int | None,
    ids: str | None,
    seconds: float | None,
    isolation: str | None,
) -> int:
    """Judge the candidates of a set of problems in the layout of HumanEval or MBPP (.jsonl, .jsonl.gz).

    Exit code 1 unless every candidate passes.
    """
    from handbook.practice.problems import judge_problem, read, read_candidates

    problems = _chosen(read(file), ids, limit)
    samples = read_candidates(candidates) if candidates else {}
    work = [
        (problem, number, code)
        for problem in problems
        for number, code in enumerate(samples.get(problem.task_id, ()) if candidates else [problem.candidate])
    ]
    if not work:
        raise click.UsageError("No candidate belongs to these problems.")
    rows: list[dict[str, Any]] = []
    with opened(isolation) as judge, progress("Judging") as advance:
        for problem, number, code in work:
            advance(len(rows), len(work), shown(problem.task_id))
            verdict = judge_problem(problem, code, seconds=seconds, judge=judge)
            rows.append({**asdict(verdict), "candidate": number})
            if not as_json and not verdict.passed:
                click.echo(
                    f"FAIL  {shown(problem.task_id)}  {shown(' '.join(verdict.message.split())[:300])}"
                )
        held = judge.isolation
    passed = sum(row["passed"] for row in rows)
    if as_json:
        solved = len({row["task_id"] for row in rows if row["passed"]})
        counts = {"problems": len(problems), "candidates": len(rows), "passed": passed, "solved": solved}
        print_json("handbook.judge.problems/1", {**counts, "isolation": asdict(held), "results": rows})
    else:
        click.echo(
            f"{passed} of {len(rows)} candidates passed ({len(problems)} problems). isolation: {held.name}"
        )
    return 0 if passed == len(rows) else 1


def _chosen(problems: list[Problem], ids: str | None, limit: int | None) -> list[Problem]:
    if ids is not None:
        wanted = [name.strip() for name in ids.split(",")]
        by_id = {problem.task_id: problem for problem in problems}
        if unknown := [name for name in wanted if name not in by_id]:
            raise click.UsageError(f"No problem {unknown[0]!r}; the first is {problems[0].task_id!r}.")
        problems = [by_id[name] for name in wanted]
    return problems[:limit]
