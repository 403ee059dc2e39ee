"""Stage 8: what the shipped cross-encoder makes of the best of both fused, and what goes without it."""

from functools import cache

from handbook.lab import kit
from handbook.lab.rag.retrieval import candidates
from handbook.lab.rag.subjects import NDCG, SMALL, Subject, subject
from handbook.rag.cross import POOL, Cross
from handbook.rag.evaluate import difference, scores
from handbook.rag.nouns import Found, Row
from handbook.reranking import OWN, LocalReranker, open_reranker
from handbook.settings import load as load_settings

EQUAL = 1.0  # weight of the model's score, where retrieval's counts 1
QUESTIONS, FEW = 12, 8  # small settings: questions, passages that are looked at


@cache
def scorer() -> LocalReranker:
    return open_reranker(OWN, load_settings())


def hits(found: Subject, name: str, query: str, pool: int, small: bool) -> list[Found]:
    """The best of both fused with their texts; small: the part that is embedded."""
    made = []
    for id, score in candidates(found, query)[:pool]:
        text = found.golden.documents[id]
        said = text.text[: SMALL[name].characters] if small and name in SMALL else text.text
        made.append(Found(Row(id, id, said, 0, len(said), text.title), score))
    return made


@cache
def _reranked(name: str, small: bool) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Rankings as fused, and by the cross-encoder with retrieval's say."""
    found = subject(name, small)
    order = Cross(scorer(), EQUAL, FEW if small else POOL)
    plain, moved = {}, {}
    with kit.quiet():
        for query in list(found.golden.queries)[: QUESTIONS if small else None]:
            before = hits(found, name, query, FEW if small else POOL, small)
            plain[query] = [hit.row.id for hit in before]
            moved[query] = [hit.row.id for hit in order(found.golden.queries[query], before)]
    return plain, moved


def _quality(name: str, small: bool) -> tuple[dict[str, float], dict[str, float]]:
    """nDCG@10 of each question, as fused and reranked."""
    runs = _reranked(name, small)
    judged = {query: subject(name, small).golden.judged[query] for query in runs[0]}
    plain, moved = (dict(scores("", one, judged, [NDCG]).values[NDCG]) for one in runs)
    return plain, moved


def _gain(name: str, small: bool) -> list[float]:
    plain, moved = _quality(name, small)
    found = difference(moved, plain)
    return [found.low, found.mean, found.high]


def cross_gain_scifact(small: bool = True) -> list[float]:
    return _gain("scifact", small)


def cross_gain_cacm(small: bool = True) -> list[float]:
    return _gain("cacm", small)


def cross_gain_book(small: bool = True) -> list[float]:
    return _gain("book", small)


def cross_scifact(small: bool = True) -> float:
    """nDCG@10 after it."""
    moved = _quality("scifact", small)[1]
    return sum(moved.values()) / len(moved)


def cross_cacm(small: bool = True) -> float:
    moved = _quality("cacm", small)[1]
    return sum(moved.values()) / len(moved)


def book_fused(small: bool = True) -> float:
    """nDCG@10 over the book's paragraphs as fused."""
    plain = _quality("book", small)[0]
    return sum(plain.values()) / len(plain)


def book_reranked(small: bool = True) -> float:
    """And after it."""
    moved = _quality("book", small)[1]
    return sum(moved.values()) / len(moved)
