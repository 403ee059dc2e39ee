"""`handbook corpora`: which there are, what is in them, and all that can be done with one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handbook.app.cli.ingest import follow, item_json, opened, progress_json
from handbook.app.cli.output import json_option, print_json, shown
from handbook.errors import CorpusError

if TYPE_CHECKING:
    from handbook.rag.corpora import About
    from handbook.rag.jobs import Progress

report_option = click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what was lost of each document to this file.",
)


@click.group("corpora", invoke_without_command=True)
@json_option
@click.pass_context
def corpora_command(context: click.Context, as_json: bool) -> None:
    """List your own corpora; show, update and delete them. `handbook ingest` makes one."""
    if context.invoked_subcommand is None:
        context.invoke(list_corpora, as_json=as_json)
    elif as_json:
        raise click.UsageError(f"Give --json after {context.invoked_subcommand}.")


@corpora_command.command("list")
@json_option
def list_corpora(as_json: bool) -> None:
    """The corpora that there are."""
    with opened() as (corpora, ingestion):
        found = [(about, ingestion.latest(about.name)) for about in corpora.all()]
    if as_json:
        print_json("handbook.corpora/1", {"corpora": [about_json(*one) for one in found]})
        return
    for about, latest in found:
        state = "" if latest is None or latest.state in ("done", "replaced") else f"  ({latest.state})"
        click.echo(
            f"{about.name:<24} {about.documents:>7,} documents {about.chunks:>8,} chunks  "
            f"{shown(about.title)}{state}"
        )
    if not found:
        click.echo("There is no corpus yet. `handbook ingest FOLDER` makes one of your own documents.")


@corpora_command.command("show")
@click.argument("name")
@click.option("--all", "everything", is_flag=True, help="Also documents of which nothing was lost.")
@json_option
def show_corpus(name: str, everything: bool, as_json: bool) -> None:
    """What a corpus is made of, what was lost of its documents, and what its readers said of the answers."""
    from handbook.database import open_database
    from handbook.settings import load

    with opened() as (corpora, ingestion):
        about, latest = corpora.about(name), ingestion.latest(name)
        items = corpora.documents(name)
        versions = corpora.versions(name)
    database = open_database(load())
    try:
        signals = database.signal_counts(name)
    finally:
        database.close()
    if as_json:
        values = {
            "corpus": about_json(about, latest),
            "documents": [item_json(item) for item in items],
            "versions": [{"number": v.number, "at": v.at.isoformat(), "live": v.live} for v in versions],
            "signals": signals,
        }
        print_json("handbook.corpora.show/1", values)
        return
    click.echo(f"{shown(about.title)} ({about.name})")
    click.echo(f"  {about.documents:,} documents, {about.chunks:,} chunks, {about.characters:,} characters")
    click.echo(f"  cut by {about.method} to {about.limit} tokens, embedded by {about.model}")
    for source in about.sources:
        click.echo(f"  {source.kind:<6} {shown(source.name)}")
    if about.fault:
        click.echo(f"  {about.fault}")
    if latest is not None and latest.state not in ("done", "replaced"):
        click.echo(shown(f"  ingestion: {latest.state}. {latest.note}".rstrip()))
    if signals:
        click.echo(
            "  " + ", ".join(f"{count:,} {_SIGNALS.get(kind, kind)}" for kind, count in signals.items())
        )
    for item in items:
        if item.fault:
            click.echo(f"{shown(item.source)}\n    can't be read: {shown(item.fault)}")
        elif item.lost or everything:
            click.echo(f"{shown(item.source)}  {item.chunks:,} chunks")
            for line in item.lost:
                click.echo(f"    lost: {shown(line)}")


_SIGNALS = {"cited": "citations opened", "helped": "answers that helped", "not_helped": "that did not"}


@corpora_command.command("update")
@click.argument("name")
@click.option("--anew", is_flag=True, help="Read and embed everything again, with the embedder that is set.")
@click.option("--retry", is_flag=True, help="Try again what could not be read, though it did not change.")
@report_option
@json_option
def update_corpus(name: str, anew: bool, retry: bool, report: Path | None, as_json: bool) -> int:
    """Look at all sources of a corpus again: read what is new or changed, remove what is gone."""
    with opened() as (corpora, ingestion):
        if anew:
            corpora.anew(name)
        if retry:
            corpora.retry(name)
        return follow(corpora, ingestion, ingestion.start(name), report, as_json)


@corpora_command.command("resume")
@click.argument("name")
@report_option
@json_option
def resume_corpus(name: str, report: Path | None, as_json: bool) -> int:
    """Go on with an ingestion that was stopped, killed or has failed, from where it was."""
    with opened() as (corpora, ingestion):
        corpora.about(name)
        latest = ingestion.latest(name)
        if latest is None or not (latest.resumable or latest.alive):
            raise CorpusError(
                f"No ingestion of {name!r} was left unfinished.",
                f"`handbook corpora update {name}` looks for changes.",
            )
        ingestion.resume(latest.id)
        return follow(corpora, ingestion, latest.id, report, as_json)


@corpora_command.command("stop")
@click.argument("name")
def stop_corpus(name: str) -> int:
    """Stop the ingestion of a corpus, in whichever process it runs. Exit code 1 when none runs."""
    with opened() as (corpora, ingestion):
        corpora.about(name)
        id = ingestion.running(name)
        if id is None:
            click.echo(f"No ingestion of {name} runs.")
            return 1
        ingestion.stop(id)
        ingestion.wait(id)
    click.echo(f"Stopped; `handbook corpora resume {name}` goes on.")
    return 0


@corpora_command.command("remove")
@click.argument("name")
@click.argument("sources", nargs=-1, required=True)
def remove_source(name: str, sources: tuple[str, ...]) -> None:
    """Take a folder, a file or a page out of a corpus, with all it brought. No file of yours is touched."""
    with opened() as (corpora, _):
        count = corpora.remove(name, sources)
    click.echo(f"Removed {count:,} documents from {name}.")


@corpora_command.command("rename")
@click.argument("name")
@click.argument("new")
def rename_corpus(name: str, new: str) -> None:
    """Give a corpus another name."""
    with opened() as (corpora, _):
        corpora.rename(name, new)
    click.echo(f"{name} is {new} now.")


@corpora_command.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
def delete_corpus(name: str, yes: bool) -> None:
    """Delete a corpus with its index and what was uploaded into it. No file of yours is touched."""
    with opened() as (corpora, _):
        about = corpora.about(name)
        if not yes:
            click.confirm(f"Delete {name} with {about.documents:,} documents?", abort=True)
        corpora.delete(name)
    click.echo(f"Deleted {name}.")


@corpora_command.command("rollback")
@click.argument("name")
@click.argument("version", type=int, required=False)
@json_option
def rollback_corpus(name: str, version: int | None, as_json: bool) -> None:
    """Make a corpus what it was at VERSION; without one, list those that it can go back to. The next update
    takes in what has changed since."""
    with opened() as (corpora, _):
        if version is not None:
            corpora.rollback(name, version)
        found = corpora.versions(name)
    if as_json:
        rows = [{"number": one.number, "at": one.at.isoformat(), "live": one.live} for one in found]
        print_json("handbook.corpora.rollback/1", {"corpus": name, "versions": rows})
    elif version is not None:
        click.echo(f"{name} is what it was at version {version}.")
    else:
        for one in found:
            click.echo(
                f"{one.number:>6}  {one.at.astimezone():%Y-%m-%d %H:%M:%S}{'  (now)' if one.live else ''}"
            )


def about_json(about: "About", latest: "Progress | None") -> dict[str, Any]:
    values: dict[str, Any] = {field: getattr(about, field) for field in about.__slots__}
    return {
        **values,
        "created": about.created.isoformat(),
        "changed": about.changed.isoformat(),
        "sources": [{"name": source.name, "kind": source.kind} for source in about.sources],
        "ingestion": None if latest is None else progress_json(latest),
    }
