"""Trains the reranker that ships with the package, from texts that are on this machine, on one thread.

The embedding model's lower blocks stay as they are and read each text alone; its upper blocks read question
and passage together and get a LoRA. A step is a few questions with the passage that answers each and others
that retrieval found for it. Material: bench/_pairs.py. Nothing is stopped early and nothing is picked: the
last state is the one that is kept. Then weights of the blend are tried on what was held out, whole packages
and half of the book's questions.

    handbook bench reranker [--steps 340] [--seed 0] [--out FILE] [--json]
    handbook bench reranker --score [--weights FILE]       the held-out part alone, and the time of a question
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _pairs import HELD_OUT, LICENCES, Pair, alike, book_pairs, digest, docstring_pairs, versions

from handbook.hardware.probe import probe
from handbook.rag.bm25 import BM25
from handbook.rag.cross import POOL, Cross
from handbook.rag.fuse import reciprocal_rank_fusion
from handbook.rag.nouns import Found, Row
from handbook.rag.retrieve import FLATNESS
from handbook.rag.text import words

GROUPS = 4  # questions a step
WRONG = 7  # passages beside the right one
HARD = 20  # first places that wrong ones are drawn from
PASSAGE = 112  # tokens of a passage in training
QUESTION = 64
DEPTH = 60
RANK = 32
RATE = 1e-3
JOINED = 3  # block from which on question and passage are read together
BOOK_TIMES = 2  # that a question of the book is seen for one of a docstring
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
ASKED = 120  # held-out questions of each kind


class Material(NamedTuple):
    """Questions, and the passages among which each one's is looked for. own: its passage's place."""

    name: str
    pairs: list[Pair]
    passages: list[str]
    own: list[int]


def gathered(name: str, pairs: Sequence[Pair], more: Sequence[Pair] = ()) -> Material:
    """Each passage once, those of `more`, which are not asked, too."""
    places = {
        passage: place for place, passage in enumerate(dict.fromkeys(p.passage for p in (*pairs, *more)))
    }
    return Material(name, list(pairs), list(places), [places[pair.passage] for pair in pairs])


def found(material: Material, rows: Sequence[int], vectors: Any) -> list[list[tuple[int, float]]]:
    """For each of these questions the passages that both retrievers bring, fused as in the question box."""
    lexical = BM25([words(passage) for passage in material.passages])
    asked, passages = vectors([material.pairs[row].question for row in rows]), vectors(material.passages)
    rankings = []
    for row, vector in zip(rows, asked, strict=True):
        near = np.argsort(-(passages @ vector), kind="stable")[:DEPTH]
        by_words = lexical.search(words(material.pairs[row].question), DEPTH)
        rankings.append(
            reciprocal_rank_fusion([[place for place, _ in by_words], [int(p) for p in near]], FLATNESS)
        )
    return rankings


def groups(material: Material, rows: Sequence[int], vectors: Any, random_: random.Random) -> list[list[int]]:
    """[question, its passage, WRONG others]: of each question that has as many hard ones."""
    by_place = dict(zip(material.own, material.pairs, strict=True))
    made = []
    for row, ranking in zip(rows, found(material, rows, vectors), strict=True):
        own = material.own[row]
        others: list[int] = []
        for place, _ in ranking:
            if place != own and len(others) < HARD and not alike(material.pairs[row], by_place[place]):
                others.append(place)
        if len(others) >= WRONG:
            made.append([row, own, *random_.sample(others, WRONG)])
    return made


def embedder(settings: Any) -> Any:
    """Texts -> unit vectors, of as much of a text as is read in training."""
    from handbook.embed import LocalEmbedder

    local = LocalEmbedder(settings)
    _, tokenizer = local.load()
    tokenizer.enable_truncation(PASSAGE)
    return local.embed


def train(settings: Any, steps: int, seed: int, out: Path) -> dict[str, Any]:
    """Trains, writes `out`, and says what it was."""
    import torch

    from handbook.embed import folder_of, read_tokenizer
    from handbook.model.cross import CrossEncoder, Likeness, own_bytes
    from handbook.model.encoder import load_encoder
    from handbook.train import loop
    from handbook.train.config import TrainConfig
    from handbook.train.lora import add_lora, lora_layers
    from handbook.train.lora_config import LoRAConfig
    from handbook.train.ranking import Kept, grouped, objective
    from handbook.train.whole import written_whole

    random_ = random.Random(seed)
    torch.manual_seed(seed)
    told("gathering docstrings")
    docs, book = pairs_of(settings, seed)
    docs = [pair for pair in docs if pair.source not in HELD_OUT]
    vectors = embedder(settings)
    needed = steps * GROUPS
    material = gathered("docstrings", docs)
    chosen = random_.sample(range(len(docs)), min(len(docs), int(1.3 * needed)))
    told(f"looking for hard passages among {len(docs):,}")
    rows = [(0, *group) for group in groups(material, chosen, vectors, random_)]
    own = gathered("book", book)
    rows_of_book = [(1, *group) for group in groups(own, range(len(book)), vectors, random_)]
    rows = rows[: max(0, needed - BOOK_TIMES * len(rows_of_book))] + rows_of_book * BOOK_TIMES
    random_.shuffle(rows)
    rows = rows[:needed]

    folder = folder_of(settings.embedder, settings)
    encoder, tokenizer = load_encoder(folder), read_tokenizer(folder)
    tokenizer.no_padding()
    targets = f"blocks.[{JOINED}-{encoder.config.layers - 1}]"
    add_lora(encoder, LoRAConfig(r=RANK, alpha=2 * RANK, targets=targets), seed)
    model = CrossEncoder(encoder, Likeness(encoder.config.dim), JOINED)
    kept = []
    for each in (material, own):
        tokenizer.enable_truncation(QUESTION)
        asked = [one.ids for one in tokenizer.encode_batch_fast([pair.question for pair in each.pairs])]
        tokenizer.enable_truncation(PASSAGE)
        texts = [one.ids for one in tokenizer.encode_batch_fast(each.passages)]
        kept.append((Kept(model, asked), Kept(model, texts)))

    def batch(step: int) -> Any:
        taken = rows[step * GROUPS : (step + 1) * GROUPS]
        micros = []
        for which, (asked, texts) in enumerate(kept):
            mine = [(row[1], row[2:]) for row in taken if row[0] == which]
            if mine:
                micros.append(grouped(asked, texts, mine))
        return micros

    steps = len(rows) // GROUPS
    config = TrainConfig(
        steps=steps, rate=RATE, warmup=30, floor=0.02, decay=0.01, betas=(0.9, 0.98), precision="bf16"
    )
    begin, cpu = time.perf_counter(), time.process_time()
    curve = []
    for point in loop.run(loop.begin(model, config), config, batch, objective):
        curve.append((point.losses["total"], point.losses["first"]))
        if point.step % 25 == 0:
            loss, first = np.mean(curve[-50:], axis=0)
            told(f"step {point.step} of {steps}: loss {loss:.3f}, right one first {first:.3f}")
    factors = {path.removeprefix("encoder."): layer.factors for path, layer in lora_layers(model).items()}
    about = {
        "base": settings.embedder,
        "steps": str(steps),
        "seed": str(seed),
        "material": digest([*docs, *book]),
        "licences": ", ".join(f"{name} {LICENCES[name]}" for name in sorted({pair.source for pair in docs})),
        "command": f"handbook bench reranker --steps {steps} --seed {seed}",
    }
    data = own_bytes(model, {f"encoder.{path}": f for path, f in factors.items()}, about)
    with written_whole(out) as file:
        file.write(data)
    loss, first = np.mean(curve[-100:], axis=0)
    return {
        "steps": steps,
        "questions": len(rows),
        "of_the_book": len(rows_of_book),
        "pairs": steps * GROUPS * (1 + WRONG),
        "loss_first_100": round(float(np.mean(curve[:100], axis=0)[0]), 4),
        "loss_last_100": round(float(loss), 4),
        "right_first_last_100": round(float(first), 4),
        "minutes": round((time.perf_counter() - begin) / 60, 1),
        "processor_minutes": round((time.process_time() - cpu) / 60, 1),
        "bytes": len(data),
        "material": about["material"],
        "versions": versions(),
    }


def pairs_of(settings: Any, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Docstrings, all of them; the book's questions, the half that is trained on."""
    from handbook.book.load import open_book

    return docstring_pairs(seed), book_pairs(open_book(settings.book))[0]


def held_out(settings: Any, seed: int) -> list[Material]:
    from handbook.book.load import open_book

    trained, asked = book_pairs(open_book(settings.book))
    docs = [pair for pair in docstring_pairs(seed) if pair.source in HELD_OUT]
    return [gathered("held-out packages", docs), gathered("held-out questions of the book", asked, trained)]


def score(settings: Any, seed: int, weights: Path) -> dict[str, Any]:
    """Mean reciprocal rank of the right passage on what was held out, by weight of the blend; and the time of
    a question with POOL passages."""
    from handbook.reranking import LocalReranker

    reranker = LocalReranker(settings, weights=weights)
    vectors = embedder(settings)
    said: dict[str, Any] = {}
    seconds = []
    for material in held_out(settings, seed):
        told(f"scoring: {material.name}")
        rows = random.Random(seed).sample(range(len(material.pairs)), min(ASKED, len(material.pairs)))
        ranks: dict[float, list[float]] = {weight: [] for weight in WEIGHTS}
        alone = []
        for row, ranking in zip(rows, found(material, rows, vectors), strict=True):
            hits = [
                Found(Row(str(place), "", material.passages[place], 0, 0), value)
                for place, value in ranking[:POOL]
            ]
            begin = time.perf_counter()
            told_scores = reranker.scores(material.pairs[row].question, [hit.row.text for hit in hits])
            seconds.append(time.perf_counter() - begin)
            fixed = Fixed(told_scores)
            own = str(material.own[row])
            for weight in WEIGHTS:
                ranks[weight].append(reciprocal(Cross(fixed, weight)("", hits), own))
            by_score = sorted(zip(told_scores, hits, strict=True), key=lambda pair: -pair[0])
            alone.append(reciprocal([hit for _, hit in by_score], own))
        said[material.name] = {
            "questions": len(rows),
            "passages": len(material.passages),
            "model_alone": round(statistics.mean(alone), 4),
            "by_weight": {str(weight): round(statistics.mean(found_), 4) for weight, found_ in ranks.items()},
        }
    means = {w: statistics.mean(each["by_weight"][str(w)] for each in said.values()) for w in WEIGHTS}
    said["weight"] = max(WEIGHTS, key=lambda weight: means[weight])
    said["ms_a_question"] = round(statistics.median(seconds) * 1e3, 1)
    return said


class Fixed(NamedTuple):
    """Scores that were worked out already, as a `Scorer`."""

    values: Any
    name: str = "fixed"

    def scores(self, question: str, passages: Sequence[str]) -> Any:
        return self.values


def reciprocal(hits: Sequence[Found], own: str) -> float:
    return next((1 / rank for rank, hit in enumerate(hits, start=1) if hit.row.id == own), 0.0)


def told(note: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {note}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    from handbook.reranking import WEIGHTS as SHIPPED
    from handbook.settings import load

    parser = argparse.ArgumentParser(prog="handbook bench reranker", description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=340)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the trained weights go (reranker.safetensors here)")
    parser.add_argument("--score", action="store_true", help="train nothing, score what is there")
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="what --score scores")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    settings = load(threads=1)
    said: dict[str, Any] = {
        "schema": "handbook.bench.reranker/1",
        "machine": probe().label,
        "date": date.today().isoformat(),
    }
    weights = options.weights
    if not options.score:
        weights = options.out or Path("reranker.safetensors")
        said["training"] = train(settings, options.steps, options.seed, weights)
        said["weights"] = str(weights)
    said["held_out"] = score(settings, options.seed, weights)
    print(json.dumps(said, indent=None if options.json else 2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
