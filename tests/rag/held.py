"""A corpus in memory, asked as the index is: for tests of what comes after it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from handbook.errors import HandbookError
from handbook.rag.columns import body
from handbook.rag.nouns import Condition, Found, Row
from handbook.rag.text import words
from tests.rag.fakes import HashEmbedder


class Held:
    """Rows of one tenant. By meaning: cosines. By words: how many of the words a row has."""

    def __init__(self, rows: Sequence[Row], embedder: HashEmbedder) -> None:
        self.rows = list(rows)
        self._vectors = embedder.embed([body(row) for row in rows])

    def fields(self, tenant: str) -> list[str]:
        return ["kind", "language"]

    def dense(self, vector: Any, limit: int, conditions: Sequence[Condition], tenant: str) -> list[Found]:
        cosines = self._vectors @ vector if self.rows else ()
        found = [
            Found(row, float(cosine), dense=float(cosine))
            for row, cosine in zip(self.rows, cosines, strict=True)
            if _meets(row, conditions) and row.tenant == tenant
        ]
        return sorted(found, key=lambda one: -one.score)[:limit]

    def lexical(self, text: str, limit: int, conditions: Sequence[Condition], tenant: str) -> list[Found]:
        wanted = set(words(text))
        found = [
            Found(row, float(count), lexical=float(count))
            for row in self.rows
            if (count := len(wanted & set(words(body(row)))))
            and _meets(row, conditions)
            and row.tenant == tenant
        ]
        return sorted(found, key=lambda one: -one.score)[:limit]

    def vectors(self, ids: Sequence[str], tenant: str) -> dict[str, Any]:
        return {
            row.id: np.array(vector)
            for row, vector in zip(self.rows, self._vectors, strict=True)
            if row.id in ids
        }

    def families(self, rows: Sequence[Row], tenant: str) -> dict[str, list[Row]]:
        return {
            row.id: [
                other for other in self.rows if (other.document, other.parent) == (row.document, row.parent)
            ]
            for row in rows
        }

    def around(self, ids: Sequence[str], n: int, tenant: str) -> dict[str, list[Row]]:
        found = {}
        for id in ids:
            row = next(row for row in self.rows if row.id == id)
            same = [other for other in self.rows if other.document == row.document]
            at = same.index(row)
            found[id] = same[max(0, at - n) : at + n + 1]
        return found


def _meets(row: Row, conditions: Sequence[Condition]) -> bool:
    for one in conditions:
        if one.name not in ("kind", "language"):
            raise HandbookError(f"This corpus has no field {one.name!r}.")
        if one.any_of and getattr(row, one.name) not in one.any_of:
            return False
    return True
