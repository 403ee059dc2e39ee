"""From what a request says of its answer's form to the constraint that holds it there.

Book: inference-ops/llm-serving-optimization
"""

import json
from collections.abc import Callable

from handbook.engine import constrained
from handbook.engine.constrained import SPACE, Constraint, Vocabulary
from handbook.engine.forms import Format
from handbook.engine.protocol import ChatBody, Drawn
from handbook.engine.refused import Fault, Refused
from handbook.engine.schemas import BadGrammar, checked
from handbook.engine.toolcalls import WORDS, Calling, Style, arguments_of, grammar_of
from handbook.model.load import Loaded

MAKERS: dict[str, Callable[..., str]] = {
    "json": constrained.json_schema,
    "regex": constrained.regex,
    "choice": constrained.choice,
    "grammar": constrained.lark,
}


def constraint_of(loaded: Loaded, body: Drawn) -> Constraint | None:
    """What the answer is held to; None where it is free. Takes up to some tenths of a second.

    Raises Refused for schemas and grammars that can't be held to, with all faults.
    """
    callable = isinstance(body, ChatBody) and body.callable
    if not callable and not body.formats:
        return None
    vocabulary = Vocabulary.of(loaded.tokenizer, loaded.config.vocab_size)
    if isinstance(body, ChatBody) and callable:
        return _compiled(vocabulary, "tools", _calls(loaded, body, vocabulary))
    (one,) = body.formats
    try:
        grammar = MAKERS[one.kind](one.value)
    except BadGrammar as error:
        raise Refused.listing([Fault(one.field, str(error))]) from None
    return _compiled(vocabulary, one.field, grammar)


def _compiled(vocabulary: Vocabulary, field: str, grammar: str) -> Constraint:
    try:
        return vocabulary.compile(grammar)
    except BadGrammar as error:
        raise Refused.listing([Fault(field, str(error))]) from None


def _calls(loaded: Loaded, body: ChatBody, vocabulary: Vocabulary) -> str:
    tools = [spec.tool for spec in body.callable]
    faults = []
    for index, tool in enumerate(tools):
        try:
            arguments_of(tool)
        except BadGrammar as error:
            faults.append(Fault(f"tools.{index}.function.parameters", str(error)))
    answer = WORDS
    for one in body.formats:
        try:
            answer = _inline(one)
        except BadGrammar as error:
            faults.append(Fault(one.field, str(error)))
    if faults:
        raise Refused.listing(faults)
    assert loaded.template is not None  # the messages are encoded already
    needed = body.tool_choice not in (None, "auto")
    several = body.parallel_tool_calls is not False
    try:
        return grammar_of(
            Calling(tuple(tools), Style.of(loaded.template), needed, several, answer), vocabulary.tag
        )
    except BadGrammar as error:
        raise Refused.listing([Fault("tools", str(error))]) from None


def _inline(one: Format) -> str:
    """A schema within another grammar."""
    return "%json " + json.dumps({**checked(one.value), "x-guidance": {"whitespace_pattern": SPACE}})
