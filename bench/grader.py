"""Trains the local grader's model on one thread: whether a piece of an answer says a criterion's statement.

Three stages on the sentence encoder's blocks. First public pairs of text and statement (bench/_entailments.py
says which and under what licences), then the book's own: cases written for its criteria (bench/grading/cases)
and what follows from them by rule (bench/_taught.py), with some of the public pairs again; last the cases
against each other as well. Questions whose split is "test" or "dev" are in none. What is kept is the mean of
the states named in MEAN_OF, which was chosen on the split dev, as the number of rounds was. That is the model
whose figures are of questions left out.

The one that ships has had a stage more, `--known`: it judges the criteria of this book and no others, so it
is taught those of all questions (bench/grading/rest has the cases of the split "test"), but for a text of
each kind (`_taught.kept_back`). What it is worth is measured on answers that others wrote to questions whose
criteria it knows. Its calibration is the one fitted on questions left out, with the model before that stage
(`bench grading --fit --weights WORK/left-out.safetensors`): it is on the careful side. A run that was stopped
goes on from its last checkpoint.

    handbook bench grader --data FOLDER [--known] [--work FOLDER] [--seed 0] [--out FILE] [--json]
    handbook bench grader --score [--weights FILE] [--data FOLDER] [--known]  what was held out, and the time
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
from typing import Any

import numpy as np
from _entailments import DENIES, FILES, SAYS, SILENT, Example, by_statement, read
from _lessons import TOGETHER, Lessons, chunks, digest, limited, logits_of
from _taught import CASES, REST, back, crossed, lessons, more, written

from handbook.hardware.probe import probe

TOKENS = 1800  # a step
RATES = {"public": 1.2e-4, "book": 1e-4, "crossed": 6e-5, "known": 8e-5}
FLOORS = {"public": 0.25, "book": 0.02, "crossed": 0.02, "known": 0.02}
ROUNDS = {"public": 1, "book": 4, "crossed": 1, "known": 3}
AGAIN = 3_000  # public pairs in a round of the book's
FALSE_YES = 0.02
OTHERS = 3_000  # texts of bench/grading/more that are scored
EVERY = 100  # steps between checkpoints
KEPT = {"public": (), "book": (400, 1100), "crossed": (300, 600), "known": (700, 1050)}  # steps kept
MEAN_OF = ("book-400", "book-1100", "book", "crossed-300", "crossed-600", "crossed")
LEFT_OUT = "left-out.safetensors"  # the model before the last stage
MEAN_OF_KNOWN = ("known-700", "known-1050", "known")


def public(folder: Path, seed: int) -> list[list[Example]]:
    random_ = random.Random(seed)
    found: list[list[Example]] = []
    most = {file.name: file.most for file in FILES}
    for name, examples in read(folder).items():
        found += limited(chunks(by_statement(examples), random_), most[name], random_)
    return found


def book_rounds(settings: Any, folder: Path, seed: int, name: str = "book") -> list[list[list[Example]]]:
    """What rules make of the cases is drawn anew each round; so are the public pairs that are seen again."""
    from handbook.book.load import open_book
    from handbook.embed import LocalEmbedder

    vectors = LocalEmbedder(settings).embed
    book = open_book(settings.book)
    known = public(folder, seed)
    rounds = []
    first = {"book": 0, "crossed": 500, "known": 700}[name]
    every = name == "known"
    for each in range(first, first + ROUNDS[name]):
        own = lessons(book, 1000 * seed + each, lambda a, b: vectors(a) @ vectors(b).T, every)
        if name != "book":
            own += crossed(book, 1000 * seed + each, every)
        rounds.append(
            [
                *chunks(own, random.Random(each), 2 * TOGETHER),
                *limited(known, AGAIN // (1 + every), random.Random(each)),
            ]
        )
    return rounds


def stage(
    name: str, model: Any, taught: Lessons, config: Any, work: Path, evaluate: Any, seed: int
) -> dict[str, Any]:
    """Trains, from the checkpoint of this stage where there is one. Leaves `<name>.pt` in the folder."""
    import torch

    from handbook.train import checkpoint, loop
    from handbook.train.entailment import Objective

    file = work / f"{name}.checkpoint"
    about = {"stage": name, "steps": config.steps, "seed": seed, "rate": config.rate, "pairs": taught.pairs}
    state = loop.begin(model, config)
    if file.exists():
        content = checkpoint.read(file)
        if checkpoint.differences(content["settings"], about):
            told(f"{file.name} is of another run and is replaced")
        else:
            checkpoint.restore(content, state)
            told(f"{name} goes on after step {state.step}")
    begin = time.perf_counter()
    for point in loop.run(state, config, taught, Objective(), evaluate=evaluate, every=4 * EVERY):
        if point.step % 25 == 0 or point.step == config.steps:
            said = loop_means(state.curve[-50:])
            rest = " ".join(f"{key} {value:.3f}" for key, value in point.losses.items() if key not in said)
            words = " ".join(f"{key} {value:.3f}" for key, value in said.items())
            speed = sum(p.tokens for p in state.curve[-25:]) / sum(p.seconds for p in state.curve[-25:])
            told(f"{name} step {point.step} of {config.steps}: {words} {rest} ({speed:,.0f} tokens a second)")
        if point.step in KEPT[name]:
            torch.save(checkpoint.trained(model), work / f"{name}-{point.step}.pt")
        if point.step % EVERY == 0:
            checkpoint.save(file, state, about)
    torch.save(model.state_dict(), work / f"{name}.pt")
    last = loop_means(state.curve[-100:])
    return {
        "steps": config.steps,
        "pairs": taught.pairs,
        "tokens": sum(point.tokens for point in state.curve),
        "minutes": round(sum(point.seconds for point in state.curve) / 60, 1),
        "wall_minutes": round((time.perf_counter() - begin) / 60, 1),
        "last_100": {key: round(value, 4) for key, value in last.items()},
    }


def loop_means(points: Sequence[Any]) -> dict[str, float]:
    names = ("total", "classes", "contrast", "right")
    return {name: float(np.mean([point.losses[name] for point in points])) for name in names}


def told_right(name: str, tokenizer: Any, examples: Sequence[Example]) -> Any:
    """For loop.run: accuracy in three classes and of said or not said, and the area under the curve."""
    pairs = [(each.premise, each.statement) for each in examples]
    labels = np.array([each.label for each in examples])

    def evaluate(model: Any) -> dict[str, float]:
        logits = logits_of(model, tokenizer, pairs)
        says = logits[:, SAYS] - np.logaddexp(logits[:, 1], logits[:, 2])
        return {
            f"{name}_three": float((logits.argmax(axis=1) == labels).mean()),
            f"{name}_says": float(((says > 0) == (labels == SAYS)).mean()),
            f"{name}_auc": area(says, labels == SAYS),
        }

    return evaluate


def area(scores: Any, positive: Any) -> float:
    """Under the ROC curve: how often a text that says it scores above one that doesn't."""
    order = np.argsort(np.argsort(scores, kind="stable"), kind="stable") + 1
    n = int(positive.sum())
    return float((order[positive].sum() - n * (n + 1) / 2) / max(1, n * (len(scores) - n)))


def begun(settings: Any, seed: int) -> tuple[Any, Any, Any]:
    """A new model on the installed encoder, that encoder, and its tokenizer."""
    import copy

    import torch

    from handbook.embed import folder_of, read_tokenizer
    from handbook.model.encoder import load_encoder
    from handbook.model.entails import new_entailer

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    folder = folder_of(settings.embedder, settings)
    base = load_encoder(folder)
    return new_entailer(copy.deepcopy(base)), base, read_tokenizer(folder)


def config_of(name: str, taught: Lessons) -> Any:
    from handbook.train.config import TrainConfig

    return TrainConfig(
        steps=len(taught),
        rate=RATES[name],
        warmup=40,
        floor=FLOORS[name],
        decay=0.01,
        betas=(0.9, 0.98),
        precision="bf16",
    )


def told(note: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {note}", file=sys.stderr, flush=True)


def train(settings: Any, data: Path, work: Path, out: Path, seed: int, known: bool) -> dict[str, Any]:
    """All stages, or what is left of them; writes `out` and its manifest, and says what it was."""
    import torch

    from handbook.book.load import open_book

    work.mkdir(parents=True, exist_ok=True)
    model, base, tokenizer = begun(settings, seed)
    (unseen,) = read(data, held_out=True).values()
    dev = [each for group in written(open_book(settings.book), "dev") for each in group]
    looks = [
        told_right("unseen", tokenizer, random.Random(seed).sample(unseen, min(600, len(unseen)))),
        told_right("dev", tokenizer, dev),
    ]

    def evaluate(model: Any) -> dict[str, float]:
        return {key: value for look in looks for key, value in look(model).items()}

    said: dict[str, Any] = {}
    for name in [each for each in RATES if known or each != "known"]:
        done = work / f"{name}.done.json"
        if done.exists() and (work / f"{name}.pt").exists():
            model.load_state_dict(torch.load(work / f"{name}.pt", weights_only=True))
            said[name] = json.loads(done.read_text())
            continue
        if name == "known":
            _keep(settings, model, base, work, MEAN_OF, seed, work / LEFT_OUT)
        rounds = [public(data, seed)] if name == "public" else book_rounds(settings, data, seed, name)
        taught = Lessons(tokenizer, rounds, TOKENS, seed)
        told(f"{name}: {taught.pairs:,} pairs, {taught.tokens:,} tokens, {len(taught):,} steps")
        said[name] = stage(name, model, taught, config_of(name, taught), work, evaluate, seed)
        done.write_text(json.dumps(said[name]))
    _keep(settings, model, base, work, MEAN_OF_KNOWN if known else MEAN_OF, seed, out)
    return said


def _keep(
    settings: Any, model: Any, base: Any, work: Path, states: Sequence[str], seed: int, out: Path
) -> None:
    """The mean of these states, in the model and in a file."""
    from handbook.model.entails import changed_bytes
    from handbook.train.whole import written_whole

    model.load_state_dict(averaged(model, [work / f"{name}.pt" for name in states]), strict=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as file:
        file.write(changed_bytes(model, base, {"base": settings.embedder, "seed": str(seed)}))


def averaged(model: Any, files: Sequence[Path]) -> dict[str, Any]:
    """The mean of what trains over states of one run, which lies flatter than each of them and holds better
    on what was not seen (Izmailov et al. 2018, arXiv:1803.05407, section 3)."""
    import torch

    from handbook.train.checkpoint import trained

    states = [torch.load(file, weights_only=True) for file in files]
    return {name: sum(state[name] for state in states) / len(states) for name in trained(model)}


def manifest(settings: Any, weights: Path, said_of: dict[str, Any], seed: int, known: bool) -> None:
    """Beside the weights: what they were made of, and how to make them again. said_of: how the training went
    and what was measured."""
    said = {
        "schema": "handbook.grader/1",
        "base": settings.embedder,
        "sha256": digest([weights]),
        "bytes": weights.stat().st_size,
        "command": f"handbook bench grader --data FOLDER --seed {seed}" + (" --known" if known else ""),
        "seed": seed,
        "machine": probe().label,
        "date": date.today().isoformat(),
        "data": [
            {
                "file": file.name,
                "from": f"https://{file.repository}/blob/{file.commit}/{file.path}",
                "licence": file.licence,
                "sha256": file.sha256,
                "most": file.most or None,
            }
            for file in FILES
        ],
        "cases": {
            "files": "bench/grading/cases"
            + (" and rest, but what is kept back" if known else ", split train"),
            "sha256": digest(
                [file for folder in (CASES, REST)[: 1 + known] for file in sorted(folder.glob("*.jsonl"))]
            ),
        },
        "mean_of": MEAN_OF_KNOWN if known else MEAN_OF,
        **{name: said_of[name] for name in said_of if name not in ("schema", "machine", "date")},
    }
    weights.with_suffix(".json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def score(settings: Any, weights: Path, data: Path | None, known: bool = False) -> dict[str, Any]:
    """On cases of the split dev, and SemEval's unseen questions: this model and the embedding's cosine.
    known: on texts that were kept back, of criteria that the model was taught."""
    from handbook.book.load import open_book
    from handbook.embed import LocalEmbedder
    from handbook.entailing import LocalEntailer

    entailer = LocalEntailer(settings, weights)
    vectors = LocalEmbedder(settings).embed
    book = open_book(settings.book)
    groups = back(book) if known else written(book, "dev")
    sets = {
        kind: [each for group in groups for each in group if each.source == kind]
        for kind in ("criterion", "misconception")
    }
    if known:
        texts = [each for group in more(book) for each in group]
        sets["other hands"] = random.Random(0).sample(texts, OTHERS)
    if data is not None:
        (sets["semeval, unseen questions"],) = read(data, held_out=True).values()
    said: dict[str, Any] = {}
    for name, examples in sets.items():
        pairs = [(each.premise, each.statement) for each in examples]
        logits = entailer.scores(pairs)
        cosines = (vectors([a for a, _ in pairs]) * vectors([b for _, b in pairs])).sum(axis=1)
        labels = np.array([each.label for each in examples])
        says = logits[:, SAYS] - np.logaddexp(logits[:, SILENT], logits[:, DENIES])
        said[name] = {
            "pairs": len(pairs),
            "model": told_apart(says, labels),
            "cosine": told_apart(cosines, labels),
            "three_classes": round(float((logits.argmax(axis=1) == labels).mean()), 4),
        }
    pairs = [(each.premise, each.statement) for each in sets["criterion"]][:100]
    said["milliseconds_of_100_pairs"] = {
        "median": round(statistics.median(clocked(entailer, pairs) for _ in range(7)), 1),
        "computed_by": entailer.computed_by,
        "threads": settings.threads,
        "tokens": tokens_of(entailer, pairs),
    }
    return said


def told_apart(scores: Any, labels: Any) -> dict[str, float]:
    """Areas under the curve, says against the rest and against each of both; and the share of says that is
    found where FALSE_YES of the rest are taken for it (the threshold is of these same pairs)."""
    says = labels == SAYS
    rest = np.sort(scores[~says])
    threshold = rest[min(len(rest) - 1, int(np.ceil((1 - FALSE_YES) * len(rest))))]
    said = {"area": area(scores, says), "found_at_2_percent_false": float((scores[says] > threshold).mean())}
    for name, label in (("silent", SILENT), ("denies", DENIES)):
        if (labels == label).any():
            kept = says | (labels == label)
            said[f"area_{name}"] = area(scores[kept], says[kept])
    return {key: round(value, 4) for key, value in said.items()}


def clocked(entailer: Any, pairs: Sequence[tuple[str, str]]) -> float:
    begin = time.perf_counter()
    entailer.scores(pairs)
    return (time.perf_counter() - begin) * 1e3


def tokens_of(entailer: Any, pairs: Sequence[tuple[str, str]]) -> int:
    _, tokenizer = entailer.load()
    return sum(len(one.ids) for one in tokenizer.encode_batch_fast(list(pairs)))


def main(argv: Sequence[str] | None = None) -> int:
    from handbook.entailing import WEIGHTS
    from handbook.settings import load

    parser = argparse.ArgumentParser(prog="handbook bench grader", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with the files named in bench/_entailments.py")
    parser.add_argument("--known", action="store_true", help="with the stage on all of the book's criteria")
    parser.add_argument("--work", type=Path, default=Path("grader-work"), help="folder of checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("grader.safetensors"))
    parser.add_argument("--score", action="store_true", help="train nothing, score what is there")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="what --score scores")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    settings = load(threads=options.threads)
    said: dict[str, Any] = {
        "schema": "handbook.bench.grader/1",
        "machine": probe().label,
        "date": date.today().isoformat(),
    }
    if options.score:
        said["held_out"] = score(settings, options.weights, options.data, options.known)
    else:
        if options.data is None:
            parser.error("--data is needed to train: the folder with the public pairs")
        known = options.known
        said["training"] = train(settings, options.data, options.work, options.out, options.seed, known)
        before = options.work / LEFT_OUT if known else options.out
        said["questions_left_out"] = score(settings, before, options.data)
        if known:
            said["answers_left_out"] = score(settings, options.out, None, True)
        manifest(settings, options.out, said, options.seed, known)
        said["weights"] = str(options.out)
    print(json.dumps(said, indent=None if options.json else 2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
