"""The Chat seam: one small protocol, three classes behind it.

`LocalChat` runs the handbook's own engine in this process, `HttpChat` asks any OpenAI-compatible server,
`ScriptedChat` says what it was told to (tests, demonstrations). No torch is imported here at module level.

Book: architectures/transformer-deep-dive
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from handbook.records import Message


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn. temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 switch those filters off."""

    max_tokens: int = 256
    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and seconds of one reply. A remote server's times are measured from here."""

    prompt_tokens: int
    completion_tokens: int
    prefill_seconds: float
    decode_seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.completion_tokens / self.decode_seconds if self.decode_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply. The last one carries the usage (and usually no text)."""

    text: str
    usage: Usage | None = None


class Chat(Protocol):
    """Anything that answers a conversation. Raises ChatError when it can't."""

    @property
    def name(self) -> str: ...

    def stream(self, messages: Sequence[Message], sampling: Sampling = Sampling()) -> Iterator[Delta]: ...  # noqa: B008
