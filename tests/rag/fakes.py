"""A small book and an embedder without a model: enough to see each stage work, and fast."""

import hashlib
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"[a-z]+")


class HashEmbedder:
    """Bag of words, hashed to `dimension` signed buckets: near as far as they share words."""

    def __init__(self, name: str = "hash", dimension: int = 256) -> None:
        self.name = name
        self.dimension = dimension
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += texts
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in WORD.findall(text.lower()):
                digest = hashlib.sha256(word.encode()).digest()
                row[int.from_bytes(digest[:4], "big") % self.dimension] += 1 if digest[4] % 2 else -1
            row[0] += 1e-6
            row /= np.linalg.norm(row)
        return rows

    def token_vectors(self, text: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """A vector a word, and one of no characters before them."""
        words = list(WORD.finditer(text.lower()))
        places = [(0, 0), *(word.span() for word in words)]
        return np.array(places, np.intp), self.embed(["", *(word[0] for word in words)])


def paragraph(anchor: str, text: str, section: str = "s", kind: str = "paragraph", box: str = "") -> Any:
    return SimpleNamespace(anchor=anchor, text=text, section=section, kind=kind, box=box, line=1)


def question(id: str, prompt: str, answer: str, anchor: str, *follow_ups: str) -> Any:
    asks = tuple(SimpleNamespace(ask=ask, criterion="c") for ask in follow_ups)
    return SimpleNamespace(id=id, prompt=prompt, answer=answer, anchor=anchor, follow_ups=asks)


def chapter(slug: str, paragraphs: Sequence[Any], questions: Sequence[Any] = (), written: bool = True) -> Any:
    return SimpleNamespace(
        slug=slug,
        path=f"part/{slug}",
        title=slug.replace("-", " ").title(),
        summary=f"All about {slug.replace('-', ' ')}.",
        status="written" if written else "outline",
        written=written,
        sections=(SimpleNamespace(id="s", title="First section", level=2, line=1),),
        paragraphs=tuple(paragraphs),
        questions=tuple(questions),
    )


def book(*chapters: Any) -> Any:
    return SimpleNamespace(chapters={c.slug: c for c in chapters})


BREAD = (
    paragraph(
        "knead",
        "Kneading builds gluten. Gluten is a network of proteins that holds gas. It takes ten minutes.",
    ),
    paragraph("proof", "Proofing lets yeast fill the dough with gas. A cool room slows the yeast down."),
    paragraph("bake", "Baking sets the crumb. Steam in the oven keeps the crust soft while the loaf rises."),
)
TEA = (
    paragraph("steep", "Green tea steeps at seventy degrees. Boiling water makes green tea bitter."),
    paragraph("leaves", "Black leaves are oxidised, green leaves are not. Oxidation darkens the leaves."),
)
COFFEE = (paragraph("grind", "Grinding coffee finer slows the water. Not written yet."),)


def small_book() -> Any:
    asks = (
        question(
            "why-knead",
            "What makes bread elastic?",
            "Gluten does, which kneading develops.",
            "knead",
            "And chewy?",
        ),
    )
    return book(
        chapter("bread-making", BREAD, asks),
        chapter("tea-brewing", TEA),
        chapter("coffee", COFFEE, written=False),
    )
