"""`handbook verify [chapter]`: the labs run again, each claim against its bound."""

import math
from typing import Any

import click

from handbook.app.cli.output import json_option, print_json, progress
from handbook.settings import load


@click.command("verify")
@click.argument("chapter", required=False)
@click.option("--write", is_flag=True, help="Record value, machine, date and command (implies --full).")
@click.option("--full", is_flag=True, help="The full settings; the small ones are the default.")
@json_option
def verify_command(chapter: str | None, write: bool, full: bool, as_json: bool) -> int:
    """Rerun the labs of CHAPTER (`part/slug` or slug; all chapters when not given) and compare.

    Exit code 1 when a claim does not hold.
    """
    from handbook.book.load import open_book
    from handbook.book.verify import verify

    book = open_book(load().book)
    found = _chapter(book, chapter)
    with progress("Measuring") as advance:
        outcomes = verify(book, found, small=not (full or write), write=write, progress=advance)
    failed = [item for item in outcomes if not item.holds and not item.skipped]
    skipped = [item for item in outcomes if item.skipped]
    if as_json:
        rows = [item.to_dict() for item in outcomes]
        counts = {
            "held": len(outcomes) - len(failed) - len(skipped),
            "failed": len(failed),
            "skipped": len(skipped),
        }
        print_json("handbook.verify/1", {"small": not (full or write), **counts, "outcomes": rows})
    else:
        for item in outcomes:
            verdict = "skipped" if item.skipped else "holds" if item.holds else "FAILS"
            click.echo(f"{verdict:<8} {item.claim.id:<36} {_figures(item)}  {item.reason or ''}".rstrip())
        held = len(outcomes) - len(failed) - len(skipped)
        click.echo(f"{held} held, {len(failed)} failed, {len(skipped)} skipped.")
    return 1 if failed else 0


def _chapter(book: Any, named: str | None) -> Any:
    if named is None:
        return None
    slug = named.rstrip("/").rsplit("/", 1)[-1].removesuffix(".md")
    if slug not in book.chapters:
        raise click.UsageError(f"No chapter {named!r}. Chapters: {', '.join(book.chapters)}.")
    return book.chapters[slug]


def _figures(item: Any) -> str:
    if math.isnan(item.value):
        return ""
    spread = "" if item.low == item.high else f" ({item.low:.4g} to {item.high:.4g})"
    return f"{item.value:.6g}{spread}, bound {item.claim.bound}"
