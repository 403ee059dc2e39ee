"""Tools in a conversation: as chat templates take them, and in words where a template takes none.

The words are those that Hermes models and Qwen's were trained on: each call is one line of JSON between
`<tool_call>` and `</tool_call>`, each answer stands between `<tool_response>` and `</tool_response>`.

Book: inference-ops/llm-serving-optimization
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from handbook.records import Message, Tool, ToolCall

Json = dict[str, Any]
OPEN, CLOSE = "<tool_call>", "</tool_call>"
TOLD = f"""You can call tools. Each line below describes one, with a JSON Schema of its arguments:

{{tools}}

To call one, write a line with {OPEN}, a line with a JSON object, and a line with {CLOSE}:
{OPEN}
{{{{"name": "the tool's name", "arguments": {{{{"an argument": "its value"}}}}}}}}
{CLOSE}
What it gives back comes between <tool_response> and </tool_response>. When no tool helps, answer in words."""


def described(tool: Tool) -> Json:
    """A tool in OpenAI's form, which templates know."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters) or {"type": "object", "properties": {}},
        },
    }


def turns_of(messages: Sequence[Message]) -> list[Json]:
    """Turns as templates take them: arguments of calls as objects, a tool's turn with the tool's name."""
    names = {call.id: call.name for turn in messages for call in turn.calls}
    turns: list[Json] = []
    for turn in messages:
        one: Json = {"role": turn.role, "content": turn.content}
        if turn.calls:
            one["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.loads(call.arguments)},
                }
                for call in turn.calls
            ]
        if turn.role == "tool":
            one |= {"tool_call_id": turn.answers, "name": names.get(turn.answers, "")}
        turns.append(one)
    return turns


def in_words(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The same conversation for a template that knows no tools: they are told in the system's turn, calls are
    written out, and what tools gave back is a user's turn."""
    turns: list[Message] = []
    for role, group in groupby(messages, lambda turn: turn.role):
        if role == "tool":
            answers = (f"<tool_response>\n{turn.content}\n</tool_response>" for turn in group)
            turns.append(Message("user", "\n".join(answers)))
        else:
            turns += [_written(turn) for turn in group]
    if not tools:
        return turns
    lines = (json.dumps(described(tool)["function"], ensure_ascii=False) for tool in tools)
    told = TOLD.format(tools="\n".join(lines))
    if turns and turns[0].role == "system":
        return [replace(turns[0], content=f"{turns[0].content}\n\n{told}"), *turns[1:]]
    return [Message("system", told), *turns]


def _written(turn: Message) -> Message:
    parts = [turn.content] if turn.content else []
    return Message(turn.role, "\n".join([*parts, *map(_call, turn.calls)]))


def _call(call: ToolCall) -> str:
    written = {"name": call.name, "arguments": json.loads(call.arguments)}
    return f"{OPEN}\n{json.dumps(written, ensure_ascii=False)}\n{CLOSE}"
