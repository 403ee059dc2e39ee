"""`handbook engine trace|replay`: write down what an engine does, and look at it step by step."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handbook.app.cli.output import json_option, print_json
from handbook.errors import HandbookError
from handbook.settings import load

if TYPE_CHECKING:
    from handbook.engine.scripted import Knobs, Scenario
    from handbook.engine.trace import Header, Step


@click.group("engine")
def engine_command() -> None:
    """Write down what an engine does, and look at it step by step."""


@engine_command.command("trace")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A new file.")
@click.option(
    "--scenario", "name", default="mixed", show_default=True, help="Which load; a wrong name lists them."
)
@click.option("--model", help="Run it on this model; without one the scheduler runs, on a made-up clock.")
@click.option("--page", type=int, help="Positions of a page.")
@click.option("--memory", type=int, help="Positions of all pages.")
@click.option("--tokens", type=int, help="Computed in a step, at most.")
@click.option("--drafts", type=int, help="Guessed ahead for each text, at most; 0 for none.")
@click.option("--whole", is_flag=True, help="Prompts are computed whole, not in pieces.")
@click.option("--swap", is_flag=True, help="Who makes room is moved to a second memory.")
@json_option
def trace_command(
    out: Path,
    name: str,
    model: str | None,
    page: int | None,
    memory: int | None,
    tokens: int | None,
    drafts: int | None,
    whole: bool,
    swap: bool,
    as_json: bool,
) -> None:
    """Run a small load and write a trace of it: for `handbook engine replay`, or the app's live view."""
    from handbook.engine.scenarios import SCENARIOS
    from handbook.engine.scripted import fitted

    if name not in SCENARIOS:
        lines = "\n".join(f"  {key:<12} {one.title}. {one.look}" for key, one in SCENARIOS.items())
        raise click.UsageError(f"No scenario {name!r}. Scenarios:\n{lines}")
    scenario = SCENARIOS[name]
    given = {"page": page, "memory": memory, "tokens": tokens, "drafts": drafts}
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    chosen |= {"chunked": scenario.knobs.chunked and not whole, "swap": scenario.knobs.swap or swap}
    knobs, notes = fitted(scenario, replace(scenario.knobs, **chosen))
    for note in notes:
        click.echo(f"Note: {note}.", err=True)
    steps = _scripted(scenario, knobs, out) if model is None else _real(scenario, knobs, out, model)
    values = {
        "file": str(out),
        "bytes": out.stat().st_size,
        "scenario": name,
        "model": model,
        **totals(steps),
    }
    if as_json:
        print_json("handbook.engine.recorded/1", values)
        return
    click.echo(
        f"{values['steps']} steps, {values['said']} tokens said in {values['seconds']:.3f} s"
        f"{'' if model else ' (made up)'}: {out}, {values['bytes']:,} bytes.\n"
        f"Look at it: handbook engine replay {out}"
    )


def _scripted(scenario: "Scenario", knobs: "Knobs", out: Path) -> "list[Step]":
    from handbook.engine.scripted import run
    from handbook.engine.tracefile import TraceWriter

    header, steps = run(scenario, knobs)
    writer = TraceWriter(out, header)
    for step in steps:
        writer(step)
    writer.close()
    return steps


def _real(scenario: "Scenario", knobs: "Knobs", out: Path, model: str) -> "list[Step]":
    from handbook.engine.opened import open_engine
    from handbook.engine.scripted import ask
    from handbook.engine.store import page_bytes
    from handbook.engine.tracefile import TraceWriter
    from handbook.engine.work import Limits
    from handbook.model.load import load_model

    settings = load(model=model)
    pages = knobs.memory // knobs.page
    config = load_model(settings.model, settings).config
    limits = Limits(
        tokens=knobs.tokens,
        running=knobs.running,
        chunked=knobs.chunked,
        swap=pages if knobs.swap else 0,
    )
    how: dict[str, Any] = {"page": knobs.page, "limits": limits, "speculation": "off"}
    if knobs.drafts:
        how |= {"speculation": "lookup", "drafts": knobs.drafts}
    for width in (2, 4):  # bytes of a number in the pages: bf16 where there are kernels, else as the weights
        memory = pages * page_bytes(config, knobs.page, width)
        engine = open_engine(settings.model, settings, settings.precision, memory=memory, **how)
        if engine.pages.count >= pages:
            break
    steps: list[Step] = []
    writer = TraceWriter(out, engine.header)

    def watch(step: "Step") -> None:
        writer(step)
        steps.append(step)

    engine.watch(watch)
    try:
        ask(engine, scenario)
    finally:
        writer.close()
    return steps


def totals(steps: "Sequence[Step]") -> dict[str, Any]:
    """What a run came to."""
    return {
        "steps": len(steps),
        "seconds": steps[-1].at + steps[-1].seconds if steps else 0.0,
        "computed": sum(step.tokens for step in steps),
        "said": sum(step.given for step in steps),
        "found_in_cache": sum(step.reused for step in steps),
        "preempted": sum(len(step.preempted) for step in steps),
        "drafts": sum(part.drafts for step in steps for part in step.parts),
        "drafts_right": sum(part.accepted for step in steps for part in step.parts),
        "ended": sum(len(step.ended) for step in steps),
    }


@engine_command.command("replay")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--step", "at", type=click.IntRange(1), help="Show this step only, counted from 1.")
@click.option(
    "--speed", type=click.FloatRange(0.1, 100), default=10.0, show_default=True, help="Steps a second."
)
@json_option
def replay_command(file: Path, at: int | None, speed: float, as_json: bool) -> None:
    """Show a trace in the terminal: the block map, who runs and waits, tokens a second.

    Without --step it plays, and ends with the last step; where the output is no terminal, only that is shown.
    """
    from handbook.engine.tracefile import read

    trace = read(file)
    if at is not None and at > len(trace):
        raise HandbookError(f"The trace has {len(trace)} steps, and no step {at}.", "Ask for one of those.")
    if as_json:
        chosen = range(len(trace)) if at is None else [at - 1]
        print_json(
            "handbook.engine.replay/1",
            {
                "file": str(file),
                "end": trace.end,
                "header": asdict(trace.header),
                "totals": totals(trace),
                "steps": [row(trace.header, trace[index]) for index in chosen],
            },
        )
        return
    from handbook.app.cli.replay import play, show

    if at is None:
        play(trace, speed)
    else:
        show(trace, at - 1)


def row(header: "Header", step: "Step") -> dict[str, Any]:
    """A step in numbers."""
    from handbook.engine.trace import cells

    states = [cell.state for cell in cells(header, step)]
    return {
        "n": step.n,
        "at": step.at,
        "seconds": step.seconds,
        "computed": step.tokens,
        "said": step.given,
        "running": len(step.running),
        "waiting": step.waiting_count,
        "swapped": len(step.swapped),
        "preempted": len(step.preempted),
        "found_in_cache": step.reused,
        **{f"pages_{state}": states.count(state) for state in ("held", "shared", "cached", "free")},
    }
