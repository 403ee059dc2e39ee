"""The engine's playground: chat with the model, tokens as they come, with its speed."""

import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from handbook.app.web import events
from handbook.app.web.faults import wants
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import fields
from handbook.errors import HandbookError
from handbook.records import Message, Sampling, Usage
from handbook.settings import shown

router = APIRouter()
TURNS = 40
MAX_TOKENS = 1024


def conversation(form: dict[str, str]) -> list[Message]:
    """History and the new message. Raises HandbookError for anything that isn't a conversation."""
    try:
        turns = json.loads(form.get("history") or "[]")
        messages = [Message(turn["role"], str(turn["content"])) for turn in turns]
        "".join(message.content for message in messages).encode()  # half a surrogate pair is no text
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise HandbookError("The conversation so far can't be read.", "Start a new one.") from error
    if any(message.role not in ("user", "assistant") for message in messages):
        raise HandbookError("A conversation has turns of user and assistant only.", "Start a new one.")
    text = form.get("message", "").strip()
    if not text:
        raise HandbookError("Expected a message, got nothing.", "Type one.")
    return [*messages, Message("user", text)][-TURNS:]


def sampling(form: dict[str, str]) -> Sampling:
    """Raises HandbookError naming what is out of range."""
    try:
        temperature = float(form.get("temperature") or 0.7)
        max_tokens = int(form.get("max_tokens") or 256)
    except ValueError as error:
        raise HandbookError(f"Expected numbers for the settings: {error}.", "Correct them.") from error
    if not 0 <= temperature <= 2 or not 1 <= max_tokens <= MAX_TOKENS:
        raise HandbookError(
            f"Temperature goes from 0 to 2, the length from 1 to {MAX_TOKENS}; "
            f"got {temperature} and {max_tokens}.",
            "Correct them.",
        )
    return Sampling(max_tokens=max_tokens, temperature=temperature, top_p=0.95)


def speed(usage: Usage) -> str:
    return (
        f"{usage.completion_tokens} tokens at {usage.tokens_per_second:.1f} a second, after "
        f"{usage.prompt_tokens} tokens of prompt in {usage.prefill_seconds:.2f} s."
    )


def reply(shelf: Shelf, messages: list[Message], how: Sampling) -> Iterator[events.Event]:
    note = ""
    for delta in shelf.chat.stream(messages, how):
        if delta.text:
            yield "token", {"text": delta.text}
        if delta.usage:
            note = speed(delta.usage)
    yield "done", {"note": note}


def _page(request: Request, shelf: Shelf, turns: list[Message], note: str = "") -> Response:
    history = json.dumps([{"role": turn.role, "content": turn.content} for turn in turns])
    return show(
        request,
        "engine.html",
        {
            "book": shelf.book,
            "model": shelf.chat.name,
            "remote": shown(shelf.settings.chat_url or ""),
            "turns": turns,
            "history": history,
            "note": note,
            "machine": shelf.machine.label,
            "max_tokens": MAX_TOKENS,
        },
    )


@router.get("/engine")
def page(request: Request) -> Response:
    return _page(request, shelf_of(request), [])


@router.post("/engine/chat")
def chat(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Streamed to scripts; a whole page to a form."""
    shelf = shelf_of(request)
    messages, how = conversation(form), sampling(form)
    if wants(request) == "json":
        return events.stream(request, reply(shelf, messages, how))
    said = list(reply(shelf, messages, how))
    text = "".join(data["text"] for name, data in said if name == "token")
    return _page(request, shelf, [*messages, Message("assistant", text)], said[-1][1]["note"])
