"""What a request says of its answer's form: a schema, a regular expression, a grammar, or calls of tools.

OpenAI's `response_format` and `tools`; vLLM's `structured_outputs`, and the `guided_` names it had before.
"""

import json
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field
from pydantic_core import from_json

from handbook.engine.fields import NAME, Body, Choices, Expression, Schema, Written
from handbook.engine.refused import Fault
from handbook.records import Tool, ToolCall


class FunctionSpec(Body):
    name: Annotated[str, Field(pattern=rf"^{NAME}$")]
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None  # it always is


class ToolSpec(Body):
    type: Literal["function"]
    function: FunctionSpec

    @property
    def tool(self) -> Tool:
        given = self.function
        return Tool(given.name, given.description or "", given.parameters or {})


class FunctionName(Body):
    name: str


class NamedTool(Body):
    type: Literal["function"]
    function: FunctionName


class CalledFunction(Body):
    name: Annotated[str, Field(pattern=rf"^{NAME}$")]
    arguments: str


class Called(Body):
    id: str
    type: Literal["function"]
    function: CalledFunction

    @property
    def call(self) -> ToolCall:
        return ToolCall(self.id, self.function.name, self.function.arguments.strip() or "{}")

    def faults(self) -> list[Fault]:
        try:
            given = from_json(self.call.arguments, allow_inf_nan=False)
            json.dumps(given, allow_nan=False)  # 1e999 is read as infinity
        except ValueError:
            given = None
        return (
            []
            if isinstance(given, dict)
            else [Fault("function.arguments", "should be a JSON object, as text")]
        )


class Format(NamedTuple):
    """What a text is to be kept to, and by which field: kind json (a schema), regex, choice or grammar."""

    field: str
    kind: Literal["json", "regex", "choice", "grammar"]
    value: Any


class SchemaFormat(Body):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    given: Annotated[Schema | None, Field(alias="schema")] = None
    strict: bool | None = None  # it always is


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaFormat | None = None

    @property
    def formats(self) -> list[Format]:
        if self.type == "json_schema" and self.json_schema is not None:
            value = {} if self.json_schema.given is None else self.json_schema.given
            return [Format("response_format.json_schema.schema", "json", value)]
        return [Format("response_format", "json", {"type": "object"})] if self.type == "json_object" else []

    def faults(self) -> list[Fault]:
        if (self.json_schema is not None) != (self.type == "json_schema"):
            return [Fault("response_format.json_schema", "goes with type json_schema, and has to")]
        return []


class StructuredOutputs(Body):
    given: Annotated[Written | None, Field(alias="json")] = None
    regex: Expression | None = None
    choice: Choices | None = None
    grammar: Expression | None = None
    json_object: bool | None = None

    @property
    def formats(self) -> list[Format]:
        place = "structured_outputs."
        found = [Format(f"{place}json", "json", self.given)] if self.given is not None else []
        found += [Format(f"{place}regex", "regex", self.regex)] if self.regex is not None else []
        found += [Format(f"{place}choice", "choice", self.choice)] if self.choice is not None else []
        found += [Format(f"{place}grammar", "grammar", self.grammar)] if self.grammar is not None else []
        found += [Format(f"{place}json_object", "json", {"type": "object"})] if self.json_object else []
        return found
