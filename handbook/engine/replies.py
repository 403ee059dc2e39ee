"""What is answered, in OpenAI's words: whole replies and the chunks of a stream."""

from collections.abc import Sequence
from itertools import accumulate
from secrets import token_hex
from time import time
from typing import Any, Protocol

from handbook.engine.asked import Likely, Piece
from handbook.engine.desk import Job
from handbook.engine.toolcalls import Reader
from handbook.model.tokenizer import Tokenizer

Json = dict[str, Any]


class Form(Protocol):
    """How one endpoint words a choice."""

    prefix: str
    operation: str  # as OpenTelemetry's conventions name it
    whole: str  # the names of its objects
    chunk: str

    def opening(self) -> Json | None:
        """What a choice's first chunk brings, before any text."""
        ...

    def part(self, choice: int, text: str, last: bool) -> Json:
        """Text in a chunk; last: the choice has ended."""
        ...

    def full(self, choice: int, text: str) -> Json:
        """All text of a choice."""
        ...

    def reason(self, choice: int, reason: str | None) -> str | None:
        """Why a choice ended, in this endpoint's words."""
        ...

    def logprobs(self, likely: Sequence[Likely], tokenizer: Tokenizer, offset: int) -> Json:
        """likely: of tokens that stand `offset` characters after the choice's beginning."""
        ...


class ChatForm:
    prefix, operation = "chatcmpl-", "chat"
    whole, chunk = "chat.completion", "chat.completion.chunk"

    def opening(self) -> Json | None:
        return {"delta": {"role": "assistant", "content": ""}}

    def part(self, choice: int, text: str, last: bool) -> Json:
        return {"delta": {"content": text} if text else {}}

    def full(self, choice: int, text: str) -> Json:
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def reason(self, choice: int, reason: str | None) -> str | None:
        return reason

    def logprobs(self, likely: Sequence[Likely], tokenizer: Tokenizer, offset: int) -> Json:
        def one(token: int, logprob: float) -> Json:
            text = tokenizer.token_text(token)
            whole = "\ufffd" not in text  # else it is part of a character
            return {
                "token": text,
                "logprob": finite(logprob),
                "bytes": list(text.encode()) if whole else None,
            }

        content = [
            {**one(each.token, each.logprob), "top_logprobs": [one(*other) for other in each.top]}
            for each in likely
        ]
        return {"content": content, "refusal": None}


class CallingForm(ChatForm):
    """A chat whose replies may call tools: the calls are taken out of the text. names: of the tools."""

    def __init__(self, names: Sequence[str], choices: int) -> None:
        self._readers = [Reader(names) for _ in range(choices)]

    def opening(self) -> Json | None:
        return {"delta": {"role": "assistant", "content": None}}

    def part(self, choice: int, text: str, last: bool) -> Json:
        words = ""
        calls: dict[int, Json] = {}
        for part in self._readers[choice].push(text, last):
            if part.call is None:
                words += part.text
            else:
                call = calls.setdefault(part.call, {"index": part.call, "function": {"arguments": ""}})
                if part.name is not None:
                    head = {"id": f"call_{token_hex(12)}", "type": "function"}
                    call |= {**head, "function": {"name": part.name, "arguments": ""}}
                call["function"]["arguments"] += part.text
        delta: Json = {"content": words} if words else {}
        return {"delta": {**delta, "tool_calls": list(calls.values())} if calls else delta}

    def full(self, choice: int, text: str) -> Json:
        delta = self.part(choice, text, True)["delta"]
        message = {"role": "assistant", "content": delta.get("content"), "refusal": None}
        for call in delta.get("tool_calls", ()):
            del call["index"]  # only streams number them
        return {"message": {**message, **{k: v for k, v in delta.items() if k == "tool_calls"}}}

    def reason(self, choice: int, reason: str | None) -> str | None:
        reader = self._readers[choice]
        called = reader.calls and not reader.within  # a stop string may stand in the midst of arguments
        return "tool_calls" if reason == "stop" and called else reason


class TextForm:
    prefix, operation = "cmpl-", "text_completion"
    whole = chunk = "text_completion"

    def opening(self) -> Json | None:
        return None

    def part(self, choice: int, text: str, last: bool) -> Json:
        return {"text": text}

    def full(self, choice: int, text: str) -> Json:
        return {"text": text}

    def reason(self, choice: int, reason: str | None) -> str | None:
        return reason

    def logprobs(self, likely: Sequence[Likely], tokenizer: Tokenizer, offset: int) -> Json:
        texts = [tokenizer.token_text(each.token) for each in likely]
        offsets = [*accumulate(map(len, texts), initial=offset)][:-1]
        tops = [
            {tokenizer.token_text(token): finite(logprob) for token, logprob in reversed(each.top)}
            for each in likely  # reversed: of two tokens of one text, the likelier stays
        ]
        return {
            "tokens": texts,
            "token_logprobs": [finite(each.logprob) for each in likely],
            "top_logprobs": tops,
            "text_offset": offsets,
        }


def finite(logprob: float) -> float:
    """OpenAI's word for impossible."""
    return max(logprob, -9999.0)


class Reply:
    """One job's answer, as it grows."""

    def __init__(self, form: Form, job: Job, model: str, tokenizer: Tokenizer, logprobs: bool) -> None:
        self.form, self.job, self.tokenizer, self.with_logprobs = form, job, tokenizer, logprobs
        self.head: Json = {"id": job.id, "object": form.chunk, "created": int(time()), "model": model}
        self.texts = [""] * job.choices
        self.likely: list[list[Likely]] = [[] for _ in range(job.choices)]
        self.reasons: list[str | None] = [None] * job.choices
        self._offsets = [0] * job.choices

    @property
    def complete(self) -> bool:
        """Whether every choice has been heard to its end."""
        return None not in self.reasons

    @property
    def ends(self) -> list[str | None]:
        """Why each choice ended, as clients are told; None where it goes on."""
        return [self.form.reason(choice, reason) for choice, reason in enumerate(self.reasons)]

    @property
    def failed(self) -> str | None:
        """The reason, when a choice did not end as it should."""
        return next((reason for reason in self.reasons if reason not in (None, "stop", "length")), None)

    def add(self, pieces: Sequence[tuple[int, Piece]]) -> list[int]:
        """Keep pieces; the choices that have something new, in order."""
        for choice, piece in pieces:
            self.texts[choice] += piece.text
            self.likely[choice] += piece.likely
            self.reasons[choice] = piece.reason or self.reasons[choice]
        return sorted({choice for choice, _ in pieces})

    def openings(self) -> list[Json]:
        opening = self.form.opening()
        if opening is None:
            return []
        return [self._choice(n, {**opening, "logprobs": None}, None) for n in range(self.job.choices)]

    def chunks(self, choices: Sequence[int]) -> list[Json]:
        """What these choices have new, which is then forgotten; of the text only its length is kept."""
        parts = [(n, self._part(n)) for n in choices]
        return [
            self._choice(n, part, self.ends[n])
            for n, part in parts
            if self.reasons[n] is not None or part["logprobs"] or part.get("delta", True)
        ]

    def full(self) -> Json:
        """The whole answer with its usage."""
        choices = [
            {
                "index": n,
                **self._take(n, self.form.full(n, self.texts[n])),
                "finish_reason": self.form.reason(n, self.reasons[n]),
            }
            for n in range(self.job.choices)
        ]
        return {**self.head, "object": self.form.whole, "choices": choices, "usage": self.job.usage}

    def _choice(self, index: int, content: Json, reason: str | None) -> Json:
        return {**self.head, "choices": [{"index": index, **content, "finish_reason": reason}]}

    def _part(self, n: int) -> Json:
        return self._take(n, self.form.part(n, self.texts[n], self.reasons[n] is not None))

    def _take(self, n: int, worded: Json) -> Json:
        logprobs = None
        if self.with_logprobs:
            logprobs = self.form.logprobs(self.likely[n], self.tokenizer, self._offsets[n])
            self._offsets[n] += sum(len(self.tokenizer.token_text(each.token)) for each in self.likely[n])
        content: Json = {**worded, "logprobs": logprobs}
        self.texts[n], self.likely[n] = "", []
        return content
