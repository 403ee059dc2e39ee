"""`handbook ask` and `handbook search`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handbook.app.cli.output import json_option, print_json, progress, shown
from handbook.app.cli.plain import plain
from handbook.records import Answer, Chunk, Hit, Sentence, Step
from handbook.settings import Settings, load

if TYPE_CHECKING:
    from handbook.tutor import Desk

LISTED = 5  # items of a list that a trace on the terminal shows


@click.command("ask")
@click.argument("question")
@click.option(
    "--corpus",
    default="book",
    show_default=True,
    metavar="NAME",
    help="Whom to ask: the book, a corpus of your own by its name, or `auto`.",
)
@click.option("--trace", is_flag=True, help="Also say what each stage did.")
@click.option("--generate", is_flag=True, help="Also let the chat model answer from the cited passages.")
@click.option(
    "--adapter",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="With --generate: folder of a LoRA adapter of the model, in peft's format.",
)
@json_option
def ask_command(
    question: str, corpus: str, trace: bool, generate: bool, adapter: Path | None, as_json: bool
) -> int:
    """Ask the book, or documents of your own, a QUESTION; the answer is made of cited passages.

    Exit code 1 when there is no answer.
    """
    if not question.strip():
        raise click.UsageError('The question is empty. Example: handbook ask "What does the KV cache hold?"')
    if adapter is not None and not generate:
        raise click.UsageError("--adapter changes what the chat model says: give it with --generate.")
    desk = _desk(load(), corpus, with_chat=generate, adapter=adapter)
    answer = desk.ask(question, corpus)
    generated = list(desk.generate(question, answer)) if generate and not answer.refused else []
    sentences = [item for item in generated if isinstance(item, Sentence)]
    if as_json:
        values = answer_json(answer)
        if generate:
            values["generated"] = [sentence_json(item) for item in sentences]
        print_json("handbook.ask/1", values)
    else:
        _print_answer(answer)
        if sentences:
            click.echo("\nGenerated from these passages:")
        for item in sentences:
            click.echo(f"  {plain(item.text)}{'' if item.supported else '  [unsupported]'}")
        if trace:
            print_steps(answer.steps)
    return 1 if answer.refused else 0


def _desk(settings: Settings, corpus: str, with_chat: bool, adapter: Path | None = None) -> "Desk":
    """What is asked, with no more opened than the question needs."""
    from handbook.chat import open_chat
    from handbook.embed import open_embedder
    from handbook.tutor import BOOK, Desk, Tutor, stages_of

    embedder = open_embedder(settings)
    chat = open_chat(settings, adapter) if with_chat else None

    @cache
    def book() -> Tutor:
        from handbook.book.load import open_book
        from handbook.rag.own import open_corpus

        with progress("Index") as advance:
            return Tutor(open_corpus(open_book(settings.book), settings, embedder, advance), embedder, chat)

    if corpus == BOOK:
        return Desk(book, chat=chat)
    from handbook.database import open_database
    from handbook.rag.corpora import Corpora

    corpora = Corpora(settings, open_database(settings), embedder)
    return Desk(book, corpora, chat, stages=stages_of(settings))


def _print_answer(answer: Answer) -> None:
    if answer.refused:
        who = "The book does" if answer.corpus == "book" else f"The corpus {answer.corpus} does"
        click.echo(f"{who} not answer this." + (" The nearest passages:" if answer.hits else ""))
        for hit in answer.hits[:3]:
            click.echo(f"  {shown(hit.chunk.title)}  {place(hit.chunk)}")
        return
    for sentence in answer.sentences:
        places = ", ".join(place(citation.chunk) for citation in sentence.citations)
        text = plain(sentence.text) if answer.corpus == "book" else shown(" ".join(sentence.text.split()))
        click.echo(f"{text}\n    {places}")
    for conflict in answer.conflicts:
        click.echo(shown(f"Sources disagree ({conflict.about}): {conflict.why}."))
        click.echo(f"    {place(conflict.one.chunk)}, {place(conflict.other.chunk)}")


def place(chunk: Chunk) -> str:
    """Where a person finds a passage: its address in the book, or its document."""
    return shown(chunk.document) if chunk.kind == "document" else chunk.url


def print_steps(steps: Sequence[Step]) -> None:
    """What each stage did, a paragraph each: what it received and produced, passages as a short list."""
    for step in steps:
        cost = "".join(f", {name} {value:.4g}" for name, value in step.cost.items())
        note = f"  {step.note}" if step.note else ""
        click.echo(f"\n{click.style(step.stage, bold=True)}  {1000 * step.seconds:.1f} ms{cost}{note}")
        for direction, values in (("in", step.received), ("out", step.produced)):
            for name, value in values.items():
                for line in lines_of(value):
                    click.echo(f"  {direction:>3}  {name}: {shown(line)}")


def lines_of(value: object) -> list[str]:
    """A value of a step in lines: a list's items one by one, the first of them."""
    if isinstance(value, list):
        listed = [line for item in value[:LISTED] for line in lines_of(item)]
        return listed + ([f"and {len(value) - LISTED} more"] if len(value) > LISTED else [])
    if isinstance(value, Mapping):
        return [", ".join(f"{name} {item}" for name, item in value.items() if name not in ("id", "url"))]
    return [f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())]


def place_json(chunk: Chunk) -> dict[str, Any]:
    return {
        "chapter": chunk.document,
        "anchor": chunk.anchor,
        "title": chunk.title,
        "url": chunk.url,
        "kind": chunk.kind,
    }


def sentence_json(sentence: Any) -> dict[str, Any]:
    cited = [
        {**place_json(item.chunk), "text": item.chunk.text, "score": item.score}
        for item in sentence.citations
    ]
    return {"text": sentence.text, "supported": sentence.supported, "citations": cited}


def hit_json(hit: Hit) -> dict[str, Any]:
    scores = {"score": hit.score, "dense": hit.dense, "lexical": hit.lexical}
    return {**place_json(hit.chunk), "text": hit.chunk.text, **scores}


def answer_json(answer: Answer) -> dict[str, Any]:
    """The shape of `handbook ask --json` (docs/json.md)."""
    return {
        "question": answer.question,
        "answer": answer.text,
        "refused": answer.refused,
        "confidence": answer.confidence,
        "sentences": [sentence_json(item) for item in answer.sentences],
        "hits": [hit_json(item) for item in answer.hits],
        "timings": dict(answer.timings),
        "corpus": answer.corpus,
        "conflicts": [
            {
                "about": item.about,
                "why": item.why,
                "between": [place_json(item.one.chunk), place_json(item.other.chunk)],
            }
            for item in answer.conflicts
        ],
        "steps": [asdict(step) for step in answer.steps],
    }


@click.command("search")
@click.argument("text")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100))
@json_option
def search_command(text: str, limit: int, as_json: bool) -> int:
    """Search book, questions and code for TEXT. Exit code 1 when nothing is found."""
    from handbook.book.load import open_book
    from handbook.rag.own import open_corpus

    settings = load()
    hits = open_corpus(open_book(settings.book), settings).search(text, limit)
    if as_json:
        print_json("handbook.search/1", {"query": text, "hits": [hit_json(item) for item in hits]})
    else:
        for hit in hits:
            click.echo(f"{hit.chunk.kind:<9}  {hit.chunk.title}\n           {hit.chunk.url}")
        if not hits:
            click.echo("Nothing found.")
    return 0 if hits else 1
