"""How often the question box is right, and how fast: right passage near the top, right answer or refusal.

Questions: bench/ask/answerable.jsonl (each with the paragraphs that answer it) and unanswerable.jsonl (far
topics, near misses, tricks), in a half to develop on (dev) and one to report (test). Those up to a84 and u46
were written before the chapter's text and without its words; the later ones, in other words than the
chapter's, by somebody who had read the sections that they ask about, and before any was asked. What counts:
paragraphs that may be cited. An interview question counts through its paragraph, into which its prompt is
indexed; outlines, tables, code and question entries are left out of the ranking. `top` is the share of
questions with a right paragraph among the first 1, 3, 5: by full text, by vectors, fused, and fused and
reranked as shipped.

    handbook bench ask [--json] [--fit]

--fit fits the weights of the refusal (handbook/rag/confidence.json) on dev alone, and writes them.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from handbook.hardware.probe import probe

Rows = Sequence[dict[str, Any]]
SETS = Path(__file__).parent / "ask"
RIDGE = 1.0
CUT = 10  # a right paragraph beyond counts as not found
FALSE_SUPPORT = 0.05
SPLITS = ("dev", "test")
TYPED = ("k", "kv", "kv ca", "rope the", "softm", "mixture of exp", "flash", "apply_r", "why is deco", "gqa")


def read(name: str) -> list[dict[str, Any]]:
    lines = (SETS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def timed(call: Callable[[], Any], times: int = 1) -> list[float]:
    """Seconds of each call."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return took


def spread(seconds: Sequence[float]) -> dict[str, float]:
    ranked = sorted(seconds)
    p95 = ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]
    return {"p50_ms": round(statistics.median(ranked) * 1000, 2), "p95_ms": round(p95 * 1000, 2)}


def rankings(corpus: Any, question: str, vector: Any) -> dict[str, list[str]]:
    """Ids of citable paragraphs, best first, by each way of retrieving."""
    from handbook.rag import retrieve

    kinds = ("paragraph",)
    lexical = corpus.text.match(retrieve.subject(question), retrieve.DEPTH, kinds, citable=True)
    dense = corpus.dense.search(vector, retrieve.DEPTH, kinds, citable=True)
    fused = retrieve.fused(lexical, dense, corpus.entries)
    reranked = corpus.retrieve(question, CUT, kinds, citable=True, vector=vector)
    return {
        "lexical": [id for id, _ in lexical],
        "dense": [id for id, _ in dense],
        "fused": [hit.chunk.id for hit in fused],
        "reranked": [hit.chunk.id for hit in reranked],
    }


def retrieval(corpus: Any, questions: Rows, vectors: Any) -> dict[str, Any]:
    """Top 1, 3, 5 and mean reciprocal rank, by way and split."""
    ranks: dict[str, dict[str, list[float]]] = {}
    misses = []
    for row, vector in zip(questions, vectors, strict=True):
        for way, ids in rankings(corpus, row["question"], vector).items():
            rank = next((i for i, id in enumerate(ids, 1) if id in row["anchors"]), float("inf"))
            ranks.setdefault(way, {split: [] for split in SPLITS})[row["split"]].append(rank)
            if way == "reranked" and rank > 3 and row["split"] == "dev":
                misses.append({"id": row["id"], "question": row["question"], "found": ids[:3]})
    table = {
        way: {
            split: {
                "questions": len(some),
                **{f"top{k}": round(sum(rank <= k for rank in some) / len(some), 3) for k in (1, 3, 5)},
                "mrr": round(sum(1 / rank for rank in some) / len(some), 3),
            }
            for split, some in by_split.items()
        }
        for way, by_split in ranks.items()
    }
    return {"by_way": table, "dev_misses": misses}


def refusal(tutor: Any, answerable: Rows, unanswerable: Rows) -> dict[str, Any]:
    """Shares of questions answered and refused as they should be, by split, and how good the sources are."""
    result: dict[str, Any] = {}
    for split in SPLITS:
        yes = [(row, tutor.ask(row["question"])) for row in answerable if row["split"] == split]
        no = [(row, tutor.ask(row["question"])) for row in unanswerable if row["split"] == split]
        given = [(row, answer) for row, answer in yes if not answer.refused]
        cited = [
            any(c.chunk.id in row["anchors"] for s in answer.sentences for c in s.citations)
            for row, answer in given
        ]
        result[split] = {
            "answerable": len(yes),
            "unanswerable": len(no),
            "answered": round(len(given) / len(yes), 3),
            "refused": round(sum(answer.refused for _, answer in no) / len(no), 3),
            "cites_a_right_paragraph": round(sum(cited) / max(1, len(given)), 3),
            "sentences_per_answer": round(sum(len(a.sentences) for _, a in given) / max(1, len(given)), 2),
        }
        if split == "dev":
            wrong = [row["question"] for row, a in yes if a.refused]
            result["dev_wrongly_refused"] = wrong
            result["dev_wrongly_answered"] = [row["question"] for row, a in no if not a.refused]
    return result


def latency(corpus: Any, tutor: Any, answerable: Rows) -> dict[str, Any]:
    """Milliseconds after the first call of each."""
    asked = [row["question"] for row in answerable[:30]]
    corpus.search("warm")
    tutor.ask(asked[0])
    searching = [second for text in TYPED for second in timed(partial(corpus.search, text), 5)]
    asking = [second for question in asked for second in timed(partial(tutor.ask, question))]
    answer = tutor.ask(asked[0])
    stages = {stage: round(seconds * 1000, 2) for stage, seconds in answer.timings.items()}
    return {"search": spread(searching), "ask": spread(asking), "ask_stages_ms": stages}


def opening(settings: Any, embedder: Any) -> tuple[Any, dict[str, Any]]:
    """A corpus built from nothing in a folder of its own, then opened again up to date; seconds of each."""
    from handbook.book.load import open_book
    from handbook.rag.own import open_corpus

    book = open_book(settings.book)
    import lancedb  # noqa: F401  (its import is the process's, not the corpus's)

    embedder.embed(["warm"])
    with tempfile.TemporaryDirectory() as folder:
        fresh = settings.model_copy(update={"data": Path(folder), "store_url": str(Path(folder) / "index")})
        began = time.perf_counter()
        corpus = open_corpus(book, fresh, embedder)
        corpus.build()
        built = time.perf_counter() - began

        def again() -> None:
            open_corpus(book, fresh, embedder).build()

        reopened = timed(again, 5)
        texts = sum(len(entry.vectors_of) for entry in corpus.entries.values())
        corpus.search("all of it read")  # so that nothing is needed from the folder that goes away
        seconds = {"build": round(built, 2), "open_up_to_date": round(statistics.median(reopened), 3)}
    final = open_corpus(book, settings, embedder)
    final.build()
    return final, {**seconds, "passages": len(corpus.entries), "texts_embedded": texts}


def logistic(X: Any, y: Any, weight: Any) -> tuple[float, Any]:
    """Bias and weights of a ridge logistic regression (features standardised inside), by Newton steps."""
    mean, scale = X.mean(0), X.std(0) + 1e-9
    Z = np.hstack([np.ones((len(X), 1)), (X - mean) / scale])
    penalty = RIDGE * np.eye(Z.shape[1])
    penalty[0, 0] = 0
    beta = np.zeros(Z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-Z @ beta))
        gradient = Z.T @ (weight * (p - y)) + penalty @ beta
        hessian = Z.T @ (Z * (weight * p * (1 - p))[:, None]) + penalty
        beta -= np.linalg.solve(hessian, gradient)
    slopes = beta[1:] / scale
    return float(beta[0] - slopes @ mean), slopes


def features_of(corpus: Any, questions: Rows, vectors: Any) -> Any:
    from handbook.rag.confidence import NAMES, features
    from handbook.tutor import CONSIDERED

    rows = []
    for row, vector in zip(questions, vectors, strict=True):
        able = corpus.retrieve(row["question"], CONSIDERED, citable=True, vector=vector)
        bodies = [corpus.entries[hit.chunk.id].body for hit in able]
        found = features(row["question"], [hit.dense for hit in able], bodies, corpus.vocabulary)
        rows.append([found[name] for name in NAMES])
    return np.array(rows)


def support_thresholds(corpus: Any, book: Any) -> dict[str, Any]:
    """Cosine and share of words from which a passage carries a sentence: the pair that keeps the most that it
    should and lets at most one in twenty through that it should not.

    Should: sentences of a question's model answer against the paragraph that answers, though it does not say
    all of a model answer. Should not: these sentences against what is retrieved for the question from other
    sections, near the topic and about something else.
    """
    from handbook.rag import sentences, support

    sections = {f"{slug}#{p.anchor}": p.section for slug, c in book.chapters.items() for p in c.paragraphs}
    own_pairs, other_pairs = [], []
    for question in book.questions.values():
        own = f"{question.chapter.rpartition('/')[2]}#{question.anchor}"
        if own not in corpus.entries or not corpus.entries[own].answers:
            continue
        hits = [hit.chunk.id for hit in corpus.retrieve(question.prompt, 8, citable=True)]
        others = [id for id in hits if sections[id] != sections[own]]
        written = sentences.split(" ".join(question.answer.split()))
        for text, vector in zip(written, corpus.embedder.embed(written), strict=True):
            carried = partial(
                support.carried,
                terms=corpus.vocabulary,
                sentence=text,
                vector=vector,
                question=question.prompt,
            )
            own_pairs.append(carried(corpus.passage(own)))
            other_pairs += [carried(corpus.passage(id)) for id in others]

    def kept(pairs: Sequence[Any], least: tuple[float, float]) -> float:
        return sum(pair.enough(*least) for pair in pairs) / max(1, len(pairs))

    grid = [(cosine, words) for cosine in np.arange(0.3, 0.71, 0.02) for words in np.arange(0.2, 0.81, 0.05)]
    strict = [least for least in grid if kept(other_pairs, least) <= FALSE_SUPPORT]
    best = max(strict, key=lambda least: kept(own_pairs, least))
    return {
        "cosine": round(float(best[0]), 2),
        "words": round(float(best[1]), 2),
        "own_pairs": len(own_pairs),
        "other_pairs": len(other_pairs),
        "own_kept": round(kept(own_pairs, best), 3),
        "other_kept": round(kept(other_pairs, best), 3),
    }


def fit(corpus: Any, book: Any, answerable: Any, unanswerable: Any, place: Path) -> dict[str, Any]:
    """Fit on dev, write the weights, say what they are. Both kinds of question weigh the same."""
    from handbook.rag.confidence import NAMES

    rows = [row for row in (*answerable, *unanswerable) if row["split"] == "dev"]
    X = features_of(corpus, rows, corpus.embedder.embed([row["question"] for row in rows]))
    y = np.array([float("anchors" in row) for row in rows])
    weight = np.where(y == 1, len(y) / (2 * y.sum()), len(y) / (2 * (len(y) - y.sum())))
    bias, slopes = logistic(X, y, weight)
    support = support_thresholds(corpus, book)
    weights = {
        "made_by": "handbook bench ask --fit: ridge logistic regression on the dev half, balanced",
        "embedder": corpus.embedder.name,
        "bias": round(bias, 4),
        "weights": {name: round(float(slope), 4) for name, slope in zip(NAMES, slopes, strict=True)},
        "support": support["cosine"],
        "support_words": support["words"],
        "support_measured": support,
    }
    place.write_text(json.dumps(weights, indent=2) + "\n", encoding="utf-8")
    return weights


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench ask", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--fit", action="store_true", help="fit the refusal on dev and write its weights first"
    )
    arguments = parser.parse_args(argv)

    from handbook.book.load import open_book
    from handbook.embed import open_embedder
    from handbook.rag import confidence
    from handbook.settings import load
    from handbook.tutor import Tutor

    settings = load()
    embedder = open_embedder(settings)
    answerable, unanswerable = read("answerable"), read("unanswerable")
    corpus, times = opening(settings, embedder)
    report: dict[str, Any] = {
        "schema": "handbook.bench.ask/1",
        "machine": probe().label,
        "date": date.today().isoformat(),
    }
    report["embedder"] = embedder.name
    if arguments.fit:
        place = Path(confidence.__file__).with_name("confidence.json")
        report["fitted"] = fit(corpus, open_book(settings.book), answerable, unanswerable, place)
        confidence.fitted.cache_clear()
    known = {entry.chunk.id for entry in corpus.entries.values() if entry.answers}
    report["unknown_anchors"] = sorted({a for row in answerable for a in row["anchors"]} - known)
    vectors = embedder.embed([row["question"] for row in answerable])
    report["retrieval"] = retrieval(corpus, answerable, vectors)
    tutor = Tutor(corpus, embedder)
    report["refusal"] = refusal(tutor, answerable, unanswerable)
    report["seconds"] = times
    report["latency"] = latency(corpus, tutor, answerable)
    print(json.dumps(report, indent=2) if arguments.json else in_words(report))
    return 0


def in_words(report: dict[str, Any]) -> str:
    lines = [f"{report['machine']}, {report['date']}, {report['embedder']}"]
    for way, by_split in report["retrieval"]["by_way"].items():
        for split, row in by_split.items():
            tops = " ".join(f"{row[f'top{k}']:.3f}" for k in (1, 3, 5))
            lines.append(f"{way:<8} {split:<5} top 1/3/5: {tops}  mrr {row['mrr']:.3f}")
    for split in SPLITS:
        row = report["refusal"][split]
        shares = f"answered {row['answered']:.3f}, refused {row['refused']:.3f}"
        lines.append(f"{split}: {shares}, cites a right paragraph {row['cites_a_right_paragraph']:.3f}")
    misses = report["retrieval"]["dev_misses"]
    lines += [f"dev miss: {miss['question']} -> {', '.join(miss['found'])}" for miss in misses]
    for wrong in ("refused", "answered"):
        lines += [
            f"dev wrongly {wrong}: {question}" for question in report["refusal"][f"dev_wrongly_{wrong}"]
        ]
    lines += [f"unknown anchors: {report['unknown_anchors']}"] if report["unknown_anchors"] else []
    return "\n".join([*lines, f"seconds: {report['seconds']}", f"latency: {report['latency']}"])


if __name__ == "__main__":
    sys.exit(main())
