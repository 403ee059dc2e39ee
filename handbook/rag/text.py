"""The book as a corpus: its passages in a LanceDB table with BM25 full text, kept equal to the book.

Keyed by passage and content hash: what changed is replaced, what went is deleted, the rest is not touched.
BM25: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3, as
Lance implements it (k1 = 1.2, b = 0.75, English stems).

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from handbook.rag.passages import Entry
from handbook.rag.store import DAMAGE, Store, clear_disk_errors

TABLE = "passages"
_WORD = re.compile(r"[^\W_]+")
_MARK = "zqqz"  # no word, and its own stem
_EXPANSIONS = 24  # words that a typed prefix may stand for


def words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits, as the full-text index cuts them."""
    return _WORD.findall(text.lower())


class Vocabulary:
    """The words of the passages: for prefixes, and to say how telling a word is.

    Args:
        bodies: texts that are indexed.
        stem: words -> their stems as the index has them, '' for stop words.
    """

    def __init__(self, bodies: Sequence[str], stem: "Stemmer") -> None:
        per_body = [set(words(body)) for body in bodies]
        self.words = sorted(set().union(*per_body))
        self._stem = stem
        self._stems = dict(zip(self.words, stem(self.words), strict=True))
        self.size = len(bodies)
        self.frequency: dict[str, int] = {}  # stem -> passages that have it
        self.word_frequency: dict[str, int] = {}
        for body in per_body:
            for found in {self._stems[word] for word in body} - {""}:
                self.frequency[found] = self.frequency.get(found, 0) + 1
            for word in body:
                self.word_frequency[word] = self.word_frequency.get(word, 0) + 1

    def stems(self, text: str) -> list[str]:
        """Stems of a text's content words, in order; words unknown here are stemmed all the same."""
        found = words(text)
        unknown = [word for word in dict.fromkeys(found) if word not in self._stems]
        extra = dict(zip(unknown, self._stem(unknown), strict=True)) if unknown else {}
        stems = (self._stems.get(word) or extra.get(word, "") for word in found)
        return [stem for stem in stems if stem]

    def idf(self, stem: str) -> float:
        """How telling a stem is: ln(1 + (N - n + 0.5) / (n + 0.5)), as in BM25; highest for one that no
        passage has.
        """
        n = self.frequency.get(stem, 0)
        return math.log(1 + (self.size - n + 0.5) / (n + 0.5))

    def weights(self, text: str) -> dict[str, float]:
        """The stems of a text's content words, each with its idf."""
        return {stem: self.idf(stem) for stem in self.stems(text)}

    def completions(self, prefix: str) -> list[str]:
        """Words that begin so, one a stem, the most frequent first."""
        best: dict[str, str] = {}
        for word in self.words[bisect_left(self.words, prefix) :]:
            if not word.startswith(prefix):
                break
            stem = self._stems[word]
            if stem and (stem not in best or self.word_frequency[word] > self.word_frequency[best[stem]]):
                best[stem] = word
        return sorted(best.values(), key=lambda word: -self.word_frequency[word])[:_EXPANSIONS]


class Stemmer:
    """Stems through the index's own analyzer, so that both sides agree on them."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __call__(self, found: Iterable[str]) -> list[str]:
        """The stem of each word, '' for a stop word."""
        stems: list[str] = []
        # The analyzer drops stop words and says nothing of where they stood, so a mark precedes each word.
        marked = "".join(f"{_MARK} {word} " for word in found)
        for token in self._table.tokenize(marked, column="body"):
            if token.text == _MARK:
                stems.append("")
            else:
                stems[-1] = token.text
        return stems


class TextIndex:
    """Full-text search over entries.

    Opening brings the table up to date (under the writers' lock if something changed) and rebuilds it when it
    is damaged.
    """

    def __init__(self, store: Store, entries: Sequence[Entry]) -> None:
        self._store = store
        self._entries = entries
        self._table = self._open()

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary([entry.body for entry in self._entries], Stemmer(self._table))

    def match(
        self, text: str, limit: int, kinds: Sequence[str] | None = None, citable: bool = False
    ) -> list[tuple[str, float]]:
        """Passages that have any of the words: (id, BM25), best first. citable: those that may answer."""
        from lancedb.query import MatchQuery

        return self._run(MatchQuery(text, "body"), limit, kinds, citable) if words(text) else []

    def complete(self, text: str, limit: int, kinds: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """As `match`, for a text that is still being typed: its last word also stands for the words that
        begin so.

        Passages with all the words come first; if there are none, those with any.
        """
        from lancedb.query import BooleanQuery, MatchQuery, Occur

        typed = words(text)
        if not typed:
            return []
        open_ended = text[-1:].isalnum()
        groups = [[word] for word in (typed[:-1] if open_ended else typed) if self.vocabulary.stems(word)]
        if open_ended:
            groups.append(list(dict.fromkeys([*self.vocabulary.completions(typed[-1]), typed[-1]])))
        if not groups:
            return []
        parts = [
            MatchQuery(group[0], "body")
            if len(group) == 1
            else BooleanQuery([(Occur.SHOULD, MatchQuery(word, "body")) for word in group])
            for group in groups
        ]
        found = self._run(BooleanQuery([(Occur.MUST, part) for part in parts]), limit, kinds)
        if not found and len(parts) > 1:
            found = self._run(BooleanQuery([(Occur.SHOULD, part) for part in parts]), limit, kinds)
        return found

    def _run(
        self, query: Any, limit: int, kinds: Sequence[str] | None, citable: bool = False
    ) -> list[tuple[str, float]]:
        try:
            return self._ask(query, limit, kinds, citable)
        except DAMAGE:  # files went missing under us: an old version cleaned up, a folder deleted
            self._table = self._open()
        try:
            return self._ask(query, limit, kinds, citable)
        except DAMAGE:
            self._table = self._open(distrust=True)
            return self._ask(query, limit, kinds, citable)

    def _ask(
        self, query: Any, limit: int, kinds: Sequence[str] | None, citable: bool
    ) -> list[tuple[str, float]]:
        search = self._table.search(query, query_type="fts")
        wanted = [] if kinds is None else [f"kind IN ({', '.join(_quoted(kind) for kind in kinds)})"]
        wanted += ["answers"] if citable else []
        if wanted:
            search = search.where(" AND ".join(wanted), prefilter=True)
        found = search.limit(limit).select(["id", "_score"]).to_arrow()
        return list(zip(found["id"].to_pylist(), found["_score"].to_pylist(), strict=True))

    def _open(self, distrust: bool = False) -> Any:
        if not distrust:
            table = self._store.table(TABLE)
            if table is not None and self._difference(table) == ([], []):
                return table
        with self._store.writing(), clear_disk_errors(self._store.uri):
            return self._written(distrust)

    def _difference(self, table: Any) -> tuple[list[Entry], list[str]] | None:
        """(entries to write, ids to delete); None when the table is damaged or has no full-text index."""
        try:
            list(table.tokenize(_MARK, column="body"))  # raises without a readable full-text index
            stored = table.search().select(["id", "digest"]).limit(None).to_arrow()
            have = dict(zip(stored["id"].to_pylist(), stored["digest"].to_pylist(), strict=True))
        except DAMAGE:
            return None
        wanted = {entry.chunk.id for entry in self._entries}
        return [e for e in self._entries if have.get(e.chunk.id) != e.digest], [
            id for id in have if id not in wanted
        ]

    def _written(self, distrust: bool) -> Any:
        """Bring the table up to date; the caller holds the lock."""
        from lancedb.index import FTS

        table = self._store.table(TABLE)
        difference = self._difference(table) if table is not None and not distrust else None
        if table is not None and difference is not None:
            try:
                changed, gone = difference
                if gone:
                    table.delete(f"id IN ({', '.join(_quoted(id) for id in gone)})")
                if changed:
                    merge = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
                    merge.execute(_rows(changed))
                if gone or changed:
                    table.optimize()
                return table
            except DAMAGE:
                pass
        self._store.drop(TABLE)
        table = self._store.db.create_table(TABLE, _rows(self._entries))
        table.create_index("body", config=FTS())
        return table


def _rows(entries: Sequence[Entry]) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            "id": [e.chunk.id for e in entries],
            "digest": [e.digest for e in entries],
            "kind": [e.chunk.kind for e in entries],
            "document": [e.chunk.document for e in entries],
            "anchor": [e.chunk.anchor for e in entries],
            "title": [e.chunk.title for e in entries],
            "text": [e.chunk.text for e in entries],
            "url": [e.chunk.url for e in entries],
            "body": [e.body for e in entries],
            "answers": [e.answers for e in entries],
        },
        schema=pa.schema(
            [(name, pa.string()) for name in ("id", "digest", "kind", "document", "anchor", "title")]
            + [("text", pa.string()), ("url", pa.string()), ("body", pa.string()), ("answers", pa.bool_())]
        ),
    )


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
