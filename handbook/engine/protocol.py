"""What clients may ask, in OpenAI's words. `reading` makes these out of what they send."""

from typing import Annotated, Literal

from pydantic import Field

from handbook.engine.fields import Body, Choices, Content, Expression, Prompts, Stop, Texts, Written
from handbook.engine.forms import Called, Format, NamedTool, ResponseFormat, StructuredOutputs, ToolSpec
from handbook.engine.refused import Fault
from handbook.records import Message, Role, Sampling


class StreamOptions(Body):
    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None  # open servers': with each chunk, as far as it has got
    include_obfuscation: bool | None = None  # hides lengths on the wire from eavesdroppers: none on loopback


class Turn(Body):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: str | None = None  # no template takes it
    refusal: None = None
    tool_calls: list[Called] | None = None
    tool_call_id: str | None = None

    @property
    def message(self) -> Message:
        role: Role = "system" if self.role == "developer" else self.role
        calls = tuple(call.call for call in self.tool_calls or ())
        return Message(role, self.content or "", calls, self.tool_call_id or "")

    def faults(self) -> list[Fault]:
        found = []
        if self.content is None and not self.tool_calls:
            found.append(Fault("content", "Field required"))
        if self.tool_calls and self.role != "assistant":
            found.append(Fault("tool_calls", "only an assistant calls tools"))
        if (self.tool_call_id is not None) != (self.role == "tool"):
            found.append(Fault("tool_call_id", "goes with role tool, and has to"))
        for index, call in enumerate(self.tool_calls or ()):
            found += [Fault(f"tool_calls.{index}.{fault.field}", fault.what) for fault in call.faults()]
        return found


class Drawn(Body):
    """What chat and completions share: how tokens are drawn, and in which form they come."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Stop | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None  # 0 and -1: all
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: (
        Annotated[
            dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]],
            Field(max_length=1024),
        ]
        | None
    ) = None
    ignore_eos: bool | None = None  # open servers': the model's own stop tokens end nothing
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None  # vLLM's, as what follows, by its older names
    guided_json: Written | None = None
    guided_regex: Expression | None = None
    guided_choice: Choices | None = None
    guided_grammar: Expression | None = None

    @property
    def samples(self) -> int:
        return self.n or 1

    @property
    def with_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def counting(self) -> bool:
        """Whether each chunk tells the usage so far."""
        return self.with_usage and bool(self.stream_options and self.stream_options.continuous_usage_stats)

    @property
    def asked(self) -> int | None:
        """Tokens to draw at most, where the client says it."""
        return self.max_tokens

    @property
    def most(self) -> int | None:
        """Likewise, or what is usual at this endpoint; None for as many as there is room for."""
        return self.asked

    @property
    def likeliest(self) -> int | None:
        """How many likeliest tokens to tell of each place; None for no log-probabilities at all."""
        return None

    def sampling(self, max_tokens: int) -> Sampling:
        """OpenAI's defaults: temperature 1, nothing filtered."""
        return Sampling(
            max_tokens=max_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            top_k=max(self.top_k or 0, 0),
            min_p=self.min_p or 0.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            seed=self.seed,
            stop=tuple(self.stop or ()),
        )

    @property
    def formats(self) -> list[Format]:
        """What the text is to be kept to; `faults` lets no more than one through."""
        found = []
        if self.guided_json is not None:
            found.append(Format("guided_json", "json", self.guided_json))
        if self.guided_regex is not None:
            found.append(Format("guided_regex", "regex", self.guided_regex))
        if self.guided_choice is not None:
            found.append(Format("guided_choice", "choice", self.guided_choice))
        if self.guided_grammar is not None:
            found.append(Format("guided_grammar", "grammar", self.guided_grammar))
        if self.structured_outputs is not None:
            found += self.structured_outputs.formats
        if self.response_format is not None:
            found += self.response_format.formats
        return found

    def faults(self) -> list[Fault]:
        found = []
        if self.stream_options is not None and not self.stream:
            found.append(Fault("stream_options", "only goes with stream"))
        if self.response_format is not None:
            found += self.response_format.faults()
        formats = self.formats
        if len(formats) > 1:
            names = ", ".join(one.field for one in formats)
            found.append(Fault(formats[-1].field, f"a text is kept to one form; there are {names}"))
        if formats and self.ignore_eos:
            found.append(Fault("ignore_eos", f"doesn't go with {formats[0].field}, which ends the text"))
        return found


class ChatBody(Drawn):
    messages: Annotated[list[Turn], Field(min_length=1)]
    tools: Annotated[list[ToolSpec], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    @property
    def asked(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def likeliest(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None

    def faults(self) -> list[Fault]:
        found = super().faults() + self._tool_faults()
        if self.top_logprobs is not None and not self.logprobs:
            found.append(Fault("top_logprobs", "only goes with logprobs"))
        if None not in (both := (self.max_tokens, self.max_completion_tokens)) and both[0] != both[1]:
            found.append(Fault("max_tokens", "differs from max_completion_tokens; give one of them"))
        return found

    @property
    def callable(self) -> list[ToolSpec]:
        """The tools that the reply may call, or has to."""
        if self.tool_choice == "none":
            return []
        name = self.tool_choice.function.name if isinstance(self.tool_choice, NamedTool) else None
        return [tool for tool in self.tools or () if name in (None, tool.function.name)]

    def _tool_faults(self) -> list[Fault]:
        found = []
        names = [tool.function.name for tool in self.tools or ()]
        for index, name in enumerate(names):
            if name in names[:index]:
                found.append(Fault(f"tools.{index}.function.name", f"there are two tools named {name!r}"))
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in names:
            found.append(Fault("tool_choice.function.name", "there is no such tool in tools"))
        elif self.tool_choice == "required" and not names:
            found.append(Fault("tool_choice", "only goes with tools"))
        if self.callable:
            found += [
                Fault(one.field, "doesn't go with tools; response_format does")
                for one in self.formats
                if not one.field.startswith("response_format")
            ]
            if self.ignore_eos:
                found.append(Fault("ignore_eos", "doesn't go with tools"))
        asked: set[str] = set()
        for index, turn in enumerate(self.messages):
            found += [Fault(f"messages.{index}.{fault.field}", fault.what) for fault in turn.faults()]
            asked |= {call.id for call in turn.tool_calls or ()}
            if turn.role == "tool" and turn.tool_call_id is not None and turn.tool_call_id not in asked:
                found.append(Fault(f"messages.{index}.tool_call_id", "no call before it has this id"))
        return found


class TextBody(Drawn):
    prompt: Prompts
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    @property
    def most(self) -> int:
        return self.max_tokens or 16  # OpenAI's default

    @property
    def likeliest(self) -> int | None:
        return self.logprobs


class EmbeddingsBody(Body):
    model: str
    input: Texts
    encoding_format: Literal["float", "base64"] | None = None

    def faults(self) -> list[Fault]:
        if not isinstance(self.input[0], str):
            return [Fault("input", "token ids can't be embedded here; send texts")]
        if len(self.input) > 2048:
            return [Fault("input", f"2,048 texts at most, got {len(self.input):,}")]
        return []
