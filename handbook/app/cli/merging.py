"""`handbook train merge`: an adapter put into its model's weights, for tools that take no adapters."""

from pathlib import Path

import click

from handbook.app.cli.output import json_option, print_json, progress
from handbook.settings import load


@click.command("merge")
@click.argument("adapter", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.option("--model", metavar="NAME", help="The model it was trained on; default: as in the settings.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="A new folder.")
@json_option
def merge_command(adapter: Path, model: str | None, out: Path, as_json: bool) -> int:
    """Put the LoRA or DoRA adapter of the folder ADAPTER into its model's weights, and write the whole model.

    The result is fp32 and stands alone: `handbook chat --model FOLDER`, or any tool that reads models as the
    hub has them. Rounded to bf16 afterwards, small changes are lost in part; the chapter on fine-tuning
    measures how much. DoRA has to be merged to be served.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise click.UsageError(f"--out: {out} is there already; name a new folder.")
    settings = load(model=model)
    with progress("Merge") as advance:
        advance(0, None, f"loading {settings.model}")
        from handbook.model.adapters import read_adapter
        from handbook.model.load import load_model, locate
        from handbook.train.lora import apply_adapter, merge, remove_lora
        from handbook.train.saved import check_writable, write_model

        source = locate(settings.model, settings)
        loaded = load_model(settings.model, settings)
        check_writable(loaded.config, source)
        paths = apply_adapter(loaded.model, read_adapter(adapter, loaded.model))
        merge(loaded.model)
        remove_lora(loaded.model)
        advance(0, None, f"writing {out}")
        write_model(out, loaded, source)
    if as_json:
        values = {"model": settings.model, "adapter": str(adapter), "layers": len(paths), "folder": str(out)}
        print_json("handbook.train.merged/1", values)
    else:
        click.echo(f"{len(paths)} layers of {settings.model} changed; saved in {out}")
        click.echo(f"Try it: handbook chat --model {out}")
    return 0
