"""Conditions as SQL that Lance takes: values quoted, names checked against the corpus.

A condition may come out of a question or out of a document, so nothing of it reaches the SQL as it stands: a
name is looked up among the columns there are, a word is quoted, a number is written out by Python. Whose
documents are searched is no condition: tenants lie in tables of their own (`handbook.rag.index`).

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from handbook.errors import HandbookError
from handbook.rag.nouns import Condition

WORD, NUMBER = "word_", "number_"  # columns of a row's own fields: a name may have values of both kinds
WORDS = ("id", "document", "kind", "language", "title", "digest")  # every corpus has these, ...
NUMBERS = ("page", "start", "end")  # ... and these
MOST_VALUES = 1000
_LAST = "\U0010ffff"  # no text begins with what comes after it

Names = Mapping[str, tuple[str, ...]]
"""What can be asked for -> the columns that hold it."""


def names(columns: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The fields that a corpus with these columns can be filtered by. A field that documents bring does not
    hide one that every corpus has."""
    found: dict[str, tuple[str, ...]] = {name: (name,) for name in (*WORDS, *NUMBERS)}
    for column in columns:
        for prefix in (WORD, NUMBER):
            if column.startswith(prefix) and (name := column.removeprefix(prefix)) not in (*WORDS, *NUMBERS):
                found[name] = (*found.get(name, ()), column)
    return found


def sql(conditions: Sequence[Condition], known: Names) -> str:
    """All of the conditions as one expression, "" where there are none.

    Bounds are included. Words are ordered by their characters, and a word as an upper bound takes in all that
    begins with it: ISO dates up to "2021" are those of 2021, too.

    Raises:
        HandbookError: a field that the corpus lacks; a condition without value and bound; a number that is
            none, or for a field of words; more than a thousand values.
    """
    return " AND ".join(_one(condition, known) for condition in conditions)


def _one(condition: Condition, known: Names) -> str:
    columns = known.get(condition.name.lower())
    if columns is None:
        raise HandbookError(
            f"The corpus has no field {condition.name!r} to filter by.", f"It has {', '.join(sorted(known))}."
        )
    if len(condition.any_of) > MOST_VALUES:
        raise HandbookError(
            f"{len(condition.any_of)} values of {condition.name!r} are too many for one filter.",
            f"Give at most {MOST_VALUES}.",
        )
    parts = []
    if condition.any_of:
        alike = [
            (word, [v for v in condition.any_of if isinstance(v, str) == word]) for word in (True, False)
        ]
        lists = [
            f"{_column(columns, values[0], condition.name)} IN ({', '.join(map(literal, values))})"
            for _, values in alike
            if values
        ]
        parts.append(lists[0] if len(lists) == 1 else f"({' OR '.join(lists)})")
    if condition.least is not None:
        column = _column(columns, condition.least, condition.name)
        parts.append(f"{column} >= {literal(condition.least)}")
    if condition.most is not None:
        column = _column(columns, condition.most, condition.name)
        if isinstance(condition.most, str):
            parts.append(f"{column} < {literal(condition.most + _LAST)}")
        else:
            parts.append(f"{column} <= {literal(condition.most)}")
    if not parts:
        raise HandbookError(
            f"The filter on {condition.name!r} says nothing.", "Give it values, or a bound at one end."
        )
    return " AND ".join(parts)


def _column(columns: tuple[str, ...], value: str | float, name: str) -> str:
    """The column that holds values of this kind, quoted."""
    of_words = isinstance(value, str)
    for column in columns:
        if of_words == (column in WORDS or column.startswith(WORD)):
            return f"`{column}`"
    kind, other = ("words", "a number") if of_words else ("numbers", "a word")
    raise HandbookError(f"The field {name!r} holds no {kind}, got {value!r}.", f"Give {other}.")


def literal(value: str | float) -> str:
    """A value as SQL writes it. Raises HandbookError for an infinite number and for what is none."""
    if isinstance(value, str):
        return "'" + sound(value).replace("'", "''") + "'"
    number = float(value)
    if not math.isfinite(number):
        raise HandbookError(f"Expected a number to filter by, got {value!r}.", "Leave an open bound out.")
    return f"CAST('{number!r}' AS DOUBLE)"


def sound(text: str) -> str:
    """With lone surrogates (of file names that are not UTF-8) written out, as Arrow takes no others."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
