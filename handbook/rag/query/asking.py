"""How this stage asks a chat model: one short reply, bounded, and nothing in it believed before it is
checked.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from handbook.chat import Chat
from handbook.errors import ChatError
from handbook.rag.query.english import content
from handbook.records import Message, Sampling

LONGEST = 2000  # characters of a reply that are read; then it is cut off, and the model stopped
SAMPLING = Sampling(max_tokens=160, temperature=0.0)


@dataclass(frozen=True, slots=True)
class Said:
    """What a chat model replied, and what it cost (calls, prompt_tokens, completion_tokens)."""

    text: str
    cost: Mapping[str, float] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """The reply's lines without numbers, dashes and quotes around them; empty ones left out."""
        stripped = (
            re.sub(r"^\s*(?:[-*\u2022]|\(?\d{1,2}[.):])\s+", "", line) for line in self.text.splitlines()
        )
        return [bare for line in stripped if (bare := line.strip().strip("\"'\u201c\u201d").strip())]


def say(chat: Chat, task: str, given: str, sampling: Sampling = SAMPLING) -> Said:
    """The reply to a task over given text. Raises ChatError."""
    return _read(chat.stream([Message("system", task), Message("user", given)], sampling))


def say_json(
    chat: Chat, task: str, given: str, schema: Mapping[str, Any], sampling: Sampling = SAMPLING
) -> tuple[Any, Said]:
    """The reply as a value that the schema takes. A model that can be held to a schema (`handbook.chat`'s
    `Forming`) is; what any model sent is validated.

    Raises ChatError, also for a reply that is no JSON or that the schema refuses.
    """
    import jsonschema

    messages = [Message("system", task), Message("user", given)]
    form = getattr(chat, "form", None)
    if form is None:
        messages[0] = Message(
            "system", f"{task}\nReply with JSON alone, by this schema:\n{json.dumps(schema)}"
        )
        said = _read(chat.stream(messages, sampling))
    else:
        said = _read(form(messages, schema, sampling))
    try:
        value = json.loads(_braced(said.text))
        jsonschema.Draft202012Validator(dict(schema)).validate(value)
    except (ValueError, RecursionError) as error:
        raise ChatError(f"Expected JSON of the chat model, got {said.text[:60]!r}.") from error
    except jsonschema.ValidationError as error:
        raise ChatError(f"The chat model's JSON is not as asked: {error.message[:120]}.") from error
    return value, said


def quoted(name: str, text: str) -> str:
    """Text as data between tags that it can't close, and in which no other role can speak."""
    inner = re.sub(rf"<(?=/?\s*{name})", "< ", text, flags=re.IGNORECASE)
    inner = inner.replace("<|", "< |").replace("|>", "| >")
    return f"<{name}>\n{inner}\n</{name}>"


def foreign(text: str, sources: Sequence[str]) -> list[str]:
    """Content words of a text that none of the sources has: what a model added of its own."""
    had = {word for source in sources for word in content(source)}
    return [word for word in content(text) if word not in had]


def _read(pieces: Any) -> Said:
    text, cost = "", {"calls": 1.0}
    for delta in pieces:
        text += delta.text
        if delta.usage is not None:
            cost["prompt_tokens"] = float(delta.usage.prompt_tokens)
            cost["completion_tokens"] = float(delta.usage.completion_tokens)
        if len(text) > LONGEST:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
            break
    return Said(text[:LONGEST].strip(), cost)


def _braced(text: str) -> str:
    """From the first brace to the last: models like to put words or fences around JSON."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text
