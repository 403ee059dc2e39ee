"""`handbook ask` and `handbook search`."""

from pathlib import Path
from typing import Any

import click

from handbook.app.cli.output import json_option, print_json, progress
from handbook.app.cli.plain import plain
from handbook.records import Answer, Chunk, Hit
from handbook.settings import Settings, load


@click.command("ask")
@click.argument("question")
@click.option("--generate", is_flag=True, help="Also let the chat model answer from the cited passages.")
@click.option(
    "--adapter",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="With --generate: folder of a LoRA adapter of the model, in peft's format.",
)
@json_option
def ask_command(question: str, generate: bool, adapter: Path | None, as_json: bool) -> int:
    """Ask the book a QUESTION; the answer is made of cited passages.

    Exit code 1 when the book has no answer.
    """
    if not question.strip():
        raise click.UsageError('The question is empty. Example: handbook ask "What does the KV cache hold?"')
    if adapter is not None and not generate:
        raise click.UsageError("--adapter changes what the chat model says: give it with --generate.")
    tutor = _tutor(load(), with_chat=generate, adapter=adapter)
    answer = tutor.ask(question)
    generated = list(tutor.generate(question, answer)) if generate and not answer.refused else []
    sentences = [item for item in generated if hasattr(item, "citations")]
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
    return 1 if answer.refused else 0


def _tutor(settings: Settings, with_chat: bool, adapter: Path | None = None) -> Any:
    from handbook.book.load import open_book
    from handbook.chat import open_chat
    from handbook.embed import open_embedder
    from handbook.rag.own import open_corpus
    from handbook.tutor import Tutor

    embedder = open_embedder(settings)
    with progress("Index") as advance:
        corpus = open_corpus(open_book(settings.book), settings, embedder, advance)
    return Tutor(corpus, embedder, open_chat(settings, adapter) if with_chat else None)


def _print_answer(answer: Answer) -> None:
    if answer.refused:
        click.echo("The book does not answer this. The nearest passages:")
        for hit in answer.hits[:3]:
            click.echo(f"  {hit.chunk.title}  {hit.chunk.url}")
        return
    for sentence in answer.sentences:
        places = ", ".join(citation.chunk.url for citation in sentence.citations)
        click.echo(f"{plain(sentence.text)}\n    {places}")


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
