"""`handbook diagnostic [take|result|drop]`: twenty minutes that say what is solid, shaky and unknown."""

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from handbook.app.cli.output import json_option, print_json, shown
from handbook.app.cli.plan import opened
from handbook.practice.diagnostic import BUDGET, LEVELS

if TYPE_CHECKING:
    from handbook.practice.diagnostic import Result
    from handbook.practice.study import Study
    from handbook.records import Grade, Question

HELP = (
    "A few sentences each. End your answer with a line that holds only a dot. An empty answer is 'I don't "
    "know'. /skip leaves it out (that says nothing), /undo takes the last answer back, /pause stops here and "
    "goes on later, /end ends it now."
)
COMMANDS = ("/skip", "/undo", "/pause", "/end")
RATINGS = {"1": "again", "2": "hard", "3": "good", "4": "easy"}


@click.group("diagnostic", invoke_without_command=True)
@click.pass_context
def diagnostic_command(ctx: click.Context) -> None:
    """Find out in twenty minutes what is solid, what is shaky and what nobody can tell yet."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(take_command)


@diagnostic_command.command("take")
@click.option("--level", type=click.Choice(LEVELS), help="Of the role; by default the plan's, else senior.")
@click.option("--budget", type=click.FloatRange(2, 120), default=BUDGET, show_default=True, help="Minutes.")
def take_command(level: Any = None, budget: float = BUDGET) -> int:
    """Answer questions in the terminal; one that was paused goes on."""
    with opened() as study:
        plan = study.plan()
        begun = study.diagnosing.begin(
            level or (plan.level if plan else "senior"),
            focus=plan.focus() if plan else None,
            budget=budget,
        )
        answered = len(begun.diagnostic.answers)
        click.echo(f"It goes on after {answered} answers." if answered else HELP)
        if not _ask(study):
            click.echo("Paused. `handbook diagnostic` goes on from here.")
            return 0
        result = study.diagnosing.end()
        if study.plan() is not None and result.asked:
            study.take_in()
        _tell(study, result)
    return 0


@diagnostic_command.command("result")
@json_option
def result_command(as_json: bool) -> int:
    """What the last diagnostic said. Exit code 1 before there is one."""
    with opened() as study:
        result, begun = study.diagnosing.result(), study.diagnosing.open()
        if as_json:
            values = {"open": begun is not None, "result": None if result is None else _json(result)}
            print_json("handbook.diagnostic/1", values)
        elif result is None:
            click.echo("No diagnostic has ended yet: handbook diagnostic")
        else:
            _tell(study, result)
        return 0 if result is not None else 1


@diagnostic_command.command("drop")
def drop_command() -> int:
    """Forget the diagnostic that is open. Exit code 1 where there is none."""
    with opened() as study:
        dropped = study.diagnosing.drop()
    click.echo("Forgotten." if dropped else "No diagnostic is open.")
    return 0 if dropped else 1


def _ask(study: "Study") -> bool:
    """Questions to the end of the time. False when the person pauses."""
    while (begun := study.diagnosing.open()) and (question := begun.diagnostic.next()):
        left = begun.diagnostic.left
        click.echo(f"\n{left:.0f} minutes left.\n{_text(question.prompt)}")
        begin = time.monotonic()
        said = _typed(study, question)
        seconds = time.monotonic() - begin
        if said in ("/pause", "/end"):
            return said == "/end"
        if said == "/undo":
            if study.diagnosing.undo() is None:
                click.echo("There is nothing to take back.")
        elif said == "/skip":
            study.diagnosing.answered(question.id, seconds, how="skipped")
        elif not said:
            study.diagnosing.answered(question.id, seconds, how="dont-know")
        else:
            _judged(study, question, said, seconds)
    return True


def _typed(study: "Study", question: "Question") -> str:
    """The answer or a command; each line is kept as a draft. The end of the input is a pause."""
    draft = study.deck.draft(question, "diagnostic")
    lines = draft.text.split("\n") if draft is not None and draft.text.strip() else []
    if lines:
        click.echo("You had typed:\n" + "\n".join(shown(each) for each in lines))
    while (line := _read("> ")) is not None:
        if line.strip() in COMMANDS:
            return line.strip()
        if line.strip() == ".":
            return "\n".join(lines).strip()
        lines.append(line)
        study.deck.save_draft(question, "diagnostic", "\n".join(lines))
    return "/pause"


def _judged(study: "Study", question: "Question", text: str, seconds: float) -> None:
    """By the grader; where it leaves everything open, by the person."""
    given = _graded(question, text)
    if given is not None and given.high - given.low < 1:
        met = sum(each.verdict == "yes" for each in given.judgements)
        click.echo(f"{met} of {len(given.judgements)} criteria met, {len(given.open)} left open.")
        study.diagnosing.answered(question.id, seconds, text=text, grade=given)
        return
    click.echo(f"\nA model answer: {_text(question.answer)}")
    while (
        said := (_read("Yours: 1 not it, 2 parts, 3 most of it, 4 all of it: ") or "3").strip()
    ) not in RATINGS:
        click.echo("Expected 1 to 4.")
    study.diagnosing.answered(question.id, seconds, text=text, rating=RATINGS[said])


def _graded(question: "Question", text: str) -> "Grade | None":
    from handbook.errors import HandbookError
    from handbook.practice.grade import grade, open_grader
    from handbook.settings import load

    try:
        return grade(question, text, open_grader(load()))
    except HandbookError as error:
        click.echo(f"No grader: {shown(error.what)} You rate your answer yourself.", err=True)
        return None


def _tell(study: "Study", result: "Result") -> None:
    click.echo(f"\n{result.asked} questions answered in {result.minutes:.0f} minutes, for {result.level}.")
    for state in ("solid", "shaky"):
        ids = result.those(state)
        click.echo(f"\n{state.capitalize()}: {len(ids)} sections")
        for id in ids:
            concept, standing = study.graph.concepts[id], result.sections[id]
            title = f"{study.graph.titles[concept.chapter]}: {concept.title}"
            click.echo(f"  {title}  ({standing.low:.2f} to {standing.high:.2f} of the criteria's weight)")
            click.echo(f"      {shown(' '.join(standing.evidence))}")
    click.echo(f"\nUnknown: {len(result.those('unknown'))} sections. That says nothing against you.")


def _json(result: "Result") -> dict[str, Any]:
    return {
        "level": result.level,
        "minutes": result.minutes,
        "asked": result.asked,
        "skipped": result.skipped,
        "sections": {id: asdict(standing) for id, standing in result.sections.items()},
    }


def _text(markdown: str) -> str:
    from handbook.app.cli.plain import plain

    return "\n".join(shown(line) for line in plain(markdown).split("\n"))


def _read(prompt: str) -> str | None:
    """A line, without its end; None at the end of the input."""
    click.echo(prompt, nl=False)
    text = sys.stdin.readline()
    return text.rstrip("\r\n") if text else None
