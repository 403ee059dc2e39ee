"""What a corpus can be filtered by, and the JSON Schema that a chat model is held to when it reads
filters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

MOST = 8  # conditions of a question
FORBIDDEN = "tenant"  # whose documents these are is never the question's to say


@dataclass(frozen=True, slots=True)
class Field:
    """Something to filter by. date: ISO 8601 days. values: of a word, all that there are (empty: any).
    names: what else a value is called in questions."""

    name: str
    kind: Literal["word", "number", "date"]
    values: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def called(self) -> dict[str, str]:
        """What a value is called, in lower case -> the value; longer ones first."""
        pairs = [(value, value) for value in self.values]
        pairs += [(name, value) for value, names in self.names.items() for name in names]
        return {name.lower(): value for name, value in sorted(pairs, key=lambda pair: (-len(pair[0]), pair))}


KIND = Field(
    "kind",
    "word",
    ("pdf", "html", "docx", "markdown", "text", "csv", "notebook"),
    {
        "html": ("web page", "webpage", "website"),
        "docx": ("word document", "word file", "word"),
        "text": ("text file", "plain text file", "plain text", "txt"),
        "csv": ("spreadsheet",),
        "notebook": ("jupyter notebook", "ipynb", "jupyter"),
        "markdown": ("md",),
    },
)
_LANGUAGES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese",
    "nl": "Dutch", "pl": "Polish", "ru": "Russian", "zh": "Chinese", "ja": "Japanese", "ar": "Arabic",
}  # fmt: skip
LANGUAGE = Field("language", "word", tuple(_LANGUAGES), {code: (name,) for code, name in _LANGUAGES.items()})
DATE = Field("date", "date")
BASIC = (KIND, LANGUAGE, DATE)


def schema(fields: Sequence[Field]) -> dict[str, Any]:
    """The JSON Schema of filters on these fields: values of words, bounds of days and numbers."""
    return {
        "type": "object",
        "properties": {one.name: _of(one) for one in fields},
        "additionalProperties": False,
    }


def _of(one: Field) -> dict[str, Any]:
    if one.kind == "word":
        item = {"enum": list(one.values)} if one.values else {"type": "string", "maxLength": 80}
        return {"type": "array", "items": item, "minItems": 1, "maxItems": MOST}
    day = {"type": "string", "pattern": r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"}
    bound = day if one.kind == "date" else {"type": "number"}
    return {
        "type": "object",
        "properties": {"least": bound, "most": bound},
        "minProperties": 1,
        "additionalProperties": False,
    }
