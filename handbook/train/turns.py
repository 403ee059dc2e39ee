"""One turn of a conversation, out of the JSON that people write it in: `role` and `content`, or ShareGPT's
`from` and `value`; a call of a tool as OpenAI has it, or as a turn of its own.

Faults are said, all of them, and what is returned is then not to be used.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, get_args

from handbook.records import Message, Role, Tool, ToolCall
from handbook.train.lines import Json, kind

Say = Callable[[str], None]
ROLES: dict[str, Role] = {
    **{role: role for role in get_args(Role)},
    "developer": "system",
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "function": "tool",
}


def text_of(row: Json, key: str, say: Say, where: str = "", needed: bool = True) -> str:
    """row[key], which has to be text. null is as good as nothing."""
    value, name = row.get(key), where + key
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return _parts(value, name, say)
    if not isinstance(value, str):
        if value is not None:
            say(f"{name} should be a text, got {kind(value)}")
        elif needed:
            say(f"{name} is missing")
        return ""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            say(f"{name} holds half a character (a lone surrogate)")
    return value


def turns_of(value: Any, name: str, say: Say) -> tuple[Message, ...]:
    """A list of turns; `name` is what to call it."""
    if not isinstance(value, list):
        say(f"{name} should be a list of turns, got {kind(value)}")
        return ()
    turns: list[Message] = []
    for number, turn in enumerate(value, 1):
        turns.append(turn_of(turn, f"{name}, turn {number}: ", say, turns))
    return tuple(turns)


def turn_of(turn: Any, where: str, say: Say, before: Sequence[Message] = ()) -> Message:
    """One turn. before: those that came earlier, whose last call a tool's turn answers if it names none."""
    if not isinstance(turn, dict):
        say(f"{where}should be an object, got {kind(turn)}")
        return Message("user", "")
    role_key, content_key = ("from", "value") if "from" in turn else ("role", "content")
    named = text_of(turn, role_key, say, where)
    role = ROLES.get(named)
    if role is None:
        if named:
            say(f"{where}{role_key} is {named[:40]!r}; known are {', '.join(ROLES)}")
        role = "user"
    calls = _calls(turn.get("tool_calls"), where, say) if turn.get("tool_calls") is not None else ()
    content = text_of(turn, content_key, say, where, needed=not calls)
    if named == "function_call":
        calls, content = _written_call(content, where, say), ""
    answers = ""
    if role == "tool":
        last = next((each.calls[-1].id for each in reversed(before) if each.calls), "")
        answers = text_of(turn, "tool_call_id", say, where, needed=False) or last
    return Message(role, content, calls, answers)


def tools_of(row: Json, say: Say) -> tuple[Tool, ...]:
    """The tools that a row offers, in OpenAI's form or without its wrapping, as a list or as JSON in a
    text."""
    value = row.get("tools")
    if isinstance(value, str):
        value = _parsed(value or "[]", "tools", say)
    if value is None:
        return ()
    if not isinstance(value, list):
        say(f"tools should be a list, got {kind(value)}")
        return ()
    return tuple(_tool(each, f"tools, {number}: ", say) for number, each in enumerate(value, 1))


def _tool(value: Any, where: str, say: Say) -> Tool:
    inner = value.get("function", value) if isinstance(value, dict) else value
    if not isinstance(inner, dict):
        say(f"{where}should be an object, got {kind(inner)}")
        return Tool("")
    parameters = inner.get("parameters") or {}
    if not isinstance(parameters, dict):
        say(f"{where}parameters should be an object, got {kind(parameters)}")
        parameters = {}
    name = text_of(inner, "name", say, where)
    return Tool(name, text_of(inner, "description", say, where, needed=False), parameters)


def _calls(value: Any, where: str, say: Say) -> tuple[ToolCall, ...]:
    if not isinstance(value, list):
        say(f"{where}tool_calls should be a list, got {kind(value)}")
        return ()
    return tuple(
        _call(each, f"{where}call {number}: ", f"call-{number}", say) for number, each in enumerate(value, 1)
    )


def _call(value: Any, where: str, number: str, say: Say) -> ToolCall:
    inner = value.get("function", value) if isinstance(value, dict) else value
    if not isinstance(inner, dict):
        say(f"{where}should be an object, got {kind(inner)}")
        return ToolCall("", "", "{}")
    arguments = inner.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _parsed(arguments, f"{where}arguments", say)
    if not isinstance(arguments, dict):
        say(f"{where}arguments should be an object, got {kind(arguments)}")
    name = text_of(inner, "name", say, where)
    given = text_of(value, "id", say, where, needed=False)
    return ToolCall(given or number, name, json.dumps(arguments, ensure_ascii=False))


def _written_call(content: str, where: str, say: Say) -> tuple[ToolCall, ...]:
    """ShareGPT's: a turn whose text is the JSON of a call."""
    value = _parsed(content, f"{where}the call", say)
    return () if value is None else _calls(value if isinstance(value, list) else [value], where, say)


def _parsed(text: str, name: str, say: Say) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        say(f"{name} should be JSON, got {text[:40]!r}")
        return None


def _parts(value: list[Json], name: str, say: Say) -> str:
    """OpenAI's list of parts, of which only text can be trained on."""
    texts = []
    for number, part in enumerate(value, 1):
        if part.get("type", "text") != "text":
            say(f"{name}, part {number} is of type {str(part['type'])[:40]!r}; only text is trained on")
        else:
            texts.append(text_of(part, "text", say, f"{name}, part {number}: "))
    return "".join(texts)
