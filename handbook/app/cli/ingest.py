"""`handbook ingest`: folders, files and pages into a corpus of one's own, to be asked like the book."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handbook.app.cli.output import json_option, print_json, progress, shown
from handbook.errors import CorpusError
from handbook.settings import load

if TYPE_CHECKING:
    from handbook.rag.corpora import Corpora, Item
    from handbook.rag.jobs import Ingestion, Progress
    from handbook.rag.planning import Plan, Source

SHOWN = 20  # lines about documents that the terminal shows; --report has all
DOING = {
    "": "beginning",
    "plan": "looking at what has changed",
    "embed": "reading and embedding",
    "remove": "removing what is gone",
    "index": "putting the index in order",
}


@click.command("ingest")
@click.argument("sources", nargs=-1, required=True, metavar="PATH|URL...")
@click.option(
    "--corpus", "name", metavar="NAME", help="Corpus to put it into; by default named as the first."
)
@click.option("--title", default="", help="What a new corpus is called on pages.")
@click.option(
    "--method",
    type=click.Choice(["markdown", "recursive", "sentences", "fixed", "semantic"]),
    help="How a new corpus cuts its documents into chunks.  [default: markdown]",
)
@click.option("--limit", type=click.IntRange(20, 2000), help="Tokens of a chunk, at most.  [default: 200]")
@click.option("--overlap", type=click.IntRange(0), help="Tokens that a chunk shares with the one before.")
@click.option("--dry-run", is_flag=True, help="Say what there is to do, and do nothing.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what was lost of each document to this file.",
)
@json_option
def ingest_command(
    sources: tuple[str, ...],
    name: str | None,
    title: str,
    method: str | None,
    limit: int | None,
    overlap: int | None,
    dry_run: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Make folders, files and pages of the web part of a corpus of your own; then ask it:
    `handbook ask --corpus NAME "..."`.

    PDF, HTML, DOCX, Markdown, text, CSV and notebooks. Called again it reads only what is new or has changed,
    and removes what is gone. Ctrl-C stops it; what was done stands.

    Exit code 1 when no document could be read.
    """
    from handbook.rag.planning import named

    given = [named(source) for source in sources]
    cutting = {"method": method, "limit": limit, "overlap": overlap}
    with opened() as (corpora, ingestion):
        name, there = _named(corpora, name, given)
        if there:
            _as_it_is_cut(corpora, name, cutting)
        if dry_run:
            from handbook.rag.jobs import look

            _say_plan(name, look(corpora, name if there else None, given), as_json)
            return 0
        if not there:
            more: dict[str, Any] = {key: value for key, value in cutting.items() if value is not None}
            corpora.create(name, title, **more)
        try:
            id = ingestion.start(name, [source.name for source in given])
        except BaseException:
            if not there:
                corpora.delete(name)
            raise
        return follow(corpora, ingestion, id, report, as_json)


@contextmanager
def opened() -> "Iterator[tuple[Corpora, Ingestion]]":
    """The corpora of the data folder, and what ingests into them."""
    from handbook.database import open_database
    from handbook.embed import open_embedder
    from handbook.rag.corpora import Corpora
    from handbook.rag.jobs import Ingestion

    settings = load()
    database = open_database(settings)
    try:
        corpora = Corpora(settings, database, open_embedder(settings))
        with Ingestion(corpora) as ingestion:
            yield corpora, ingestion
    finally:
        database.close()


def _named(corpora: "Corpora", name: str | None, given: "Sequence[Source]") -> tuple[str, bool]:
    """Which corpus is meant, and whether it is there. Without a name: that of the first source, unless it is
    taken by a corpus of other things."""
    from handbook.rag.corpora import checked_name, suggested_name

    there = {about.name: about for about in corpora.all()}
    if name is not None:
        return checked_name(name), name in there
    name = suggested_name(given[0])
    if name in there and given[0] not in there[name].sources:
        raise click.UsageError(
            f"There is a corpus {name!r} already, of other sources. `--corpus {name}` adds to it, "
            "`--corpus OTHER` makes another."
        )
    return name, name in there


def _as_it_is_cut(corpora: "Corpora", name: str, cutting: dict[str, Any]) -> None:
    """A corpus is cut in one way for good."""
    is_cut = corpora.cutting(name)
    other = [
        f"--{key} {value}"
        for key, value in cutting.items()
        if value is not None and value != getattr(is_cut, key)
    ]
    if other:
        raise click.UsageError(
            f"The corpus {name!r} is cut by {is_cut.method}, {is_cut.limit} tokens with {is_cut.overlap} "
            f"shared; {' '.join(other)} is for a new one. `handbook corpora delete {name}` makes room for it."
        )


def follow(corpora: "Corpora", ingestion: "Ingestion", id: str, report: Path | None, as_json: bool) -> int:
    """Show how an ingestion goes on until it ends, and what became of it. Ctrl-C stops it."""
    with progress("Ingest") as advance:

        def watch(now: "Progress") -> None:
            advance(now.done, now.total, _doing(now))

        try:
            ended = ingestion.wait(id, watch)
        except KeyboardInterrupt:
            advance(0, None, "stopping")
            ingestion.stop(id)
            ended = ingestion.wait(id)
    name = ended.corpus
    items = [item for item in corpora.documents(name) if ended.at is None or item.at >= ended.at]
    worth = [item for item in items if item.fault or item.lost]
    if report is not None:
        report.write_text("".join(_lines(item) for item in worth), encoding="utf-8")
    if ended.state == "failed":
        raise CorpusError(
            f"The ingestion failed: {ended.note}", f"Then go on with `handbook corpora resume {name}`."
        )
    if as_json:
        values = {**progress_json(ended), "documents": [item_json(item) for item in worth]}
        print_json("handbook.ingest/1", values)
    else:
        _say(ended, worth, report)
    if ended.state != "done":
        return 130
    return 0 if corpora.about(name).chunks else 1


def _doing(now: "Progress") -> str:
    doing = DOING[now.stage]
    if now.state == "waiting":
        return now.note
    if not sys.stderr.isatty():
        return doing
    if now.stage == "embed":
        return f"{now.done:,} of about {now.total or now.done:,} chunks"
    return f"{doing}: {now.done:,}" if now.done else doing


def _say(ended: "Progress", worth: "Sequence[Item]", report: Path | None) -> None:
    counts = ended.counts
    parts = [f"{counts.get(what, 0):,} {say}" for what, say in _PARTS if counts.get(what)]
    click.echo(f"{ended.corpus}: {', '.join(parts) or 'nothing to do'} ({ended.seconds:.1f} s)")
    if ended.note and ended.state == "done":
        click.echo(f"  {shown(ended.note)}")
    told = [line for line in ended.faults if not any(line.startswith(f"{item.source}: ") for item in worth)]
    for line in told[:SHOWN]:
        click.echo(f"  {shown(line)}")
    for item in worth[:SHOWN]:
        click.echo("".join(f"  {line}\n" for line in _lines(item).splitlines()), nl=False)
    if len(worth) > SHOWN:
        more = f"`--report FILE` or `handbook corpora show {ended.corpus}` has them all."
        click.echo(f"  and {len(worth) - SHOWN:,} documents more of which something was lost; {more}")
    if report is not None:
        click.echo(f"Written: {report}")
    if ended.state == "stopped":
        click.echo(
            f"Stopped. What was done stands; `handbook corpora resume {ended.corpus}` goes on.", err=True
        )


_PARTS = (
    ("new", "new"),
    ("changed", "changed"),
    ("same", "the same"),
    ("gone", "gone"),
    ("unreadable", "could not be read"),
    ("lossy", "read in part"),
    ("chunks", "chunks"),
)


def _lines(item: "Item") -> str:
    """A document in a report: what it is, then a line for each thing that was lost."""
    said = [f"can't be read: {item.fault}"] if item.fault else [f"lost: {line}" for line in item.lost]
    return "".join(f"{shown(line)}\n" for line in (item.source, *(f"    {line}" for line in said)))


def progress_json(ended: "Progress") -> dict[str, Any]:
    return {
        "corpus": ended.corpus,
        "id": ended.id,
        "state": ended.state,
        "stage": ended.stage,
        "done": ended.done,
        "total": ended.total,
        "note": ended.note,
        "counts": dict(ended.counts),
        "faults": list(ended.faults),
        "seconds": ended.seconds,
    }


def item_json(item: "Item") -> dict[str, Any]:
    values = {field: getattr(item, field) for field in item.__slots__}
    return {**values, "lost": list(item.lost), "at": item.at.isoformat()}


def _say_plan(name: str, made: "Plan", as_json: bool) -> None:
    reading = [todo.source for batch in made.batches for todo in batch]
    if as_json:
        values = {
            "corpus": name,
            "new": made.new,
            "changed": made.changed,
            "same": made.same,
            "bytes": made.bytes,
            "read": reading,
            "gone": list(made.gone),
            "unreadable": {source: reason for source, (_, reason) in made.faults.items()},
            "broken": list(made.broken),
            "skipped": made.skipped,
            "lines": list(made.lines),
        }
        print_json("handbook.ingest.plan/1", values)
        return
    click.echo(f"{name}: {made}")
    faults = [f"{source}: {reason}" for source, (_, reason) in made.faults.items()]
    for line in [*made.broken, *faults, *made.lines][: 2 * SHOWN]:
        click.echo(f"  {shown(line)}")
