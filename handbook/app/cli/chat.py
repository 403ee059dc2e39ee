"""`handbook chat`: a conversation in the terminal, tokens as they come, speed after each reply."""

import sys
from itertools import chain
from pathlib import Path

import click

from handbook.chat import Chat, open_chat
from handbook.records import Message, Sampling, Usage
from handbook.settings import load

HELP = "/new starts over, /undo takes the last turn back, /quit (or Ctrl-D) leaves."


@click.command("chat")
@click.argument("prompt", required=False)
@click.option("--model", help="A name, a path or a hub id; default: the one in the settings.")
@click.option("--url", help="Base URL of an OpenAI-compatible server to use instead.")
@click.option(
    "--adapter",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder of a LoRA adapter of the model, in peft's format.",
)
@click.option("--system", help="A system message.")
@click.option("--temperature", default=0.7, show_default=True, type=click.FloatRange(0, 2))
@click.option("--top-k", default=0, show_default=True, type=click.IntRange(0))
@click.option("--top-p", default=0.95, show_default=True, type=click.FloatRange(0, 1, min_open=True))
@click.option("--min-p", default=0.0, show_default=True, type=click.FloatRange(0, 1))
@click.option("--repetition-penalty", default=1.1, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--max-tokens", default=256, show_default=True, type=click.IntRange(1))
@click.option("--seed", type=int, help="The same seed gives the same reply.")
def chat_command(
    prompt: str | None,
    model: str | None,
    url: str | None,
    adapter: Path | None,
    system: str | None,
    **options: float,
) -> int:
    """Chat with the built-in model, or with the one you set. With PROMPT: one reply, then exit."""
    chat = open_chat(load(model=model, chat_url=url), adapter)
    sampling = Sampling(**options)  # type: ignore[arg-type]
    start = [Message("system", system)] if system else []
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read().strip()
        if not prompt:
            raise click.UsageError("Expected a prompt, got nothing on standard input.")
    if prompt is not None:
        reply(chat, [*start, Message("user", prompt)], sampling)
        return 0
    converse(chat, start, sampling)
    return 0


def reply(chat: Chat, messages: list[Message], sampling: Sampling) -> str:
    """Stream one reply to standard output and its speed to standard error; returns the text."""
    text, usage, waiting = "", None, sys.stderr.isatty()
    if waiting:  # the first reply loads the model, which takes seconds
        click.echo(click.style("Loading and reading...", dim=True), err=True, nl=False)
    try:
        deltas = chat.stream(messages, sampling)
        first = next(deltas, None)
    finally:
        if waiting:
            click.echo("\r\x1b[K", err=True, nl=False)
    for delta in chain([first] if first else [], deltas):
        click.echo(delta.text, nl=False)
        text += delta.text
        usage = delta.usage or usage
    click.echo()
    if usage:
        click.echo(click.style(speed(usage), dim=True), err=True)
    return text


def speed(usage: Usage) -> str:
    return (
        f"{usage.prompt_tokens} tokens read in {usage.prefill_seconds:.2f} s, "
        f"{usage.completion_tokens} written at {usage.tokens_per_second:.0f} tokens/s"
    )


def converse(chat: Chat, start: list[Message], sampling: Sampling) -> None:
    click.echo(click.style(f"{chat.name}. {HELP}", dim=True), err=True)
    messages = list(start)
    while True:
        try:
            said = click.prompt("you", prompt_suffix="> ", default="", show_default=False).strip()
        except click.Abort:
            return
        match said:
            case "":
                continue
            case "/quit":
                return
            case "/new":
                messages = list(start)
            case "/undo":
                del messages[max(len(start), len(messages) - 2) :]
            case _ if said.startswith("/"):
                click.echo(HELP, err=True)
            case _:
                messages.append(Message("user", said))
                try:
                    messages.append(Message("assistant", reply(chat, messages, sampling)))
                except KeyboardInterrupt:
                    messages.pop()
                    click.echo("\nStopped; that turn was taken back.", err=True)
