"""`handbook bench NAME`: the benchmarks of `bench/`, from the clone or from the package."""

import importlib.util
import sys
from pathlib import Path

import click

from handbook.errors import HandbookError


def bench_folder() -> Path:
    """The clone's `bench/`, else the one in the package. Raises HandbookError when there is neither."""
    package = Path(__file__).parents[2]
    for folder in (package.parent / "bench", package / "_bench"):
        if (folder / "generate.py").is_file():
            return folder
    raise HandbookError(
        "The benchmarks are not installed.", "Clone the repository, or reinstall the package."
    )


def benchmarks() -> dict[str, Path]:
    return {path.stem: path for path in sorted(bench_folder().glob("[a-z]*.py"))}


@click.command("bench", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_command(name: str | None, arguments: tuple[str, ...]) -> int:
    """Run benchmark NAME (without one: list them). What follows NAME is its own; NAME --help shows it."""
    known = benchmarks()
    if name is None:
        for each, path in known.items():
            first = path.read_text(encoding="utf-8").removeprefix('"""').split("\n", 1)[0].removesuffix('"""')
            click.echo(f"{each:<14} {first}")
        return 0
    if name not in known:
        raise click.UsageError(f"No benchmark {name!r}. Benchmarks: {', '.join(known)}.")
    path = known[name]
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(f"handbook_bench_{name}", path)
    if spec is None or spec.loader is None:
        raise HandbookError(f"The benchmark {path} can't be loaded.", "Reinstall the handbook.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    result = module.main(list(arguments))
    return result if isinstance(result, int) else 0
