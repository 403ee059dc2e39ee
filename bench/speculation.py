"""Speculation: decode tokens per second of one sequence, without drafts and by each drafter.

Two texts. `copy` goes on copying a passage that stands before it, greedy; `prose` is drawn at temperature 1.
Drafters: `lookup` in the text; `layers-K`, the model's own first K layers as a draft model; `self-int8`, the
model itself with weights of a lower precision; `oracle-R`, which knows the answer and is right with R in a
hundred: no drafter of that acceptance can be faster. Ways take turns, first round not counted, medians.
Answers are compared with those without drafts.

Arithmetic: an oracle that always makes k drafts, each right with probability a: tokens per step against
(1 - a^(k+1)) / (1 - a), and the time of a step over that of one without drafts. Agreement: how often the
likeliest token after the first K layers, by the model's own norm and head, is that after all of them.

    handbook bench speculation [--model NAME] [--on kernels-int8,kernels-fp32,torch-fp32] [--layers 6,15]
                               [--oracle 60,90] [--drafts 2,4,8] [--tokens 96] [--rounds 3] [--threads 2]
                               [--json]

--json: on: {EXECUTOR: {copy and prose: {WAY: {tokens_per_s, low, high, tokens_per_step, acceptance, drafted,
same}}, arithmetic: [{drafts, rate, tokens_per_step, expected, step_over_one}]}}; agreement: {K: share};
missing: what could not run.
"""

import argparse
import json
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "book" / "architectures" / "transformer-deep-dive.md", Path(__file__))
WIDTHS = {"fp32": 32, "bf16": 16, "int8": 8, "int4": 4}
PASSAGE = 160  # tokens of what is copied, or goes on
RATES = (0.5, 0.8, 1.0)
SCORED = 384  # tokens on which the first layers are compared with all


class Oracle:
    """Knows what is said next, and is right at each place with probability `rate`."""

    steady = True

    def __init__(self, rate: float) -> None:
        self.rate, self.random, self.answer = rate, random.Random(1), list[int]()

    def guess(self, wanted: Sequence[Any]) -> dict[int, list[int]]:
        found = {}
        for one in wanted:
            said = len(one.tokens) - one.prompt
            right = self.answer[said : said + one.most]
            found[one.sequence] = [t if self.random.random() < self.rate else t ^ 1 for t in right]
        return found

    def forget(self, sequence: int) -> None:
        pass


class Free:
    """A pace by which drafts cost nothing: always as many as may be."""

    def cost(self, sequences: int) -> float:
        return 0.0

    def stepped(self, sequences: int, drafts: int, seconds: float) -> None:
        pass

    def made(self, drafts: int, seconds: float) -> None:
        pass


class Answers:
    """One engine that answers one text at a time, by whichever drafter."""

    def __init__(self, loaded: Any, precision: Any) -> None:
        from handbook.engine.engine import Engine

        self.engine = Engine(loaded, memory=256 << 20, precision=precision, speculation="off")

    def ahead(self, drafter: Any) -> Any:
        from handbook.engine.drafts import Ahead

        return Ahead(drafter, self.engine.clock)

    def answer(
        self, ahead: Any, prompt: list[int], sampling: Any, known: list[int] | None = None
    ) -> dict[str, Any]:
        """How it was said, from its first token on. known: for an oracle."""
        self.engine.ahead = ahead
        if ahead is not None and isinstance(ahead.drafter, Oracle):
            ahead.drafter.answer = known or []
        ids: list[int] = []
        text: list[str] = []

        def deliver(piece: Any) -> None:
            text.append(piece.text)
            ids.extend(each.token for each in piece.likely)

        logprobs = None if known is not None else 0
        told = self.engine.ask("a", prompt, sampling, deliver, logprobs=logprobs, past_stops=True)
        steps, whole, gained = (
            0,
            0,
            0,
        )  # steps behind the first token; those with all drafts, and their tokens
        while self.engine.busy:
            first, accepted = told.first, told.accepted
            batch = self.engine.step()
            steps += first is not None
            if batch.work and batch.work[0].drafts == self.engine.drafts:
                whole, gained = whole + 1, gained + 1 + told.accepted - accepted
        seconds = (told.last or 0.0) - (told.first or 0.0)
        counts = {"steps": steps, "whole": whole, "gained": gained}
        return {"ids": ids, "text": "".join(text), "seconds": seconds, "told": told, **counts}


def texts(tokenizer: Any, tokens: int) -> dict[str, tuple[list[int], Any]]:
    """Prompt and sampling of each text."""
    from handbook.records import Sampling

    source = next(path for path in TEXT if path.is_file()).read_text(encoding="utf-8")
    ids = tokenizer.encode(source, special=False)
    passage, gap = ids[400 : 400 + max(PASSAGE, tokens + 32)], tokenizer.encode("\n\n")
    greedy = Sampling(temperature=0.0, max_tokens=tokens)
    return {
        "copy": ([*passage, *gap, *passage, *gap, *passage[:24]], greedy),
        "prose": (ids[2000 : 2000 + PASSAGE], replace(greedy, temperature=1.0, seed=7)),
    }


def ways(answers: Answers, precision: Any, options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """What guesses, by name; None for nobody."""
    from handbook.engine.draft_model import draft_model, first_layers
    from handbook.engine.drafts import Lookup

    loaded, pages = answers.engine.loaded, answers.engine.pages

    def by(draft: Any, lower: Any) -> Any:
        return answers.ahead(draft_model(loaded, draft, pages.count, pages.size, 512, lower))

    yield "off", None
    yield "lookup", answers.ahead(Lookup())
    for count in numbers(options.layers):
        yield f"layers-{count}", by(first_layers(loaded, count), precision)
    for name in ("int8", "int4"):
        if precision is not None and WIDTHS[name] < WIDTHS[precision]:
            yield f"self-{name}", by(loaded, name)
    for rate in numbers(options.oracle):
        yield f"oracle-{rate}", answers.ahead(Oracle(rate / 100))


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def in_turns(
    answers: Answers, found: dict[str, Any], prompt: list[int], sampling: Any, rounds: int
) -> dict[str, Any]:
    right = answers.answer(None, prompt, sampling)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in found}
    for turn in range(rounds + 1):
        for name in list(found) if turn % 2 else reversed(list(found)):
            run = answers.answer(found[name], prompt, sampling, right["ids"])
            if turn:
                runs[name].append(run)
    return {name: summary(each, right["text"]) for name, each in runs.items()}


def summary(runs: list[dict[str, Any]], right: str) -> dict[str, Any]:
    rates = [(run["told"].produced - 1) / run["seconds"] for run in runs]
    drafted = sum(run["told"].drafted for run in runs)
    tokens = sum(run["told"].produced - 1 for run in runs)
    return {
        "tokens_per_s": statistics.median(rates),
        "low": min(rates),
        "high": max(rates),
        "tokens_per_step": tokens / sum(run["steps"] for run in runs),
        "drafted": drafted / len(runs),
        "acceptance": sum(run["told"].accepted for run in runs) / drafted if drafted else None,
        "same": all(run["text"] == right for run in runs),
    }


def arithmetic(
    answers: Answers, lengths: list[int], prompt: list[int], sampling: Any, rounds: int
) -> list[Any]:
    """Always so many drafts, of so much acceptance."""
    from handbook.engine.speculative import expected_tokens

    right, rows = answers.answer(None, prompt, sampling), []
    for drafts in lengths:
        for rate in RATES:
            answers.engine.drafts, always = drafts, answers.ahead(Oracle(rate))
            always.pace = Free()
            ratios, tokens, steps = [], 0, 0
            for turn in range(rounds + 1):
                pair = [answers.answer(way, prompt, sampling, right["ids"]) for way in (None, always)]
                if turn:
                    one, many = (run["seconds"] / run["steps"] for run in pair)
                    ratios.append(many / one)
                    tokens, steps = tokens + pair[1]["gained"], steps + pair[1]["whole"]
            rows.append(
                {
                    "drafts": drafts,
                    "rate": rate,
                    "tokens_per_step": tokens / steps,
                    "expected": expected_tokens(rate, drafts),
                    "step_over_one": statistics.median(ratios),
                }
            )
    return rows


def agreement(loaded: Any) -> dict[str, float]:
    """Of the first layers with all, on a piece of the text: every third count."""
    import torch

    from handbook.model.transformer import Trace

    source = next(path for path in TEXT if path.is_file()).read_text(encoding="utf-8")
    trace = Trace()
    with torch.inference_mode():
        ids = torch.tensor([loaded.tokenizer.encode(source, special=False)[2000 : 2000 + SCORED]])
        right = loaded.model(ids, trace=trace).argmax(dim=-1)
        return {
            str(layer): float(
                (loaded.model.logits_of(trace.hidden[layer]).argmax(dim=-1) == right).float().mean()
            )
            for layer in range(3, loaded.config.layers, 3)
        }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import os

    import torch

    from handbook.engine.executor import TorchExecutor
    from handbook.hardware.probe import probe
    from handbook.model.load import load_model
    from handbook.settings import load

    loaded = load_model(options.model, load(threads=options.threads))
    before, results, missing = os.getloadavg()[0], dict[str, Any](), list[str]()
    precisions = {f"kernels-{name}": name for name in WIDTHS} | {"torch-fp32": None}
    for name in options.on.split(","):
        if name not in precisions:
            raise SystemExit(f"No executor {name}. Executors: {', '.join(precisions)}.")
        answers = Answers(loaded, precisions[name])
        if name.startswith("kernels") and isinstance(answers.engine.executor, TorchExecutor):
            missing.append(f"{name}: {answers.engine.picked}")
            continue
        found = dict(ways(answers, precisions[name], options))
        results[name] = {}
        for text, (prompt, sampling) in texts(loaded.tokenizer, options.tokens).items():
            print(f"{name}, {text}", file=sys.stderr)
            results[name][text] = in_turns(answers, found, prompt, sampling, options.rounds)
        print(f"{name}, arithmetic", file=sys.stderr)
        chosen = texts(loaded.tokenizer, options.tokens)["copy"]
        results[name]["arithmetic"] = arithmetic(answers, numbers(options.drafts), *chosen, options.rounds)
    return {
        "model": options.model,
        "tokens": options.tokens,
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "load_average": [before, os.getloadavg()[0]],
        "on": results,
        "agreement": agreement(loaded),
        "missing": missing,
        "torch": torch.__version__,
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def told(found: dict[str, Any]) -> Iterator[str]:
    low, high = found["load_average"]
    yield f"{found['model']}, {found['threads']} threads, one sequence, {found['tokens']} tokens; medians"
    yield f"{found['machine']}; torch {found['torch']}; load {low:.1f} before, {high:.1f} after"
    for executor, parts in found["on"].items():
        for text in ("copy", "prose"):
            off = parts[text]["off"]["tokens_per_s"]
            for name, row in parts[text].items():
                right = "" if row["acceptance"] is None else f", {row['acceptance']:.0%} of drafts right"
                rate = f"{row['tokens_per_s']:7.1f} tokens/s ({row['low']:.0f} to {row['high']:.0f})"
                steps = f"{row['tokens_per_s'] / off:.2f} of off; {row['tokens_per_step']:.2f} a step"
                other = "" if row["same"] else "; ANOTHER TEXT"
                yield f"{executor:13} {text:6} {name:10} {rate}, {steps}{right}{other}"
        for row in parts["arithmetic"]:
            yield (
                f"{executor:13} {row['drafts']} drafts, each right with {row['rate']:.1f}: "
                f"{row['tokens_per_step']:.2f} tokens a step, expected {row['expected']:.2f}; a step takes "
                f"{row['step_over_one']:.2f} of one without"
            )
    shares = ", ".join(f"{layers} {share:.2f}" for layers, share in found["agreement"].items())
    yield f"the first layers' likeliest token is that of all: {shares}"
    yield from (f"not run: {line}" for line in found["missing"])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="handbook bench speculation", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument(
        "--on", default="kernels-int8,kernels-fp32,torch-fp32", help="executors, with commas between"
    )
    parser.add_argument("--layers", default="6,15", help="of the model, as drafts")
    parser.add_argument("--oracle", default="60,90", help="acceptance in a hundred")
    parser.add_argument("--drafts", default="2,4,8", help="at once, in the arithmetic")
    parser.add_argument("--tokens", type=int, default=96, help="that are said")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.tokens < 2 or options.rounds < 1:
        parser.error("--tokens is at least 2, --rounds at least 1")
    found = measure(options)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.speculation/1", **found}, indent=2))
    else:
        print("\n".join(told(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
