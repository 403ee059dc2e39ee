"""What a corpus may be called, and what it is called where nobody says.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
from pathlib import Path

from handbook.errors import CorpusError
from handbook.rag.planning import Source

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
RESERVED = ("book", "auto")
LONGEST = 200  # characters of a title


def checked_name(name: str) -> str:
    """Raises CorpusError where a corpus can't be called so."""
    if not NAME.fullmatch(name):
        raise CorpusError(
            f"{name!r} is no name for a corpus.",
            "Use up to 40 small letters, digits and dashes, no dash at the ends: my-notes.",
        )
    if name in RESERVED:
        raise CorpusError(f"{name!r} means something else here.", "Choose another name.")
    return name


def suggested_name(source: Source) -> str:
    """A name for the corpus of a source, from its own: `My Notes` is my-notes."""
    last = source.name.rstrip("/").rpartition("/")[2] if source.kind == "page" else Path(source.name).stem
    name = re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:40].strip("-")
    return "notes" if not name else f"my-{name}" if name in RESERVED else name


def titled(title: str) -> str:
    """A title as it is shown: on one line, and not too long."""
    return " ".join(title.split())[:LONGEST]
