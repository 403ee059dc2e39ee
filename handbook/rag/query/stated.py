"""Filters that a question states, read by form: `field:value`, what documents are, whose, of when.

What may as well be the subject ("attention in 2019", "how are PDFs parsed") is no filter: one that is wrong
hides the answer, one that is missing costs a rank.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from handbook.rag.nouns import Condition
from handbook.rag.query.dates import times
from handbook.rag.query.fields import Field

DOCUMENT = (
    r"(?:documents?|docs?|files?|papers?|articles?|notes?|pages?|reports?|posts?|texts?|sources?|memos?"
    r"|letters?"
    r"|e?-?mails?|minutes|slides|tables?|entries|entry|records?)"
)
_OF_DOCUMENTS = re.compile(
    rf"\b(?:{DOCUMENT}|notebooks?|pdfs?|spreadsheets?|written|published|dated|created|modified|updated"
    rf"|added|saved"
    r"|wrote|write)\b",
    re.IGNORECASE,
)
_SEVERAL = rf"(?={DOCUMENT}(?<=s)\b){DOCUMENT}"
_OWN = r"(?:(?:the|my|our|all|all the|all my|these|those|any|some)\s+)"
_WHERE = r"(?:,?\s*(?:only\s+)?(?:in|from|within|among|across|only|using)\s+)"
_ENDS = r"(?=\s*(?:$|[^\w\s]|(?:about|on|for|that|which|from|since|with|and|or|by|of)\b))"
_SHOW = r"(?:show|find|list|search|get|give)(?:\s+me)?\s+"
_WRITTEN = (
    r"(?:(?:that (?:is|are|was|were) )?(?:written|published|dated|created|modified|updated|added|saved)\s+)?"
)
_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_LEAST = {"more than": 1, "over": 1, "at least": 0, "no less than": 0}
_MOST = {"less than": 1, "fewer than": 1, "under": 1, "at most": 0, "up to": 0, "no more than": 0}


@dataclass(frozen=True, slots=True)
class Stated:
    """question[start:end] states a condition."""

    start: int
    end: int
    condition: Condition


def explicit(question: str, one: Field) -> Iterator[Stated]:
    """`kind:pdf`, `author:"Jane Doe"`, `date>=2021-03-01`: as in search boxes."""
    pattern = (
        rf"(?<!\S){re.escape(one.name)}(?P<sign>:|>=|<=|=)(?:\"(?P<quoted>[^\"]+)\"|(?P<bare>[^\s,;?!]+))"
    )
    for match in re.finditer(pattern, question, re.IGNORECASE):
        said = match["quoted"] or match["bare"].rstrip(".")
        value: str | float | None = said
        if one.kind == "word":
            value = one.called().get(said.lower(), None if one.values else said)
        elif one.kind == "number":
            value = float(said) if re.fullmatch(r"-?\d{1,15}(?:\.\d{1,15})?", said) else None
        elif not re.fullmatch(r"\d{4}-\d\d-\d\d", said):
            value = None
        if value is None or (one.kind == "word" and match["sign"] in (">=", "<=")):
            continue
        if one.kind == "word":
            condition = Condition(one.name, (value,))
        else:
            least = None if match["sign"] == "<=" else value
            condition = Condition(one.name, (), least, None if match["sign"] == ">=" else value)
        yield Stated(match.start(), match.end(), condition)


def of_words(question: str, one: Field) -> Iterator[Stated]:
    """Values of a field of words, where they stand as what documents are ("in my PDFs", "German papers",
    "notes by Jane")."""
    called = one.called()
    if not called:
        return
    value = "(?P<value>" + "|".join(re.escape(name) for name in called) + ")"
    for form in _forms(one, value):
        for match in re.finditer(rf"(?<!\w){form}(?!\w|-\w)", question, re.IGNORECASE):
            yield Stated(match.start(), match.end(), Condition(one.name, (called[match["value"].lower()],)))


def _forms(one: Field, value: str) -> list[str]:
    """Where a value says what documents are: behind "in" or "from" with a document, "written in French",
    "tagged x"."""
    forms = [
        rf"{_WHERE}{_OWN}?{value}s?\s+{DOCUMENT}(?:\s+only)?",
        rf"(?:(?:in|from|within)\s+)?{DOCUMENT}\s+(?:that are\s+)?(?:written\s+)?in\s+{value}{_ENDS}",
        rf"(?:in\s+)?{_OWN}?(?:{DOCUMENT}\s+)?(?:tagged|labelled|marked|filed under)\s+(?:as\s+"
        rf"|with\s+)?{value}",
    ]
    if one.name == "kind":  # these are documents themselves: "in the PDFs", not "how are PDFs read"
        forms += [rf"{_WHERE}{_OWN}(?:[a-z]+\s+)?{value}s?(?:\s+only)?", rf"{_WHERE}{value}s(?:\s+only)?"]
        forms += [rf"(?:my|our)\s+{value}s(?:\s+{DOCUMENT})?", rf"(?:^|{_SHOW}){_OWN}?{value}s?\s+{_SEVERAL}"]
        forms += [rf"(?:^|{_SHOW}){_OWN}?{value}s(?=\s+(?:on|about|for|from|that|since|of)\b)"]
    else:
        forms += [rf"{_OWN}?{value}\s+{_SEVERAL}"]
    if one.name in ("author", "sender", "owner"):
        forms += [
            rf"(?:written|published|saved|sent|shared)\s+by\s+{value}",
            rf"(?:in\s+)?{value}'s?\s+{DOCUMENT}",
        ]
        forms += [rf"(?:(?:in|from)\s+)?{_OWN}?{DOCUMENT}\s+(?:by|from|of)\s+{value}"]
    return forms


def of_numbers(question: str, one: Field) -> Iterator[Stated]:
    """ "more than 100 pages", where pages is a field. Bounds are included, so one that isn't is moved by
    one: counts are whole."""
    name = re.escape(one.name.removesuffix("s")) + "s?"
    signs = "|".join([*_LEAST, *_MOST])
    pattern = rf"(?:\s*(?:with|of|that (?:have|has))\s+)?(?P<sign>{signs})\s+(?P<n>{_NUMBER})\s+{name}\b"
    for match in re.finditer(rf"(?<!\w){pattern}", question, re.IGNORECASE):
        sign, n = match["sign"].lower(), float(match["n"].replace(",", ""))
        least = n + _LEAST[sign] if sign in _LEAST else None
        most = n - _MOST[sign] if sign in _MOST else None
        yield Stated(match.start(), match.end(), Condition(one.name, (), least, most))


def of_days(question: str, one: Field, today: date) -> tuple[list[Stated], list[tuple[str, str]]]:
    """Times that documents are of, and what names a time but may be the subject, with the reason."""
    found: list[Stated] = []
    left: list[tuple[str, str]] = []
    about = _OF_DOCUMENTS.search(question) is not None
    for span in times(question, today):
        said = question[span.start : span.end]
        loose = said.lower().startswith("of ") and not re.search(
            rf"{DOCUMENT}\s*$", question[: span.start], re.IGNORECASE
        )
        if not about or loose:
            left.append((said, "it isn't said of documents, so it may be the subject"))
            continue
        start = span.start
        if written := re.search(rf"{_WRITTEN}$", question[:start], re.IGNORECASE):
            start = written.start()
        found.append(Stated(start, span.end, Condition(one.name, (), span.least or None, span.most or None)))
    return found, left
