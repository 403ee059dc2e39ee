"""Whether documents that hold an answer are told from those that don't: the refusal over anybody's corpora.

Fitted (--fit) on questions over this book alone, its chapters read as ordinary Markdown files: those of
bench/ask's dev half, which the book answers or doesn't. Reported on its test half, and on sets that no
number here was chosen by: each golden set's questions asked of its own documents, which should be answered,
and of every other set's, which should be refused. A question of one set may by chance be answered by
another, so a share of wrong answers is an upper bound. Also: which corpus `auto` chooses for each question,
and how many sentences of the documents are taken for orders to a model.

    handbook bench answers [FOLDER ...] [--fit] [--limit N] [--threads N] [--json]

Folders as in `handbook bench rag`. --fit writes handbook/rag/confidence_corpora.json.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from ask import logistic, read
from rag import progress, sets

from handbook.hardware.probe import probe
from handbook.rag import confidence, sentences
from handbook.rag.beir import Text
from handbook.rag.chunk import chunk, rows
from handbook.rag.columns import body
from handbook.rag.confidence import NAMES
from handbook.rag.index import Index
from handbook.rag.ingest import parse
from handbook.rag.nouns import Row
from handbook.rag.orders import orders
from handbook.rag.pipeline import Pipeline
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.query.routing import by_rule
from handbook.rag.tokens import count_of

TENANT = "local"
QUESTIONS = 300  # of a set, at most


def chapters(folder: Path, embedder: Any) -> list[Row]:
    """The book's chapters as anybody's Markdown files."""
    count = count_of(embedder)
    found = []
    for path in sorted(folder.glob("*/*.md")):
        parsed = parse(path)
        found += rows(parsed, chunk(parsed, count=count), TENANT)
    return found


def of_golden(golden: Any) -> list[Row]:
    return [
        Row(f"{number}-0", id, text.text, 0, len(text.text), text.title, kind="text", tenant=TENANT)
        for number, (id, text) in enumerate(golden.documents.items())
    ]


@contextmanager
def opened(name: str, some: Sequence[Row], embedder: Any, vectors: Any) -> Iterator[Pipeline]:
    """A corpus of these rows, in a folder of its own."""
    from handbook.rag.store import Store

    with tempfile.TemporaryDirectory() as folder:
        index = Index(Store(folder, Path(folder) / "lock"), name, embedder.dimension, embedder.name)
        index.write(some, vectors)
        index.compact(TENANT)
        pipeline = Pipeline(name, index, TENANT, embedder, Lexicon.of(row.text for row in some))
        yield pipeline
        pipeline.close()


def asked(pipeline: Pipeline, questions: Sequence[str]) -> tuple[list[Any], float]:
    """The answers, and the median seconds of one."""
    pipeline.ask(questions[0])
    answers, took = [], []
    for question in questions:
        began = time.perf_counter()
        answers.append(pipeline.ask(question))
        took.append(time.perf_counter() - began)
    return answers, statistics.median(took)


def features_of(answers: Sequence[Any]) -> Any:
    """[Q, F], as the decision had them."""
    steps = [next(step for step in answer.steps if step.stage == "synthesize.decide") for answer in answers]
    return np.array([[step.produced[name] for name in NAMES] for step in steps])


def share(answers: Sequence[Any]) -> float:
    return round(sum(not answer.refused for answer in answers) / max(1, len(answers)), 3)


def fit(pipeline: Pipeline, place: Path) -> dict[str, Any]:
    """Fit on dev over the book's chapters, write the weights. Both kinds of question weigh the same."""
    yes = [row["question"] for row in read("answerable") if row["split"] == "dev"]
    no = [row["question"] for row in read("unanswerable") if row["split"] == "dev"]
    X = np.concatenate([features_of(asked(pipeline, some)[0]) for some in (yes, no)])
    y = np.array([1.0] * len(yes) + [0.0] * len(no))
    weight = np.where(y == 1, len(y) / (2 * len(yes)), len(y) / (2 * len(no)))
    bias, slopes = logistic(X, y, weight)
    book = confidence.fitted()
    weights = {
        "made_by": "handbook bench answers --fit: ridge logistic regression on the dev half, balanced",
        "embedder": pipeline.embedder.name,
        "bias": round(bias, 4),
        "weights": {name: round(float(slope), 4) for name, slope in zip(NAMES, slopes, strict=True)},
        "support": book.support,
        "support_words": book.support_words,
    }
    place.write_text(json.dumps(weights, indent=2) + "\n", encoding="utf-8")
    return weights


def chosen(pipelines: Mapping[str, Pipeline], questions: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Of each set's questions, the share for which routing's first choice is that set, or names it at all."""
    profiles = [pipeline.profile for pipeline in pipelines.values()]
    found = {}
    for name, some in questions.items():
        routes = [by_rule(question, profiles).corpora for question in some]
        found[name] = {
            "first": round(sum(route[:1] == (name,) for route in routes) / len(routes), 3),
            "among": round(sum(name in route for route in routes) / len(routes), 3),
        }
    return found


def alarms(some: Sequence[Row]) -> dict[str, int]:
    """Sentences of documents, and how many of them are taken for orders to a model."""
    count = taken = 0
    for row in some:
        spans = sentences.spans(row.text)
        count += len(spans)
        taken += len(orders(row.text, spans))
    return {"sentences": count, "taken_for_orders": taken}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench answers", description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--fit", action="store_true", help="fit the refusal on dev first, and write it")
    parser.add_argument("--limit", type=int, default=QUESTIONS, help="questions of a set")
    parser.add_argument("--threads", type=int, help="of the encoder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)

    from contextlib import ExitStack

    from handbook.book.load import open_book
    from handbook.embed import open_embedder
    from handbook.rag.embed import VectorCache
    from handbook.rag.store import Store
    from handbook.settings import load

    settings = load(threads=options.threads)
    embedder = open_embedder(settings)
    cache = VectorCache(Store(str(settings.data / "golden"), settings.data / "golden.lock"), embedder)
    golden = (
        sets(options.folders, settings.retrieval, "test") if options.folders or settings.retrieval else []
    )
    corpora = {"book": chapters(open_book(settings.book).root, embedder)}
    corpora |= {one.name: of_golden(one) for one in golden}
    questions = {
        "book": [row["question"] for row in read("answerable") if row["split"] == "test"],
        "nobody": [row["question"] for row in read("unanswerable") if row["split"] == "test"],
        **{one.name: list(one.queries.values())[: options.limit] for one in golden},
    }
    with ExitStack() as stack:
        pipelines = {}
        for name, some in corpora.items():
            vectors = cache.vectors([_text(row, name) for row in some], progress)
            pipelines[name] = stack.enter_context(opened(name, some, embedder, vectors))
        said: dict[str, Any] = {
            "schema": "handbook.bench.answers/1",
            "machine": probe().label,
            "date": date.today().isoformat(),
            "embedder": embedder.name,
        }
        if options.fit:
            place = Path(confidence.__file__).with_name("confidence_corpora.json")
            said["fitted"] = fit(pipelines["book"], place)
            confidence.fitted.cache_clear()
            for pipeline in pipelines.values():
                pipeline.weights = confidence.fitted("confidence_corpora")
        said["answered"] = {}
        said["p50_ms"] = {}
        for name, pipeline in pipelines.items():
            answers = {of: asked(pipeline, some) for of, some in questions.items()}
            said["answered"][name] = {of: share(given) for of, (given, _) in answers.items()}
            said["p50_ms"][name] = round(1e3 * answers[name][1], 1)
        said["questions"] = {of: len(some) for of, some in questions.items()}
        said["routed"] = chosen(pipelines, {name: questions[name] for name in pipelines})
        said["orders"] = {name: alarms(some) for name, some in corpora.items()}
    print(json.dumps(said, indent=2) if options.json else in_words(said))
    return 0


def _text(row: Row, name: str) -> str:
    """What is embedded; of golden sets as `bench/rag.py` has it, whose vectors are kept."""
    return body(row) if name == "book" else Text(row.title, row.text).whole


def in_words(said: Mapping[str, Any]) -> str:
    lines = [f"{said['machine']}, {said['date']}, {said['embedder']}", "share answered, by corpus (row):"]
    names = list(said["questions"])
    lines.append(f"{'':<10}" + "".join(f"{name:>10}" for name in names))
    for name, row in said["answered"].items():
        lines.append(f"{name:<10}" + "".join(f"{row[of]:10.3f}" for of in names))
    lines += [f"{name}: p50 of an answer {value} ms" for name, value in said["p50_ms"].items()]
    for name, row in said["routed"].items():
        lines.append(f"routing of {name}'s questions: first {row['first']:.3f}, among {row['among']:.3f}")
    for name, row in said["orders"].items():
        lines.append(f"{name}: {row['taken_for_orders']} of {row['sentences']} sentences taken for orders")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
