"""Rows and vectors for the tests of the index: small documents of known chunks, embedded without a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbook.rag.columns import body
from handbook.rag.index import Index
from handbook.rag.nouns import Row
from handbook.rag.store import Store
from tests.rag.fakes import HashEmbedder

DIMENSION = 32
EMBEDDER = HashEmbedder("hash", DIMENSION)
TEA = ("Green tea steeps at seventy degrees.", "Boiling water makes it bitter.", "Black leaves are oxidised.")
BREAD = (
    "Kneading builds gluten.",
    "Gluten holds gas.",
    "Proofing lets yeast fill the dough.",
    "Steam helps.",
)


def chunks(document: str, texts: Sequence[str], tenant: str = "", **more: Any) -> list[Row]:
    """A document of these chunks, a blank between them; the first two have a parent, and so have the rest."""
    found = []
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    for number, text in enumerate(texts):
        start = int(starts[number])
        cut = int(starts[min(2, len(texts))])
        family = (0, cut - 1) if number < 2 else (cut, int(starts[-1]) - 1)
        id = f"{document}-{number}"
        row = Row(id, document, text, start, start + len(text), parent=family, tenant=tenant, **more)
        found.append(row)
    return found


def embedded(rows: Sequence[Row]) -> NDArray[np.float32]:
    return EMBEDDER.embed([body(row) for row in rows])


def opened(folder: Path, name: str = "notes", dimension: int = DIMENSION, model: str = "") -> Index:
    return Index(Store(str(folder / "index"), folder / "index.lock"), name, dimension, model)


def filled(folder: Path, *tenants: str) -> Index:
    """A corpus with tea and bread, for each tenant."""
    index = opened(folder)
    for tenant in tenants or ("",):
        tea = chunks("tea.md", TEA, tenant, kind="markdown", language="en", digest="t1", title="Tea")
        bread = chunks("bread.txt", BREAD, tenant, kind="text", digest="b1", fields={"year": 2021})
        index.write(tea + bread, embedded(tea + bread))
    return index


def ids(found: Sequence[Any]) -> list[str]:
    return [getattr(one, "row", one).id for one in found]
