"""Chat templates: a list of messages becomes the one text that the model was trained to continue.

Templates come with the model's files, so they are somebody else's program: they run in Jinja's sandbox, which
gives them no way to files, modules or attributes with underscores. What users write is data to them, and
stays it: `encode` keeps `<|im_end|>` in a message from ending the turn.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from handbook.errors import ChatError, ModelFileError
from handbook.model.tools import Json, described, in_words, turns_of
from handbook.records import Message, Tool

if TYPE_CHECKING:
    from handbook.model.tokenizer import Tokenizer


class GenerationTag(Extension):
    """`{% generation %}` marks the assistant's words for training; here it shows what it encloses."""

    tags = {"generation"}  # noqa: RUF012 (as the base class has it)

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A model's template.

    Args:
        source: Jinja, as in `chat_template`.
        tokens: text of the tokens that templates name: bos_token, eos_token.

    Raises ModelFileError for a template that is not valid Jinja.
    """

    def __init__(self, source: str, tokens: Mapping[str, str] | None = None) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, GenerationTag]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        try:
            self._template = environment.from_string(source)
            self._variables = find_undeclared_variables(environment.parse(source))
        except TemplateError as error:
            raise ModelFileError(
                f"The chat template is not valid Jinja: {error}.", "Fetch the model again."
            ) from error
        self.source, self._tokens = source, dict(tokens or {})

    @property
    def takes_tools(self) -> bool:
        """Whether it has words of its own for tools."""
        return "tools" in self._variables

    def render(
        self, messages: Sequence[Message], add_generation_prompt: bool = True, tools: Sequence[Tool] = ()
    ) -> str:
        """The conversation as text; with add_generation_prompt it ends where the model's turn begins.

        tools: what the model may call; a template without words for them is helped out by `in_words`. Raises
        ChatError when the template refuses the messages (roles that do not alternate, for one).
        """
        return self._render(*self._given(messages, tools), add_generation_prompt)

    def _given(self, messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[list[Json], list[Json]]:
        """Turns and tools, as templates want them."""
        if not self.takes_tools:
            messages, tools = in_words(messages, tools), ()
        return turns_of(messages), [described(tool) for tool in tools]

    def _render(self, turns: list[Json], tools: list[Json], add_generation_prompt: bool) -> str:
        more: Json = {"tools": tools} if tools else {}
        try:
            return self._template.render(
                messages=turns, add_generation_prompt=add_generation_prompt, **self._tokens, **more
            )
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise ChatError(
                f"The model's chat template does not take this conversation: {error}.",
                "Send system first, then user and assistant in turn.",
            ) from error

    def encode(
        self,
        messages: Sequence[Message],
        tokenizer: "Tokenizer",
        add_generation_prompt: bool = True,
        tools: Sequence[Tool] = (),
    ) -> list[int]:
        """`render`, as token ids. Special tokens come from the template only: their names in a message or a
        tool stay text."""
        guarded = Guarded(self, messages, tokenizer, tools)
        return guarded.encode(guarded.text(len(messages), add_generation_prompt))


class Guarded:
    """A conversation as text that may be cut anywhere and encoded: names of special tokens in messages and
    tools carry a mark, so that they stay text.

    `mark` is in no text of the conversation; empty where none holds such a name.
    """

    def __init__(
        self,
        template: ChatTemplate,
        messages: Sequence[Message],
        tokenizer: "Tokenizer",
        tools: Sequence[Tool] = (),
    ) -> None:
        self._template, self._messages, self._tokenizer, self._tools = template, messages, tokenizer, tools
        self._names = _any_of(tokenizer.special_tokens)
        texts = list(_texts(template._given(messages, tools)))
        self.mark = _unused_character(texts) if any(map(self._names.search, texts)) else ""

    def text(self, count: int, add_generation_prompt: bool = True) -> str:
        """`render` of the first `count` messages, with marks."""
        given = self._template._given(self._messages[:count], self._tools)
        if self.mark:
            given = _marked(given, self._names, self.mark)
        return self._template._render(*given, add_generation_prompt)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, or of a part of one; marks are taken out."""
        if not self.mark:
            return self._tokenizer.encode(text)
        ids: list[int] = []
        end = 0
        for own in self._names.finditer(text):
            ids += self._tokenizer.encode(text[end : own.start()].replace(self.mark, ""), special=False)
            ids += self._tokenizer.encode(own.group())
            end = own.end()
        return ids + self._tokenizer.encode(text[end:].replace(self.mark, ""), special=False)


@lru_cache(maxsize=8)
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(names, reverse=True))) or "(?!)")


def _texts(value: Any) -> Iterator[str]:
    """All texts in it, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _marked(value: Any, names: re.Pattern[str], mark: str) -> Any:
    """Each `<|im_end|>` in it becomes `<`, mark, `|im_end|>`: no longer a name, and easily restored."""
    if isinstance(value, str):
        return names.sub(lambda name: name.group()[0] + mark + name.group()[1:], value)
    if isinstance(value, dict):
        return {_marked(key, names, mark): _marked(item, names, mark) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_marked(item, names, mark) for item in value)
    return value


def _unused_character(texts: Iterable[str]) -> str:
    """A character for private use that none of the texts holds. Raises ChatError where they hold all."""
    used = set().union(*texts)
    codes = chain(range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
    if (free := next((chr(code) for code in codes if chr(code) not in used), None)) is None:
        raise ChatError(
            "The conversation holds every character that is left for private use.", "Leave one of them out."
        )
    return free


def _tojson(value: object, indent: int | None = None) -> str:
    """As templates on the hub expect it: without Jinja's HTML escapes."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)
