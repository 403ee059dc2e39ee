"""What `handbook bench understand --retrieval` scores: whether a question that was spelled, worded several
ways, or moved towards the passages found first finds more, over the golden sets of HANDBOOK_RETRIEVAL. No
chat model.

A typing error is one letter left out, put in, changed or swapped (seeded), in a word of five letters and
more that the corpus has, one in each query.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from handbook.rag import retrieve
from handbook.rag.beir import Golden
from handbook.rag.bm25 import BM25
from handbook.rag.evaluate import Rank, evaluate
from handbook.rag.fuse import reciprocal_rank_fusion
from handbook.rag.query.acronyms import Acronyms
from handbook.rag.query.expanding import hyde, multi_query
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.query.spelling import Speller
from handbook.rag.text import words

MEASURES = ("nDCG@10", "R@100")
DEPTH = 100
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def misspelt(text: str, lexicon: Lexicon, rng: random.Random) -> str:
    """The text with one error in one word, in letters that are not its first or last."""
    able = [m for m in re.finditer(r"\b[a-z]{5,}\b", text) if m.group() in lexicon.frequency]
    if not able:
        return text
    match = rng.choice(able)
    word, at = match.group(), rng.randrange(1, len(match.group()) - 1)
    wrong = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + rng.choice(LETTERS) + word[at:],
            word[:at] + rng.choice(LETTERS) + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return text[: match.start()] + wrong + text[match.end() :]


class Ways:
    """A golden set looked through in several ways. stem: words -> their stems, '' for stop words.

    embed: texts -> [N, D]; None leaves what needs it out. vectors: of the documents in their order, [N, D].
    """

    def __init__(
        self,
        found: Golden,
        stem: Callable[[Sequence[str]], Sequence[str]],
        embed: Callable[[Sequence[str]], Any] | None = None,
        vectors: Any = None,
        known: Callable[[str], bool] = lambda word: False,
    ) -> None:
        self.golden = found
        self.ids = list(found.documents)
        self.bodies = [text.whole for text in found.documents.values()]
        self.lexicon = Lexicon.of(self.bodies)
        self.acronyms = Acronyms.of(self.bodies)
        self.speller = Speller(self.lexicon, known)
        self._embed, self._vectors = embed, vectors
        vocabulary = sorted({word for body in self.bodies for word in words(body)})
        self._stem = stem
        self._stems = dict(zip(vocabulary, stem(vocabulary), strict=True))
        self._bm25 = BM25([self._cut(body) for body in self.bodies])
        rng = random.Random(0)
        self.wrong = {text: misspelt(text, self.lexicon, rng) for text in found.queries.values()}

    def _cut(self, text: str) -> list[str]:
        unknown = [word for word in words(text) if word not in self._stems]
        self._stems.update(zip(unknown, self._stem(unknown), strict=True))
        return [stem for word in words(text) if (stem := self._stems[word])]

    def lexical(self, text: str) -> list[str]:
        return [self.ids[place] for place, _ in self._bm25.search(self._cut(retrieve.subject(text)), DEPTH)]

    def worded(self, text: str) -> list[str]:
        """Rankings of all wordings, fused, the question's own counting twice."""
        queries = multi_query(text, self.acronyms).queries
        weights = [2.0, *(1.0 for _ in queries[1:])]
        fused = reciprocal_rank_fusion([self.lexical(one.text) for one in queries], weights=weights)
        return [id for id, _ in fused][:DEPTH]

    def near(self, vector: Any) -> list[str]:
        scores = self._vectors @ vector
        return [self.ids[int(place)] for place in (-scores).argsort(kind="stable")[:DEPTH]]

    def _of(self, texts: Sequence[str]) -> Any:
        """Vectors of texts, those of documents from the index."""
        import numpy as np

        assert self._embed is not None
        return np.stack(
            [self._vectors[self._place[t]] if t in self._place else self._embed([t])[0] for t in texts]
        )

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {body: place for place, body in enumerate(self.bodies)}

    def moved(self, text: str) -> list[str]:
        """By the question's vector with feedback: from what full text finds first."""
        by_id = dict(zip(self.ids, self.bodies, strict=True))
        supposed = hyde(text, self._of, search=lambda asked: [by_id[id] for id in self.lexical(asked)[:3]])
        return self.near(supposed.vector)

    def stages(self) -> dict[str, Rank]:
        found: dict[str, Rank] = {
            "BM25": self.lexical,
            "BM25, spelled": lambda text: self.lexical(self.speller.correct(text).text),
            "BM25, one error": lambda text: self.lexical(self.wrong[text]),
            "BM25, one error, spelled": lambda text: self.lexical(
                self.speller.correct(self.wrong[text]).text
            ),
            "BM25, wordings": self.worded,
        }
        if self._embed is not None:
            found["dense"] = lambda text: self.near(self._of([text])[0])
            found["dense, one error"] = lambda text: self.near(self._of([self.wrong[text]])[0])
            found["dense, one error, spelled"] = lambda text: self.near(
                self._of([self.speller.correct(self.wrong[text]).text])[0]
            )
            found["dense, feedback"] = self.moved
        return found

    def report(self) -> dict[str, Any]:
        changed = [text for text in self.golden.queries.values() if self.speller.correct(text).corrections]
        right = [text for text, wrong in self.wrong.items() if self.speller.correct(wrong).text == text]
        found = {
            "set": self.golden.name,
            "queries": len(self.golden.queries),
            "acronyms": len(self.acronyms.long),
        }
        found |= {"right queries changed": len(changed), "errors undone": len(right)}
        for one in evaluate(self.stages(), self.golden, MEASURES):
            means = {name: round(one.mean(name), 4) for name in MEASURES}
            found[one.stage] = means | {"p50_ms": round(1000 * one.percentile(0.5), 2)}
        return found


def retrieval() -> list[dict[str, Any]]:
    """A report for each golden set here."""
    import tempfile
    from pathlib import Path

    import pyarrow as pa
    from lancedb import connect
    from lancedb.index import FTS
    from rag import sets

    from handbook.embed import LocalEmbedder
    from handbook.rag.embed import VectorCache
    from handbook.rag.store import Store
    from handbook.rag.text import Stemmer
    from handbook.settings import load

    settings = load()
    embedder = LocalEmbedder(settings)
    pieces = embedder.tokenizer().get_vocab()
    cache = Store(str(settings.data / "golden"), settings.data / "golden.lock")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        table = connect(Path(folder)).create_table("words", pa.table({"body": ["any"]}))
        table.create_index("body", config=FTS())
        for golden in sets((), settings.retrieval, "test"):
            bodies = [text.whole for text in golden.documents.values()]
            vectors = VectorCache(cache, embedder).vectors(bodies)
            ways = Ways(golden, Stemmer(table), embedder.embed, vectors, lambda word: word in pieces)
            found.append(ways.report())
    return found
