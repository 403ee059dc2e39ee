"""`handbook plan start|today|show|move-date|missed|undo|export|import`: a study plan to the interview."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handbook.app.cli.output import json_option, print_json, shown
from handbook.errors import PlanError
from handbook.practice.plan import LEVELS, ROLES
from handbook.settings import load

if TYPE_CHECKING:
    from handbook.practice.daily import Session
    from handbook.practice.material import Item
    from handbook.practice.plan import Plan
    from handbook.practice.study import Change, Study

DAY = click.DateTime(["%Y-%m-%d"])
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LARGEST = 2**21  # bytes of a file that is imported
NO_PLAN = "There is no plan yet. Begin one: handbook plan start --date 2027-01-15 --hours 6"


@click.group("plan")
def plan_command() -> None:
    """A study plan to the date of your interview, and the session of each day."""


@contextmanager
def opened() -> "Iterator[Study]":
    """The study of the settings, and its database closed behind it."""
    from handbook.book.load import open_book
    from handbook.database import open_database
    from handbook.practice.study import Study

    settings = load()
    database = open_database(settings)
    try:
        yield Study(database, open_book(settings.book))
    finally:
        database.close()


@plan_command.command("start")
@click.option("--date", "when", type=DAY, help="Of the interview; without one, twelve weeks ahead.")
@click.option("--hours", type=float, required=True, help="A week.")
@click.option("--level", type=click.Choice(LEVELS), default="lead", show_default=True)
@click.option("--role", type=click.Choice(list(ROLES)), default="lead", show_default=True)
@click.option("--track", default="", help="Id of a study path; by default the one that suits the level.")
@click.option("--days", default="", metavar="mon,tue,...", help="Days with time; by default all.")
@json_option
def start_command(
    when: datetime | None, hours: float, level: Any, role: str, track: str, days: str, as_json: bool
) -> int:
    """Begin a plan. A diagnostic that you took is part of it: handbook diagnostic."""
    with opened() as study:
        study.start(
            date=when.date() if when else None,
            hours=hours,
            level=level,
            role=role,
            track=track,
            days=_weekdays(days),
        )
        return _show(study, as_json)


@plan_command.command("today")
@click.option("--done", "done", metavar="KEY", multiple=True, help="Say that an item is done (its key).")
@json_option
def today_command(done: tuple[str, ...], as_json: bool) -> int:
    """The session of today. Exit code 1 without a plan."""
    with opened() as study:
        for key in done:
            study.mark(key)
        today = study.today()
        if as_json:
            values = {} if today is None else _session(today.session)
            done_keys = [] if today is None else sorted(today.done)
            print_json("handbook.plan.today/1", {"session": values or None, "done": done_keys})
        elif today is None:
            click.echo(NO_PLAN)
        else:
            session = today.session
            click.echo(f"{session.day.isoformat()}: {session.minutes:g} of {session.limit} minutes")
            for item in session.items:
                mark = "x" if item.key in today.done else " "
                click.echo(f"  [{mark}] {_line(item)}")
            for note in session.notes:
                click.echo(note)
            if not session.items:
                click.echo("Nothing is planned for today.")
        return 0 if today is not None else 1


@plan_command.command("show")
@json_option
def show_command(as_json: bool) -> int:
    """The plan to the date, what is left out by name, and how ready you are. Exit code 1 without a plan."""
    with opened() as study:
        return _show(study, as_json)


@plan_command.command("move-date")
@click.argument("when", metavar="DATE|none")
@json_option
def move_command(when: str, as_json: bool) -> int:
    """Another date of the interview, or none."""
    with opened() as study:
        return _changed(study, study.change(date=None if when == "none" else _date(when)), as_json)


@plan_command.command("change")
@click.option("--hours", type=float)
@click.option("--level", type=click.Choice(LEVELS))
@click.option("--role", type=click.Choice(list(ROLES)))
@click.option("--track")
@click.option("--days", metavar="mon,tue,...")
@json_option
def change_command(days: str | None, as_json: bool, **given: Any) -> int:
    """Other hours, days, level, role or track."""
    values = {name: value for name, value in given.items() if value is not None}
    if days is not None:
        values["days"] = _weekdays(days)
    with opened() as study:
        return _changed(study, study.change(**values), as_json)


@plan_command.command("missed")
@click.argument("first", type=DAY)
@click.argument("last", type=DAY, required=False)
@json_option
def missed_command(first: datetime, last: datetime | None, as_json: bool) -> int:
    """No time from FIRST to LAST, gone or to come: what these days held is spread over the others."""
    with opened() as study:
        return _changed(study, study.away(first.date(), (last or first).date()), as_json)


@plan_command.command("undo")
@json_option
def undo_command(as_json: bool) -> int:
    """Take the last change of the plan back. Exit code 1 where there is none."""
    with opened() as study:
        why = study.undo()
        if as_json:
            print_json("handbook.plan.undo/1", {"undone": why, "plan": _values(study.plan())})
        else:
            click.echo(f"Taken back: {shown(why)}." if why else "There is nothing to take back.")
        return 0 if why else 1


@plan_command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def export_command(file: Path, force: bool) -> None:
    """Write the plan and the last diagnostic to FILE (JSON)."""
    if file.exists() and not force:
        raise click.UsageError(f"{file} exists; --force replaces it.")
    with opened() as study:
        text = json.dumps(study.export(), ensure_ascii=False, indent=1)
    beside = file.with_name(file.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    click.echo(f"Written: {file}")


@plan_command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def import_command(file: Path, as_json: bool) -> int:
    """Take the plan of FILE in; `handbook plan undo` takes it back."""
    with opened() as study:
        study.import_(read_json(file))
        return _show(study, as_json)


def read_json(file: Path) -> Any:
    """Raises PlanError for a file that is too large or no JSON."""
    remedy = "Choose a file that `handbook plan export` wrote."
    if file.stat().st_size > LARGEST:
        raise PlanError(f"{file} is larger than {LARGEST // 2**20} MiB.", remedy)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{file} is not JSON: {error}.", remedy) from error


def _show(study: "Study", as_json: bool) -> int:
    plan, calendar = study.plan(), study.calendar()
    if as_json:
        values: dict[str, Any] = {"plan": _values(plan), "days": [], "left_out": [], "notes": []}
        if calendar is not None:
            values["days"] = [_session(each) for each in calendar.sessions]
            values["left_out"] = [_item(each) for each in calendar.material.left_out]
            values["notes"] = list(calendar.notes)
        values["readiness"] = [asdict(each) for each in study.readiness()]
        print_json("handbook.plan/1", values)
        return 0 if plan is not None else 1
    if plan is None or calendar is None:
        click.echo(NO_PLAN)
        return 1
    until = f"to {plan.date.isoformat()}" if plan.date else "without a date"
    click.echo(f"{study.graph.track_titles[plan.track]}, {until}, {plan.hours:g} hours a week, {plan.level}.")
    week = None
    for session in calendar.sessions:
        if session.day.isocalendar()[:2] != week:
            week = session.day.isocalendar()[:2]
            click.echo(f"\nWeek of {session.day.isoformat()}")
        if session.items:
            what = "; ".join(shown(item.title) for item in session.items)
            click.echo(f"  {session.day:%a %d %b}  {session.minutes:>5g} min  {what}")
    for note in calendar.notes:
        click.echo(f"\n{note}")
    for item in calendar.material.left_out:
        click.echo(f"  left out: {shown(item.title)} ({item.minutes:g} min): {item.why}")
    click.echo(
        "\nHow ready you are: the share of the criteria, by weight, that an answer would meet, by area"
    )
    for row in study.readiness():
        interval = "nothing known" if row.low is None else f"{row.low:.2f} to {row.high:.2f}"
        click.echo(f"  {row.title:<24} {interval:<14} {' '.join(row.evidence)}")
    return 0


def _changed(study: "Study", change: "Change", as_json: bool) -> int:
    if as_json:
        print_json("handbook.plan.change/1", {"plan": _values(change.plan), "notes": list(change.notes)})
    else:
        for note in change.notes:
            click.echo(shown(note))
    return 0


def _values(plan: "Plan | None") -> dict[str, Any] | None:
    return plan.to_dict() if plan is not None else None


def _session(session: "Session") -> dict[str, Any]:
    return {
        "day": session.day.isoformat(),
        "limit": session.limit,
        "minutes": session.minutes,
        "waiting": session.waiting,
        "items": [_item(each) for each in session.items],
        "notes": list(session.notes),
    }


def _item(item: "Item") -> dict[str, Any]:
    return {**asdict(item), "key": item.key}


def _line(item: "Item") -> str:
    return f"{item.kind:<8} {item.minutes:>4g} min  {shown(item.title)} ({item.why})  {item.key}"


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"Expected a date like 2027-01-15, got {text!r}.") from error


def _weekdays(text: str) -> tuple[int, ...]:
    if not text:
        return tuple(range(7))
    names = [name.strip().lower()[:3] for name in text.split(",")]
    if unknown := [name for name in names if name not in WEEKDAYS]:
        raise click.BadParameter(f"Expected days like mon,wed,sat, got {', '.join(unknown)}.")
    return tuple(WEEKDAYS.index(name) for name in names)
