"""`handbook train`, and `handbook train tiny`: a dense model and a mixture, trained from nothing."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handbook.app.cli.alone import alone, asked_to_stop
from handbook.app.cli.merging import merge_command
from handbook.app.cli.output import json_option, print_json, progress
from handbook.app.cli.tuning import COMMANDS
from handbook.errors import CheckpointError
from handbook.lab.kit import threads
from handbook.settings import Settings, load

if TYPE_CHECKING:
    from handbook.train.characters import Corpus
    from handbook.train.loop import Point
    from handbook.train.runs import Run, Trained

STEPS = 1000
LIMITS = {"steps": (1, 1_000_000), "seed": (0, 2**32 - 1), "threads": (1, 1024)}


@click.group("train")
def train_command() -> None:
    """Train on this machine: small models from nothing, or a model further."""


for _command in COMMANDS:
    train_command.add_command(_command)
train_command.add_command(merge_command)


@train_command.command("sets")
@json_option
def sets_command(as_json: bool) -> int:
    """Bring the two small public sets that the chapters on training measure with: 999 instructions, 300
    preference pairs. What is here is checked and not brought again."""
    from handbook.train import sets

    settings = load()
    paths = [sets.bring(one, settings) for one in sets.ALL]
    if as_json:
        print_json("handbook.train.sets/1", {"files": [str(path) for path in paths]})
    else:
        for one, path in zip(sets.ALL, paths, strict=True):
            print(f"{path}: {one.what}")
    return 0


@train_command.command("tiny")
@click.option(
    "--models",
    default="dense,mixture",
    show_default=True,
    metavar="NAMES",
    help="Some of dense, mixture, dense-total, mixture-unbalanced, mixture-bias, or all.",
)
@click.option("--steps", default=str(STEPS), show_default=True, metavar="N", help="Optimizer steps.")
@click.option("--seed", default="0", show_default=True, metavar="N", help="Of weights and batches.")
@click.option("--out", metavar="FOLDER", help="Where it all goes; default: train/tiny in the data folder.")
@click.option("--text", metavar="FILE", help="A text of your own; default: Tiny Shakespeare, brought once.")
@click.option(
    "--threads",
    metavar="N",
    help="CPU threads; default: as in the settings, or 1. 2 pay on two free cores alone.",
)
@click.option("--fresh", is_flag=True, help="Start anew: replace what an earlier run left in the folder.")
@json_option
def tiny_command(fresh: bool, as_json: bool, **options: str | None) -> int:
    """Train a dense model and a mixture of experts of equal active size on the characters of Tiny
    Shakespeare: about four minutes.

    Each model gets a folder with its checkpoint and metrics.jsonl (a line a step); loss.svg shows all curves.
    The same command again goes on where the last one stopped, or was killed. dense-total is as large as the
    mixture is in total; -unbalanced has nothing that keeps experts busy, -bias the selection bias.
    """
    chosen = choices(options)
    from handbook.train.runs import Stopped

    settings = load()
    out = Path(options["out"] or settings.data / "train" / "tiny")
    with threads(chosen["threads"] or settings.threads or 1), alone(out):
        corpus, runs = planned(chosen, settings, out, fresh)
        results = []
        with asked_to_stop() as stop:
            for run in runs:
                try:
                    results.append(trained(run, corpus, stop))
                except Stopped as stopped:
                    done = f"{run.recipe.name} after {stopped.step} of {run.schedule.steps} steps"
                    again = "The same command goes on from there; --fresh starts anew."
                    click.echo(f"Stopped {done}. {again}", err=True)
                    return 130
        plot = out / "loss.svg"
        rows = [described(run, result, corpus) for run, result in zip(runs, results, strict=True)]
        draw(plot, results)
    if as_json:
        print_json("handbook.train.tiny/1", summary(runs, rows, out, plot))
    else:
        tell(rows, plot)
    return 0


def choices(options: dict[str, str | None]) -> dict[str, Any]:
    """The options as values. Raises UsageError that lists everything that is wrong with them."""
    from handbook.train.tiny import NAMES

    faults: list[str] = []
    values: dict[str, Any] = {}
    named = [name.strip() for name in (options["models"] or "").split(",") if name.strip()]
    values["models"] = list(NAMES) if named == ["all"] else list(dict.fromkeys(named))
    if unknown := [name for name in values["models"] if name not in NAMES]:
        faults.append(f"--models: {', '.join(unknown)} is not one of {', '.join(NAMES)}")
    if not named:
        faults.append("--models: names none")
    for name, (low, high) in LIMITS.items():
        given = options[name]
        try:
            values[name] = None if given is None else int(given)
        except ValueError:
            values[name] = None
            faults.append(f"--{name}: expected a whole number, got {given!r}")
        if values[name] is not None and not low <= values[name] <= high:
            faults.append(f"--{name}: expected {low} to {high}, got {given}")
    if options["out"] and Path(options["out"]).exists() and not Path(options["out"]).is_dir():
        faults.append(f"--out: {options['out']} is a file, a folder was expected")
    if options["text"] and not Path(options["text"]).is_file():
        faults.append(f"--text: {options['text']} is not a file")
    values["text"] = Path(options["text"]) if options["text"] else None
    if faults:
        raise click.UsageError("; ".join(faults) + ".")
    return values


def planned(chosen: dict[str, Any], settings: Settings, out: Path, fresh: bool) -> "tuple[Corpus, list[Run]]":
    """The text and the runs. Raises CheckpointError that names every folder of an earlier run that doesn't
    fit, before anything is trained."""
    from hashlib import sha256

    from handbook.train import text, tiny
    from handbook.train.characters import Corpus
    from handbook.train.runs import Run

    with progress("Text") as advance:
        if text.find(settings, chosen["text"]) is None:
            advance(0, None, "downloading Tiny Shakespeare")
        content = text.read(text.bring(settings, chosen["text"]))
    shape = tiny.Shape()
    corpus = Corpus.of(content, shape.length)
    runs = [
        Run(
            recipe=tiny.recipe(name, len(corpus.tokenizer), shape),
            shape=shape,
            schedule=tiny.schedule(chosen["steps"]),
            seed=chosen["seed"],
            text=sha256(content.encode()).hexdigest(),
            folder=out / name,
        )
        for name in chosen["models"]
    ]
    faults: list[CheckpointError] = []
    for run in runs:
        if fresh:
            run.forget()
        try:
            run.stored()
        except CheckpointError as error:
            faults.append(error)
    if faults:
        raise CheckpointError(" ".join(error.what for error in faults), faults[0].remedy)
    return corpus, runs


def trained(run: "Run", corpus: "Corpus", stop: Callable[[], bool]) -> "Trained":
    """One run behind a progress bar. Raises `handbook.train.runs.Stopped`."""
    from handbook.train import runs

    recent: list[Point] = []
    total, tokens = run.schedule.steps, run.shape.batch * run.shape.length
    bar = sys.stderr.isatty()  # which says itself how much time is left
    beat = 5 if bar else max(total // 10, 1)
    note = ""
    with progress(run.recipe.name) as advance:
        advance(0, total, f"{run.recipe.active_parameters:,} active of {run.recipe.parameters:,} weights")

        def watch(point: "Point") -> None:
            nonlocal note
            recent.append(point)
            del recent[:-20]
            if point.step % beat == 0 or point.step == total:
                seconds = sum(each.seconds for each in recent) / len(recent)
                left = "" if bar else f", {(total - point.step) * seconds:.0f} s left"
                loss = sum(each.losses["text"] for each in recent) / len(recent)
                note = f"step {point.step}, loss {loss:.3f}, {tokens / seconds:,.0f} tokens/s{left}"
            advance(point.step, total, note)

        return runs.train(run, corpus, watch, stop)


def described(run: "Run", result: "Trained", corpus: "Corpus") -> dict[str, Any]:
    """What the table and `--json` say about one model."""
    from handbook.train.runs import sample

    last = result.curve[-20:]
    tokens = run.shape.batch * run.shape.length * len(result.curve)
    assert run.folder is not None
    return {
        "name": result.recipe.name,
        "held_out_loss": result.held_out.loss,
        "train_loss": sum(point.losses["text"] for point in last) / len(last),
        "parameters": result.recipe.parameters,
        "active_parameters": result.recipe.active_parameters,
        "busiest": result.held_out.busiest,
        "dropped": result.held_out.dropped if result.held_out.loads else None,
        "seconds": result.seconds,
        "tokens_per_second": tokens / result.seconds,
        "resumed_from": result.resumed_from,
        "folder": str(run.folder),
        "sample": sample(result.model, corpus.tokenizer, seed=run.seed),
    }


def summary(runs: "Sequence[Run]", rows: list[dict[str, Any]], out: Path, plot: Path) -> dict[str, Any]:
    import torch

    first = runs[0]
    return {
        "folder": str(out),
        "plot": str(plot),
        "text_sha256": first.text,
        "steps": first.schedule.steps,
        "seed": first.seed,
        "batch": first.shape.batch,
        "length": first.shape.length,
        "threads": torch.get_num_threads(),
        "models": rows,
    }


def tell(rows: list[dict[str, Any]], plot: Path) -> None:
    for row in rows:
        click.echo(f"{row['name']} writes:\n{_indented(row['sample'])}\n")
    click.echo(
        f"{'model':<19} {'held-out loss':>13} {'active':>10} {'total':>10} {'busiest expert':>15} "
        f"{'seconds':>8}"
    )
    for row in rows:
        busiest = "" if row["busiest"] is None else f"{row['busiest']:.2f} x mean"
        click.echo(
            f"{row['name']:<19} {row['held_out_loss']:>13.4f} {row['active_parameters']:>10,} "
            f"{row['parameters']:>10,} {busiest:>15} {row['seconds']:>8.0f}"
        )
    click.echo(f"Loss in nats per character, on text that no model saw. Curves: {plot}")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().split("\n"))


def draw(file: Path, results: "Sequence[Trained]") -> None:
    from handbook.app.curves import loss_plot
    from handbook.book.atomic import write

    write(file, loss_plot({result.recipe.name: result.curve for result in results}))
