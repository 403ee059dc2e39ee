"""Cited sources, from references.bib."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handbook.book.faults import Faults

_ENTRY = re.compile(r"^[ \t]*@(\w+)\s*\{\s*([^,\s{}]+)\s*,", re.MULTILINE)
_LINE = re.compile(r"syntax error in line (\d+):?\s*")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")
_VENUES = ("journal", "booktitle", "howpublished", "publisher", "school", "institution")
_NEEDED = ("title", "year")


@dataclass(frozen=True, slots=True)
class Reference:
    """One source. authors: `Given Family`; families: their last names. url: where to read it, or None."""

    key: str
    kind: str
    authors: tuple[str, ...]
    families: tuple[str, ...]
    title: str
    year: str
    venue: str
    url: str | None
    line: int

    @property
    def label(self) -> str:
        """`Vaswani et al. 2017`, `Su and Lu 2021`."""
        names = self.families
        who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        return f"{who} {self.year}".strip()


@lru_cache(maxsize=4096)
def _plain(latex: str) -> str:
    from pybtex.richtext import Text

    try:
        text = str(Text.from_latex(latex)) if "\\" in latex or "{" in latex else latex
    except ValueError:  # unbalanced braces
        text = latex.replace("{", "").replace("}", "")
    return " ".join(text.replace("--", "\N{EN DASH}").split())


def _url(fields: Any) -> str | None:
    if fields.get("doi"):
        return f"https://doi.org/{fields['doi'].removeprefix('https://doi.org/')}"
    if fields.get("eprint"):
        return f"https://arxiv.org/abs/{fields['eprint']}"
    return fields.get("url") or None


def _reference(key: str, entry: Any, line: int) -> Reference:
    authors, families = [], []
    for person in entry.persons.get("author", []) or entry.persons.get("editor", []):
        given = _plain(" ".join([*person.first_names, *person.middle_names]))
        family = _plain(" ".join([*person.prelast_names, *person.last_names, *person.lineage_names]))
        if family == "others" and not given:
            continue
        authors.append(f"{given} {family}".strip())
        families.append(family)
    more = any(str(person) == "others" for person in entry.persons.get("author", []))
    venue = next((entry.fields[name] for name in _VENUES if entry.fields.get(name)), "")
    if not venue and entry.fields.get("eprint"):
        venue = f"arXiv:{entry.fields['eprint']}"
    return Reference(
        key=key,
        kind=entry.type,
        authors=(*authors, "et al.") if more else tuple(authors),
        families=(*families, "others") if more and len(families) == 2 else tuple(families),
        title=_plain(entry.fields.get("title", key)),
        year=entry.fields.get("year", ""),
        venue=_plain(venue),
        url=_url(entry.fields),
        line=line,
    )


@lru_cache(maxsize=8)
def _parse(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """pybtex's entries, and what it complained about. Treat as read-only."""
    import pybtex.errors
    from pybtex.database.input.bibtex import Parser

    with pybtex.errors.capture() as problems:
        entries = dict(Parser().parse_string(text).entries.items())
    return entries, tuple(str(problem) for problem in problems)


def load_references(file: Path, faults: Faults) -> dict[str, Reference]:
    """Read the bibliography in file order. Entries without author, title or year are reported and kept."""
    text = faults.read(file) if file.exists() else ""
    if not text:
        return {}
    lines: dict[str, int] = {}
    for match in _ENTRY.finditer(text):
        key, line = match[2], text[: match.start(1)].count("\n") + 1
        if match[1].lower() in ("comment", "string", "preamble"):
            continue
        if key in lines:
            faults.add(
                "duplicate-id", file, line, f"The source {key} is defined again; first in line {lines[key]}."
            )
        elif not _KEY.fullmatch(key):
            faults.add("bad-id", file, line, f"The key {key!r} is not letters, digits and - _ . :.")
        lines.setdefault(key, line)
    entries, problems = _parse(text)
    for problem in problems:
        where = _LINE.search(problem)
        if where:
            what = _LINE.sub("", problem)
            faults.add(
                "syntax",
                file,
                min(int(where[1]), len(text.splitlines())),
                f"This is not valid BibTeX: {what}.",
                "Check braces and commas.",
            )
        elif "repeated" not in problem:
            faults.add("syntax", file, 1, f"This is not valid BibTeX: {problem}.")
    found = {}
    for key, entry in entries.items():
        line = lines.get(key, 1)
        found[key] = _reference(key, entry, line)
        missing = [name for name in _NEEDED if not entry.fields.get(name)]
        missing += [] if found[key].authors else ["author"]
        for name in missing:
            faults.add("incomplete-source", file, line, f"The source {key} has no {name}.")
        if found[key].url and not str(found[key].url).startswith(("https://", "http://")):
            faults.add(
                "unsafe-url",
                file,
                line,
                f"The source {key} links to {found[key].url}, which is no web address.",
            )
    return found
