"""Stage 2: how the size of chunks, what stands above them and where they are cut decide what is found.

A question counts by the share of its answering paragraph that lies in what is handed on: chunks, the nearest
first, as many as fit into a budget of tokens. So large chunks are not better for being large: fewer fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from handbook.lab.rag.chapters import Shelf, shelf
from handbook.lab.rag.embedding import WINDOW
from handbook.lab.rag.subjects import Vectors, embed, embedder, kept
from handbook.rag.chunk import Method, chunk, rows
from handbook.rag.columns import body
from handbook.rag.nouns import Row, Span
from handbook.rag.tokens import Count, count_of

BUDGET = 800  # tokens that a chat model is handed
SENTENCE_ENDS = ".?!:|`$)\"'"


@cache
def count() -> Count:
    return count_of(embedder())


@dataclass(frozen=True)
class Cut:
    """A shelf in chunks. tokens: of each chunk as it stands in its document."""

    rows: tuple[Row, ...]
    documents: tuple[int, ...]
    tokens: tuple[int, ...]


@cache
def cut(small: bool, limit: int, method: Method = "markdown", overlap: int = 0, parent: int = 0) -> Cut:
    found: list[Row] = []
    documents: list[int] = []
    for number, parsed in enumerate(shelf(small).documents):
        some = rows(parsed, chunk(parsed, method, limit, overlap, count(), parent=parent))
        found += some
        documents += [number] * len(some)
    tokens = tuple(count()(row.text) for row in found)
    return Cut(tuple(found), tuple(documents), tokens)


@cache
def vectors(
    small: bool, limit: int, method: Method = "markdown", overlap: int = 0, titled: bool = True
) -> Vectors:
    texts = [body(row) if titled else row.text for row in cut(small, limit, method, overlap).rows]
    return embed(texts) if small else kept(texts)


@cache
def asked(small: bool) -> Vectors:
    return embed([question.text for question in shelf(small).questions])


def budget(small: bool) -> int:
    return BUDGET // 2 if small else BUDGET


def covered(start: int, end: int, places: Sequence[tuple[int, int]]) -> float:
    """Share of start:end that lies in one of the places, 0 to 1."""
    inside = np.zeros(end - start, bool)
    for first, last in places:
        inside[max(0, first - start) : max(0, last - start)] = True
    return float(inside.mean())


def handed(found: Cut, order: Sequence[int], most: int) -> list[int]:
    """The first chunks that fit together, the first one in any case."""
    taken: list[int] = []
    room = most
    for place in order:
        room -= found.tokens[place]
        if room < 0 and taken:
            break
        taken.append(place)
    return taken


def recalls(at: Shelf, found: Cut, near: Vectors, questions: Vectors, most: int) -> list[float]:
    """For each question the share of its paragraph that is handed on."""
    scores = questions @ near.T
    shares = []
    for question, row in zip(at.questions, scores, strict=True):
        taken = handed(found, np.argsort(-row, kind="stable").tolist(), most)
        places = [
            (found.rows[place].start, found.rows[place].end)
            for place in taken
            if found.documents[place] == question.document
        ]
        shares.append(covered(question.start, question.end, places))
    return shares


def recall(
    small: bool, limit: int, method: Method = "markdown", overlap: int = 0, titled: bool = True
) -> list[float]:
    found, near = cut(small, limit, method, overlap), vectors(small, limit, method, overlap, titled)
    return recalls(shelf(small), found, near, asked(small), budget(small))


def interval(better: Sequence[float], than: Sequence[float]) -> list[float]:
    """Lower end, mean and upper end of the paired difference, at 95 in 100."""
    from handbook.rag.evaluate import difference

    one, other = (dict(enumerate(map(float, side))) for side in (better, than))
    found = difference({str(k): v for k, v in one.items()}, {str(k): v for k, v in other.items()})
    return [found.low, found.mean, found.high]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def chunk_recall_50(small: bool = True) -> float:
    return _mean(recall(small, 50))


def chunk_recall_100(small: bool = True) -> float:
    return _mean(recall(small, 100))


def chunk_recall_200(small: bool = True) -> float:
    return _mean(recall(small, 200))


def chunk_recall_400(small: bool = True) -> float:
    return _mean(recall(small, 400))


def chunk_recall_800(small: bool = True) -> float:
    return _mean(recall(small, 800))


def chunk_unread(small: bool = True) -> float:
    """Share of the tokens of chunks of up to 800 that lie beyond what the encoder reads."""
    found = [count()(body(row)) + 2 for row in cut(small, 800).rows]
    return sum(max(0, tokens - WINDOW) for tokens in found) / sum(found)


def chunk_titles_gain(small: bool = True) -> list[float]:
    """Titles in the embedded text over the text alone."""
    return interval(recall(small, 100), recall(small, 100, titled=False))


def chunk_overlap_gain(small: bool = True) -> list[float]:
    """A quarter of overlap over none, in windows of 200 tokens that are cut anywhere, where it should help
    most."""
    return interval(recall(small, 200, "fixed", 50), recall(small, 200, "fixed"))


def chunk_overlap_cost(small: bool = True) -> float:
    """Chunks to embed and to keep, with that overlap over without."""
    return len(cut(small, 200, "fixed", 50).rows) / len(cut(small, 200, "fixed").rows)


def chunk_structure_gain(small: bool = True) -> list[float]:
    """Cut at headings and between blocks over windows of as many tokens."""
    return interval(recall(small, 200), recall(small, 200, "fixed"))


def _within_a_sentence(small: bool, method: Method) -> float:
    ends = [row.text.rstrip()[-1:] for row in cut(small, 100, method).rows]
    return _mean([end not in SENTENCE_ENDS for end in ends])


def chunk_cut_fixed(small: bool = True) -> float:
    """Share of windows of 100 tokens that end within a sentence."""
    return _within_a_sentence(small, "fixed")


def chunk_cut_markdown(small: bool = True) -> float:
    """The same of chunks cut by structure; headings alone and lines of tables count as ends."""
    return _within_a_sentence(small, "markdown")


def parents_recall(small: bool, limit: int = 50, parent: int = 200) -> list[float]:
    """Found by small chunks, handed on as the larger parts that they are of, within the same budget."""
    at, found = shelf(small), cut(small, limit, parent=parent)
    near = vectors(small, limit)
    shares = []
    for question, row in zip(at.questions, asked(small) @ near.T, strict=True):
        places: list[tuple[int, tuple[int, int]]] = []
        room = budget(small)
        for place in np.argsort(-row, kind="stable").tolist():
            one = found.rows[place]
            wide = found.documents[place], one.parent or (one.start, one.end)
            if wide in places:
                continue
            text = at.documents[wide[0]].text[slice(*wide[1])]
            room -= count()(text)
            if room < 0 and places:
                break
            places.append(wide)
        own = [span for document, span in places if document == question.document]
        shares.append(covered(question.start, question.end, own))
    return shares


def chunk_parents_gain(small: bool = True) -> list[float]:
    """Over the small chunks themselves."""
    return interval(parents_recall(small), recall(small, 50))


def chunk_200_over_400(small: bool = True) -> list[float]:
    """Chunks of at most 200 tokens over those of at most 400."""
    return interval(recall(small, 200), recall(small, 400))


def chunk_parents_short(small: bool = True) -> list[float]:
    """Chunks of 200 tokens over parents of as many that were found by 50."""
    return interval(recall(small, 200), parents_recall(small))


def by_limit(small: bool = True) -> dict[str, list[tuple[float, float]]]:
    """Recall by the size of chunks, for the plot."""
    methods: tuple[Method, ...] = ("fixed", "markdown")
    return {
        method: [(limit, _mean(recall(small, limit, method))) for limit in (25, 50, 100, 200, 400, 800)]
        for method in methods
    }


def spans(text: str, method: Method, limit: int, overlap: int) -> list[tuple[Span, str]]:
    """Chunks of any text, for the explorer: each with the text that is embedded for it."""
    from handbook.rag.ingest import parse

    parsed = parse(text.encode(), "text.md")
    cuts = chunk(parsed, method, limit, overlap, count(), embed=embed)
    return [(span, body(row)) for span, row in zip(cuts, rows(parsed, cuts), strict=True)]
