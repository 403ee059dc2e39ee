"""The Chat seam: one small protocol, three classes behind it.

`LocalChat` runs the handbook's own engine in this process, `HttpChat` asks any OpenAI-compatible server,
`ScriptedChat` says what it was told to (tests, demonstrations). No torch is imported here at module level.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from handbook.engine.trace import Recorder
from handbook.errors import ChatError
from handbook.records import Delta, Message, Sampling, Usage
from handbook.settings import shown, without

if TYPE_CHECKING:
    from pathlib import Path

    import openai
    from openai.types.chat import ChatCompletionChunk

    from handbook.engine.asked import Piece
    from handbook.engine.constrained import Constraint
    from handbook.engine.served import Served
    from handbook.settings import Settings

__all__ = [
    "Chat",
    "Delta",
    "Forming",
    "HttpChat",
    "LocalChat",
    "Sampling",
    "ScriptedChat",
    "Usage",
    "open_chat",
]

DEFAULT = Sampling()
CACHE = 256 << 20  # bytes, for all conversations of this process
ADAPTER = "adapter"  # what a conversation's own is called in the engine


class Chat(Protocol):
    """Anything that answers a conversation. Raises ChatError when it can't.

    Closing the iterator stops the reply.
    """

    @property
    def name(self) -> str: ...

    def stream(self, messages: Sequence[Message], sampling: Sampling = DEFAULT) -> Iterator[Delta]: ...


class Forming(Chat, Protocol):
    """A chat that can also be held to a form: what it replies is JSON that the schema takes, unless it ends
    early (max_tokens). Raises ChatError, also for a schema that can't be held to."""

    def form(
        self, messages: Sequence[Message], schema: Mapping[str, Any], sampling: Sampling = DEFAULT
    ) -> Iterator[Delta]: ...


def open_chat(settings: Settings, adapter: Path | None = None) -> Forming:
    """The chat model that the settings name: a server's where `chat_url` is set, else our own engine's.

    adapter: the folder of a LoRA adapter of that model. Nothing is loaded and no server is asked before the
    first message. Raises ChatError for an adapter and a server: it has its own, as models.
    """
    if settings.chat_url:
        if adapter is not None:
            raise ChatError(
                f"The adapter {adapter} is here, and {shown(settings.chat_url)} answers.",
                "Name a model of that server, or leave its URL away.",
            )
        return HttpChat(settings.chat_url, settings.model, settings.chat_key)
    return LocalChat(settings, adapter)


class ScriptedChat:
    """Says the given replies one after the other, word by word, and remembers what it was asked.

    A reply that is an exception is raised when its turn comes. Raises ChatError when no reply is left.
    """

    def __init__(self, replies: Sequence[str | Exception], name: str = "scripted") -> None:
        self.name = name
        self.replies = list(replies)
        self.asked: list[tuple[tuple[Message, ...], Sampling]] = []
        self.schemas: list[Mapping[str, Any]] = []  # that replies were to be held to

    def stream(self, messages: Sequence[Message], sampling: Sampling = DEFAULT) -> Iterator[Delta]:
        self.asked.append((tuple(messages), sampling))
        if len(self.asked) > len(self.replies):
            raise ChatError(
                f"The script has {len(self.replies)} replies and was asked {len(self.asked)} times.",
                "Give it another reply.",
            )
        return self._say(messages, self.replies[len(self.asked) - 1])

    def form(
        self, messages: Sequence[Message], schema: Mapping[str, Any], sampling: Sampling = DEFAULT
    ) -> Iterator[Delta]:
        """The next reply as it is, whatever the schema wants."""
        self.schemas.append(schema)
        return self.stream(messages, sampling)

    def _say(self, messages: Sequence[Message], reply: str | Exception) -> Iterator[Delta]:
        if isinstance(reply, Exception):
            raise reply
        words = re.findall(r"\s*\S+\s*$|\s*\S+", reply) or [reply]
        for word in words:
            yield Delta(word)
        read = sum(len(message.content.split()) for message in messages)
        yield Delta("", Usage(read, len(words), 0.0, 0.0))


class LocalChat:
    """The handbook's own engine, in this process: weights load at the first message. Replies are written side
    by side, and what a conversation has said already is not read again.

    adapter: the folder of a LoRA adapter of the model, which then speaks.

    Raises ModelUnavailable and ModelFileError where the model is not to be had, AdapterError for an adapter
    that isn't its, ChatError where it has no chat template, where the conversation is too long, and where too
    many wait.
    """

    def __init__(self, settings: Settings, adapter: Path | None = None) -> None:
        self.name = settings.model
        self._settings, self._adapter = settings, adapter
        self._loading = threading.Lock()
        self._served: Served | None = None
        self.recorder = Recorder()  # its last steps, for who looks

    def load(self) -> Served:
        """The engine in its thread, opened once."""
        with self._loading:
            if self._served is None:
                from handbook.engine.opened import load_adapters, open_engine
                from handbook.engine.served import Served
                from handbook.engine.work import Limits

                limits = Limits(running=16, queue=64)
                engine = open_engine(
                    self._settings.model,
                    self._settings,
                    self._settings.precision,
                    memory=CACHE,
                    limits=limits,
                    watch=self.recorder,
                )
                if self._adapter is not None:
                    load_adapters(engine, {ADAPTER: self._adapter})
                self.recorder.header = engine.header
                self._served = Served(engine)
            return self._served

    def stream(self, messages: Sequence[Message], sampling: Sampling = DEFAULT) -> Iterator[Delta]:
        served, prompt = self._read(messages)
        return _speak(served, prompt, sampling, self._spoken)

    def form(
        self, messages: Sequence[Message], schema: Mapping[str, Any], sampling: Sampling = DEFAULT
    ) -> Iterator[Delta]:
        served, prompt = self._read(messages)
        from handbook.engine.constrained import Vocabulary, json_schema
        from handbook.engine.schemas import BadGrammar

        loaded = served.engine.loaded
        try:
            vocabulary = Vocabulary.of(loaded.tokenizer, loaded.config.vocab_size)
            constraint = vocabulary.compile(json_schema(schema))
        except BadGrammar as error:
            raise ChatError(
                f"No reply can be held to this schema: {error}.", "Ask for a simpler one."
            ) from error
        return _speak(served, prompt, sampling, self._spoken, constraint)

    @property
    def _spoken(self) -> str | None:
        """What speaks: the adapter, where there is one."""
        return None if self._adapter is None else ADAPTER

    def _read(self, messages: Sequence[Message]) -> tuple[Served, list[int]]:
        """The engine, and the conversation as its tokens."""
        served = self.load()
        loaded = served.engine.loaded
        if loaded.template is None:
            raise ChatError(
                f"The model {self.name} has no chat template, so it can't tell turns apart.",
                "Choose an instruction-tuned model.",
            )
        prompt = loaded.template.encode(messages, loaded.tokenizer)
        if len(prompt) >= (room := loaded.config.context):
            raise ChatError(
                f"The conversation has {len(prompt):,} tokens; the model has room for {room:,}.",
                "Send a shorter one.",
            )
        return served, prompt


def _speak(
    served: Served,
    prompt: list[int],
    sampling: Sampling,
    adapter: str | None = None,
    constraint: Constraint | None = None,
) -> Iterator[Delta]:
    """A reply of the engine's, piece by piece. Closing it early takes the request back."""
    from handbook.engine.work import CannotServe, QueueFull

    id = uuid4().hex
    pieces: SimpleQueue[Piece] = SimpleQueue()
    try:
        told = served.ask(id, prompt, sampling, pieces.put, adapter=adapter, constraint=constraint).result()
    except CannotServe as error:
        raise ChatError(f"The engine can't serve this: {error}.", "Send a shorter conversation.") from error
    except QueueFull as error:
        raise ChatError(f"Too many replies are being written: {error}.", "Send it again later.") from error
    reason = None
    try:
        while reason is None:
            piece = pieces.get()
            reason = piece.reason
            if reason in ("error", "cancelled"):
                raise ChatError("The engine could not finish the reply.", "Send it again, or ask the log.")
            if reason is None:
                yield Delta(piece.text)
        yield Delta(piece.text, told.usage)
    finally:
        if reason is None:
            with suppress(QueueFull):  # the engine has been stopped, and nothing is left to cancel
                served.cancel(id)


class HttpChat:
    """Any OpenAI-compatible server, through the official `openai` client.

    Args:
        url: the base URL, as in `http://127.0.0.1:8000/v1`.
        model: the model's name on that server.
        key: an API key, where the server wants one.
        timeout: seconds that the server may stay silent; it has 5 seconds to take the call.

    top_k, min_p and repetition_penalty are no part of OpenAI's protocol. They are sent where they differ from
    their defaults, under the names that open servers use (vLLM, SGLang); a server that refuses them says so.
    Usage is the server's where it sends one. Otherwise completion_tokens counts the pieces that came, and
    prompt_tokens is 0: unknown from here.
    """

    def __init__(self, url: str, model: str, key: str | None = None, timeout: float = 120.0) -> None:
        self.name = model
        self.url = shown(url)
        self._address = url
        self._key = (key or "").strip()  # a line's end in it would be refused, and quoted, by the client
        self._timeout = timeout
        self._client: openai.OpenAI | None = None

    def stream(self, messages: Sequence[Message], sampling: Sampling = DEFAULT) -> Iterator[Delta]:
        return self._stream(messages, sampling, None)

    def form(
        self, messages: Sequence[Message], schema: Mapping[str, Any], sampling: Sampling = DEFAULT
    ) -> Iterator[Delta]:
        """As OpenAI's `response_format` asks for it; a server that doesn't know that may ignore it."""
        return self._stream(messages, sampling, schema)

    def _stream(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None
    ) -> Iterator[Delta]:
        import openai

        begin = perf_counter()
        try:
            yield from self._pieces(messages, sampling, schema, begin)
        except ChatError:
            raise
        except openai.OpenAIError as error:
            raise self._fault(error) from error
        except Exception as error:  # broken streams surface as errors of the client's HTTP or JSON library
            if "timeout" in type(error).__name__.lower():
                raise self._silence() from error
            raise ChatError(
                f"The reply of {self.url} broke off or is not in OpenAI's format ({self._brief(error)}).",
                "Check that chat_url is the base URL of an OpenAI-compatible server, then send it again.",
            ) from error

    def _pieces(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        schema: Mapping[str, Any] | None,
        begin: float,
    ) -> Iterator[Delta]:
        first = last = begin
        pieces = 0
        finished = False
        usage = None
        with self._create(messages, sampling, schema) as reply:
            for chunk in reply:
                if chunk.usage is not None:
                    usage = chunk.usage
                for choice in chunk.choices[:1]:
                    finished = finished or choice.finish_reason is not None
                    if text := choice.delta.content:
                        last = perf_counter()
                        first = first if pieces else last
                        pieces += 1
                        yield Delta(text)
        if not finished:
            raise ChatError(
                f"The reply of {self.url} broke off after {pieces} pieces.",
                "Send it again, or ask the server's log.",
            )
        yield Delta(
            "",
            Usage(
                prompt_tokens=usage.prompt_tokens if usage else 0,
                completion_tokens=usage.completion_tokens if usage else pieces,
                prefill_seconds=first - begin,
                decode_seconds=last - first,
            ),
        )

    def _create(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None
    ) -> openai.Stream[ChatCompletionChunk]:
        import openai

        if self._client is None:
            self._client = openai.OpenAI(
                base_url=self._address,
                api_key=self._key or "none",  # the client wants one; the environment's is another server's
                timeout=openai.Timeout(self._timeout, connect=5.0),
                max_retries=1,
            )
        standard: dict[str, Any] = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature}
        standard |= {
            key: value
            for key, value in (
                ("top_p", sampling.top_p if sampling.top_p != DEFAULT.top_p else None),
                ("seed", sampling.seed),
                ("stop", list(sampling.stop) or None),
                ("response_format", None if schema is None else _format(schema)),
            )
            if value is not None
        }
        extra = {
            key: value
            for key in ("top_k", "min_p", "repetition_penalty")
            if (value := getattr(sampling, key)) != getattr(DEFAULT, key)
        }
        create: Callable[..., openai.Stream[ChatCompletionChunk]] = self._client.chat.completions.create
        return create(
            model=self.name,
            messages=[{"role": message.role, "content": message.content} for message in messages],
            stream=True,
            stream_options={"include_usage": True},
            extra_body=extra or None,
            **standard,
        )

    def _silence(self) -> ChatError:
        return ChatError(
            f"{self.url} said nothing for {self._timeout:g} s.",
            "The server may still be loading the model; try again, or check it.",
        )

    def _fault(self, error: openai.OpenAIError) -> ChatError:
        import openai

        said = self._brief(error)
        match error:
            case openai.APITimeoutError():
                return self._silence()
            case openai.APIConnectionError():
                return ChatError(
                    f"Nothing answers at {self.url} ({self._brief(error.__cause__ or error)}).",
                    "Start the server, or correct chat_url.",
                )
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return ChatError(
                    f"{self.url} refused the key ({error.status_code}: {said}).",
                    "Set HANDBOOK_CHAT_KEY to a valid key.",
                )
            case openai.NotFoundError():
                return ChatError(
                    f"{self.url} knows no model {self.name!r}, or no chat at that address ({said}).",
                    "Correct `model` or chat_url in the settings; the base URL usually ends in /v1.",
                )
            case openai.RateLimitError():
                return ChatError(f"{self.url} takes no more for now ({said}).", "Wait, then send it again.")
            case openai.APIStatusError():
                return ChatError(
                    f"{self.url} answered {error.status_code} ({said}).",
                    "Read the server's message; its log says more.",
                )
            case _:
                return ChatError(f"{self.url} failed in its reply ({said}).", "Read the server's log.")

    def _brief(self, error: BaseException) -> str:
        """The first line of an error, at most 200 characters, without the key (servers quote it)."""
        body = getattr(error, "body", None)
        said = body.get("message") if isinstance(body, dict) else None
        lines = without(self._key, str(said or error)).strip().splitlines()
        return (lines[0][:200] if lines else type(error).__name__).rstrip(".")


def _format(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": dict(schema)}}
