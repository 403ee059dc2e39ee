"""The Chat seam: one small protocol, three classes behind it.

`LocalChat` runs the handbook's own engine in this process, `HttpChat` asks any OpenAI-compatible server,
`ScriptedChat` says what it was told to (tests, demonstrations). No torch is imported here at module level.

Book: architectures/transformer-deep-dive
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from handbook.records import Message, Sampling, Usage

__all__ = ["Chat", "Delta", "Sampling", "Usage"]


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply. The last one carries the usage (and usually no text)."""

    text: str
    usage: Usage | None = None


class Chat(Protocol):
    """Anything that answers a conversation. Raises ChatError when it can't."""

    @property
    def name(self) -> str: ...

    def stream(self, messages: Sequence[Message], sampling: Sampling = Sampling()) -> Iterator[Delta]: ...
