"""`handbook train sft|dpo|orpo|ppo|grpo|reward`: a model trained further, on examples or its own answers."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import Field
from pathlib import Path
from time import perf_counter
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from handbook.app.cli.alone import alone, asked_to_stop
from handbook.app.cli.output import json_option, print_json, progress
from handbook.errors import SettingsError
from handbook.settings import Settings, load
from handbook.train.settings import METHODS, Common, Method, known, read_settings

if TYPE_CHECKING:
    from handbook.train.loop import Point
    from handbook.train.plan import Plan
    from handbook.train.session import Outcome, Session

RECENT = 20  # steps that the bar's numbers are the mean of
LINES: dict[Method, str] = {
    "sft": "Learn to answer as in your examples.",
    "dpo": "Learn from pairs of answers, near the model as it is (a reference).",
    "orpo": "Learn from pairs of answers, without a reference.",
    "ppo": "Learn from rewards, with a value head and a penalty for leaving the reference.",
    "grpo": "Learn from rewards, comparing answers to the same prompt.",
    "reward": "Train a model that says how good an answer is, from pairs.",
}
MORE = """The result is an adapter in the standard format, or whole weights; the folder also has the
checkpoint, metrics.jsonl (a line a step) and run.json. The same command again goes on where the last one
stopped, or was killed. `handbook open`, then /training, shows the curves while it runs.

All options may stand in a TOML file, with underscores and lora as a table; flags win."""


def command_of(method: Method) -> click.Command:
    """The command of a method: an option for each field of its settings."""

    def callback(config: Path | None, dry_run: bool, fresh: bool, as_json: bool, **flags: Any) -> int:
        return tune(method, flags, config, dry_run, fresh, as_json)

    command: Any = json_option(callback)
    for flag, words in (
        ("--fresh", "Start anew: replace what an earlier run left in the folder."),
        (
            "--dry-run",
            "Say what would be trained, what memory it takes and how long; take one step, keep nothing.",
        ),
    ):
        command = click.option(flag, is_flag=True, help=words)(command)
    file = click.Path(dir_okay=False, path_type=Path)
    command = click.option("--config", type=file, metavar="FILE", help="Settings in TOML.")(command)
    for each in reversed(known(method).values()):
        command = _option(each)(command)
    help_text = f"{LINES[method]}\n\n{MORE}"
    made: click.Command = click.command(method, help=help_text, short_help=LINES[method])(command)
    return made


def _option(each: "Field[Any]") -> Callable[[Any], Any]:
    """The option of a field. What it is given is looked at later, with the file's, so that all faults come at
    once."""
    name = "--" + each.name.replace("_", "-")
    kinds = get_args(each.type) if isinstance(each.type, UnionType) else (each.type,)
    kind, optional = kinds[0], type(None) in kinds
    words = each.metadata["words"]
    if not optional and each.default not in ("", False, True):
        words = (
            f"{words} [default: {each.default:g}]"
            if kind in (int, float)
            else f"{words} [default: {each.default}]"
        )
    if kind is bool:
        both = f"{name}/--no-{each.name.replace('_', '-')}"
        return click.option(both, each.name, default=None, help=words)
    shapes: dict[Any, str] = {int: "N", float: "X", str: "TEXT"}
    metavar = "|".join(get_args(kind)) if get_origin(kind) is Literal else shapes.get(kind, "r=N,...")
    return click.option(name, each.name, metavar=metavar, help=words)


def tune(
    method: Method, flags: dict[str, Any], config: Path | None, dry_run: bool, fresh: bool, as_json: bool
) -> int:
    """A dry run, or a run to its end. Returns the exit code."""
    try:
        settings = read_settings(method, flags, config)
    except SettingsError as error:
        raise click.UsageError(f"{error.what} {error.remedy}") from None
    app = load()
    folder = Path(settings.out or app.data / "train" / method).expanduser()
    if folder.exists() and not folder.is_dir():
        raise click.UsageError(f"--out: {folder} is a file, a folder was expected.")
    with _threads(settings.threads or app.threads):
        if dry_run:
            return _dry(settings, app, folder, as_json)
        with alone(folder):
            return _run(settings, app, folder, fresh, as_json)


def _dry(settings: Common, app: Settings, folder: Path, as_json: bool) -> int:
    from handbook.train.plan import as_json as plain
    from handbook.train.plan import plan_of

    session = prepared(settings, app, folder)
    with progress("Plan") as advance:
        advance(0, None, "taking a step, which is thrown away")
        plan = plan_of(session)
    if as_json:
        print_json("handbook.train.plan/1", plain(plan, session))
    else:
        click.echo(table(plan, session))
    return 0


def _run(settings: Common, app: Settings, folder: Path, fresh: bool, as_json: bool) -> int:
    from handbook.train.runs import Stopped
    from handbook.train.session import forget

    if fresh:
        forget(folder)
    session = prepared(settings, app, folder)
    session.stored()  # a checkpoint of another run is said before anything else is done
    with asked_to_stop() as stop:
        try:
            outcome = trained(session, stop)
        except Stopped as stopped:
            done = f"after {stopped.step} of {session.parts.config.steps} steps"
            click.echo(f"Stopped {done}. The same command goes on from there; --fresh starts anew.", err=True)
            return 130
    values = summary(session, outcome)
    if as_json:
        print_json("handbook.train.result/1", values)
    else:
        click.echo(told(values))
    return 0


def prepared(settings: Common, app: Settings, folder: Path) -> "Session":
    """Model, data and objective, ready. Raises all that can be wrong with them."""
    with progress("Prepare") as advance:
        advance(0, None, f"loading {settings.model}")
        from handbook.train.assembly import assemble
        from handbook.train.methods import parts_of
        from handbook.train.session import Session

        assembled = assemble(settings, app)
        advance(0, None, "reading the data")
        parts = parts_of(assembled)
    command = shlex.join(["handbook", *sys.argv[1:]]) if sys.argv[1:2] == ["train"] else ""
    return Session(settings, folder, assembled, parts, command)


def trained(session: "Session", stop: Callable[[], bool]) -> "Outcome":
    """The run behind a progress bar. Raises `handbook.train.runs.Stopped`."""
    from handbook.train.session import train

    recent: list[Point] = []
    ended = [perf_counter()]
    total = session.parts.config.steps
    bar = sys.stderr.isatty()  # which says itself how much time is left
    beat = 1 if bar else max(total // 20, 1)
    note = ""
    with progress(session.settings.method) as advance:
        assembled = session.assembled
        advance(0, total, f"{assembled.trains}: {assembled.trainable:,} of {assembled.parameters:,} weights")

        def watch(point: "Point") -> None:
            nonlocal note
            recent.append(point)
            ended.append(perf_counter())
            del recent[:-RECENT], ended[: -RECENT - 1]
            if (
                point.step % beat == 0
                or point.step == total
                or any("held_out" in name for name in point.losses)
            ):
                note = said(recent)
                if not bar:
                    each = (ended[-1] - ended[0]) / (len(ended) - 1)
                    note += f", {(total - point.step) * each:.0f} s left"
            advance(point.step, total, note)

        return train(session, watch, stop)


def said(recent: "list[Point]") -> str:
    """What the bar tells of the last steps: means, but for what was just measured on held-out data."""
    last = recent[-1]
    drawn = "reward" in last.losses
    shown = [name for name in ("reward", "right") if name in last.losses] if drawn else ["total"]
    parts = [f"step {last.step}"]
    for name in shown:
        mean = sum(each.losses[name] for each in recent) / len(recent)
        parts.append(f"{'loss' if name == 'total' else name} {mean:.3f}")
    for name in ("held_out", "held_out_right", "held_out_reward"):
        if (held := last.losses.get(name)) is not None:
            parts.append(f"{name.replace('_', ' ').replace('held out', 'held-out')} {held:.3f}")
            break
    speed = sum(each.tokens for each in recent) / sum(each.seconds for each in recent)
    return ", ".join([*parts, f"{speed:,.0f} tokens/s"])


def summary(session: "Session", outcome: "Outcome") -> dict[str, Any]:
    """What the end says, and `--json`."""
    assembled, curve = session.assembled, outcome.curve
    last = curve[-RECENT:]
    return {
        "method": session.settings.method,
        "folder": str(session.folder),
        "result": str(outcome.result),
        "model": assembled.name,
        "trains": assembled.trains,
        "trainable": assembled.trainable,
        "parameters": assembled.parameters,
        "precision": session.parts.config.precision,
        "steps": len(curve),
        "resumed_from": outcome.resumed_from,
        "tokens": outcome.tokens,
        "seconds": outcome.seconds,
        "tokens_per_second": outcome.tokens / outcome.seconds if outcome.seconds else 0.0,
        "loss": sum(point.losses["total"] for point in last) / len(last),
        "before": dict(outcome.before),
        "after": dict(outcome.after),
        "try": session.tries(outcome.result),
    }


def told(values: dict[str, Any]) -> str:
    """The end, for a person."""
    gone = f", {values['resumed_from']:,} of them earlier" if values["resumed_from"] else ""
    weights = f"{values['trainable']:,} of {values['parameters']:,} weights"
    rows = [
        ("trained", f"{values['model']}, {values['trains']}: {weights}, {values['precision']}"),
        (
            "steps",
            f"{values['steps']:,}{gone}; {values['tokens']:,} tokens in {values['seconds']:.0f} s, "
            f"{values['tokens_per_second']:,.0f} tokens/s",
        ),
        ("loss", f"{values['loss']:.4f}, the mean of the last {min(RECENT, values['steps'])} steps"),
    ]
    for name, after in values["after"].items():
        label = name.replace("held_out_", "held-out ").replace("held_out", "held-out loss")
        before = values["before"].get(name)
        rows.append((label, f"{after:.4f}" + ("" if before is None else f", before training {before:.4f}")))
    rows.append(("saved", values["result"]))
    wide = max(len(name) for name, _ in rows)
    lines = [f"{name:<{wide}}  {text}" for name, text in rows]
    if values["try"]:
        lines += ["Try it:", *(f"  {command}" for command in values["try"])]
    return "\n".join(lines)


def table(plan: "Plan", session: "Session") -> str:
    """The dry run, for a person."""
    assembled = session.assembled
    share = plan.trainable / max(plan.parameters, 1)
    rows = [
        ("model", f"{assembled.name}, {plan.parameters:,} weights"),
        (
            "trains",
            f"{assembled.trains}: {plan.trainable:,} weights ({share:.2%}), {assembled.how}",
        ),
    ]
    if plan.lengths is not None:
        n = plan.lengths
        learnt = f"{n.tokens:,} tokens, {n.counted:,} of them learnt"
        rows.append(("examples", f"{plan.examples:,}, {plan.held_out:,} of them held out; {learnt}"))
        least, median, most, _, longest = n.percentiles
        rows.append(("lengths", f"{least} to {longest} tokens, median {median}, nine in ten up to {most}"))
        for why, count in plan.removed.items():
            rows.append((f"  {why}", f"{count:,}"))
    epoch = "" if plan.steps_per_epoch is None else f", {plan.steps_per_epoch:,} an epoch"
    rows.append(("steps", f"{plan.steps:,}{epoch}; about {plan.tokens:,} tokens"))
    wide = max(12, *(len(name) for name, _ in rows))
    lines = [f"{name:<{wide}}  {text}" for name, text in rows]
    lines += ["", f"{'memory':<{wide}}  {'MB':>9}"]
    lines += [f"{line.what:<{wide}}  {line.bytes / 1e6:>9,.1f}  {line.how}" for line in plan.memory]
    lines.append(
        f"{'together':<{wide}}  {plan.bytes / 1e6:>9,.1f}  {plan.free_bytes / 1e6:,.0f} MB were free"
    )
    lines.append(f"{'measured':<{wide}}  {plan.peak_bytes / 1e6:>9,.1f}  this process's peak, torch included")
    if plan.bytes > plan.free_bytes:
        lines.append("That is more than is free: take --qlora, --optimizer adamw8bit, or fewer --tokens.")
    lines += ["", f"{'a step':<{wide}}  {plan.step_seconds:.2f} s, measured"]
    lines.append(f"{'the run':<{wide}}  about {_span(plan.seconds)}, looks at held-out data included")
    return "\n".join(lines)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """So many threads; as torch has it where none is told."""
    if number is None:
        yield
        return
    from handbook.lab.kit import threads

    with threads(number):
        yield


COMMANDS = [command_of(method) for method in METHODS]
