"""What the reranker is trained on: questions with the passage that answers each, from texts that are here.

Two sources. The book's interview questions point at the paragraph that answers them; those of bench/ask are
not among them. And docstrings: of the packages below, all under permissive licences, and of Python's standard
library. A docstring's first paragraph says what the rest is about, so it is a question to it; and a sentence
taken out of one is a question to what is left (the inverse cloze task: Lee et al. 2019, arXiv:1906.00300,
section 4). Nothing is imported for this: sources are parsed.

Nothing of SciFact or CACM is read here: no text, question or judgement of theirs.
"""

import ast
import hashlib
import json
import random
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from itertools import pairwise
from pathlib import Path
from typing import Any

from handbook.rag import sentences
from handbook.rag.passages import book_entries
from handbook.rag.text import words

STDLIB = "stdlib"
LICENCES = {
    "accelerate": "Apache-2.0",
    "alembic": "MIT",
    "altair": "BSD-3-Clause",
    "click": "BSD-3-Clause",
    "datasets": "Apache-2.0",
    "fsspec": "BSD-3-Clause",
    "huggingface_hub": "Apache-2.0",
    "jinja2": "BSD-3-Clause",
    "joblib": "BSD-3-Clause",
    "lancedb": "Apache-2.0",
    "marimo": "Apache-2.0",
    "mpmath": "BSD-3-Clause",
    "narwhals": "MIT",
    "networkx": "BSD-3-Clause",
    "numpy": "BSD-3-Clause",
    "openai": "Apache-2.0",
    "pandas": "BSD-3-Clause",
    "peft": "Apache-2.0",
    "pydantic": "MIT",
    "pygments": "BSD-2-Clause",
    "rich": "MIT",
    "scipy": "BSD-3-Clause",
    "sentence_transformers": "Apache-2.0",
    "sklearn": "BSD-3-Clause",
    "sqlalchemy": "MIT",
    "sympy": "BSD-3-Clause",
    "torch": "BSD-3-Clause",
    "transformers": "Apache-2.0",
    "trl": "Apache-2.0",
    STDLIB: "PSF-2.0",
}
"""Packages whose docstrings are read, by import name; those that are not installed are left out."""

HELD_OUT = ("click", "networkx", "sqlalchemy")  # whole packages: what weights and lengths are chosen on
MOST = 150  # pairs of one package, so that no single style is most of what is seen
_UNREAD = re.compile(r"/(tests?|testing|_?vendor(ed)?|externals|idlelib|lib2to3|site-packages)/")
_ROLE = re.compile(r":\w+(?::\w+)*:`~?([^`<]*?)(?:\s*<[^`]*>)?`")
_MARKUP = re.compile(r"[-=~^]{4,}|\[\d+\]_|\*\*|`+_?")


@dataclass(frozen=True, slots=True)
class Pair:
    """source: the package, or "book". subject: first words of the passage's document, to know its doubles."""

    source: str
    question: str
    passage: str
    subject: str


@cache
def docstring_pairs(seed: int) -> list[Pair]:
    """In an order of the seed, at most MOST a package, no docstring twice."""
    random_ = random.Random(seed)
    found = [(package, doc) for package in sorted(LICENCES) for doc in _docstrings(package)]
    random_.shuffle(found)
    kept: Counter[str] = Counter()
    seen: set[str] = set()
    pairs = []
    for package, doc in found:
        if kept[package] == MOST:
            continue
        pair = _pair(package, prose(doc), random_)
        if pair is None or (keys := {pair.subject, pair.passage[:120].lower()}) & seen:
            continue
        seen |= keys
        kept[package] += 1
        pairs.append(pair)
    return pairs


def _pair(package: str, paragraphs: list[str], random_: random.Random) -> Pair | None:
    """The first paragraph and the rest; or, where there is enough, a sentence of the rest and all else."""
    if len(paragraphs) < 2:
        return None
    summary, body = paragraphs[0], " ".join(paragraphs[1:])
    if not 5 <= len(summary.split()) <= 45 or len(body.split()) < 30:
        return None
    said = sentences.split(body)
    askable = [place for place, one in enumerate(said) if 8 <= len(one.split()) <= 40]
    if len(said) < 3 or not askable or random_.random() < 0.4:
        return Pair(package, summary, body, summary.lower())
    taken = random_.choice(askable)
    rest = said if random_.random() < 0.1 else said[:taken] + said[taken + 1 :]
    return Pair(package, said[taken], " ".join([summary, *rest]), summary.lower())


def prose(doc: str) -> list[str]:
    """A docstring's paragraphs of plain sentences, without markup: no examples, tables or lists."""
    found = []
    for block in re.split(r"\n\s*\n", doc):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if not lines or any(line.startswith((">>>", "..", "|", "+--", "#", "- [")) for line in lines):
            continue
        text = " ".join(_MARKUP.sub("", _ROLE.sub(r"\1", " ".join(lines))).split())
        letters = sum(mark.isalpha() or mark == " " for mark in text)
        if len(text.split()) >= 5 and letters >= 0.8 * len(text):
            found.append(text)
    return found


def _docstrings(package: str) -> Iterator[str]:
    root = _root(package)
    for file in sorted(root.rglob("*.py")) if root else ():
        if _UNREAD.search(file.relative_to(root.parent).as_posix()):
            continue
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                doc = ast.get_docstring(node)
                if doc and len(doc) > 200:
                    yield doc


def _root(package: str) -> Path | None:
    if package == STDLIB:
        return Path(sysconfig.get_paths()["stdlib"])
    spec = util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def versions() -> dict[str, str]:
    """Of the packages that are read: other versions have other docstrings."""
    names = metadata.packages_distributions()
    return {
        package: metadata.version(names[package][0]) if package in names else "absent"
        for package in sorted(LICENCES)
        if package != STDLIB
    }


def book_pairs(book: Any) -> tuple[list[Pair], list[Pair]]:
    """The book's interview questions and follow-ups with their paragraphs, in two halves by the question's
    name: to train on, and held out. A paragraph is written as it is embedded, its titles before it."""
    passages = {entry.chunk.id: entry for entry in book_entries(book) if entry.answers}
    halves: tuple[list[Pair], list[Pair]] = ([], [])
    for slug, chapter in sorted(book.chapters.items()):
        for question in chapter.questions:
            entry = passages.get(f"{slug}#{question.anchor}")
            if entry is None:
                continue
            half = halves[hashlib.sha256(question.id.encode()).digest()[0] % 2]
            for ask in (question.prompt, *(each.ask for each in question.follow_ups)):
                half.append(Pair("book", " ".join(ask.split()), entry.headed, entry.chunk.id))
    return halves


def alike(a: Pair, b: Pair) -> bool:
    """Whether b's passage says what a's says, so that it would be no wrong answer: half of the shorter one's
    pairs of neighbouring words are in both."""
    if a.subject == b.subject:
        return True
    ours, theirs = (_neighbours(one.passage) for one in (a, b))
    return len(ours & theirs) > 0.5 * min(len(ours), len(theirs))


@cache
def _neighbours(text: str) -> set[tuple[str, str]]:
    return set(pairwise(words(text)))


def digest(pairs: list[Pair]) -> str:
    """SHA-256 of what is trained on, to know another run's material by."""
    said = json.dumps([[one.source, one.question, one.passage] for one in pairs])
    return hashlib.sha256(said.encode()).hexdigest()
