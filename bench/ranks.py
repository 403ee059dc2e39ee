"""What is learnt and forgotten by a LoRA's rank and layers, beside training all weights, and QLoRA.

Each run is `handbook train sft` in small (`handbook.lab.tuning.learning`) on the instruction set, duplicates
removed before it is parted: held-out loss, nats per token of the answers; perplexity on Tiny Shakespeare,
which nobody trains on, over that of the model before the first step. All runs of a seed see the same examples
in the same order; seeds draw the order and what the adapter begins as, not what is held out. Means over
seeds, and the lowest and the highest.

Rates: by rank, chosen by a short trial on another split (its table: `handbook.lab.tuning.learning.rate_of`).
Ranks up to 8 train at 3e-3, larger ones at 1e-3, all weights at 1e-4, so a difference between ranks is one
between ranks at about their best rates, and no difference of rates.

    handbook bench ranks [--ranks 1,2,4,8,16,32,64] [--modules all-linear,attention] [--qlora 16]
        [--seeds 2] [--steps 64] [--tokens 512] [--held-out 64] [--no-full] [--lora-rate R] [--full-rate R]
        [--data FILE] [--model NAME] [--threads N] [--out FILE] [--json]

--out FILE: each run is added to it as a line of JSON as soon as it is done, and one that stands there already
is not made again. --json: runs: those lines; rows: {NAME: {rank, modules, trainable, runs, rate, held_out,
forgetting and perplexity: {mean, low, high}, seconds_per_step}}, base among them; forgetting is the
perplexity on Tiny Shakespeare over that before the first step.
"""

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handbook.lab.tuning.learning import Trial

Run = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench ranks", description=__doc__.partition("\n")[0])
    parser.add_argument("--ranks", type=whole, default=(1, 2, 4, 8, 16, 32, 64))
    parser.add_argument("--modules", type=words, default=("all-linear", "attention"))
    parser.add_argument("--qlora", type=whole, default=(16,), help="ranks over a base in NF4; '' for none")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=512, help="in a row; one row a step")
    parser.add_argument("--held-out", type=int, default=64, help="examples that are measured on, at most")
    parser.add_argument("--share", type=float, default=0.065, help="of the examples that is held out")
    parser.add_argument("--windows", type=int, default=8, help="of Tiny Shakespeare, 512 tokens each")
    parser.add_argument("--no-full", action="store_true", help="don't train all weights")
    parser.add_argument("--lora-rate", type=float, help="peak, of all ranks; default: by rank")
    parser.add_argument("--full-rate", type=float, help="peak, of all weights")
    parser.add_argument(
        "--data", default="", help="in any format that training reads; default: the pinned set"
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, help="runs as they are done; those in it are not made again")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if min(options.seeds, options.steps, options.held_out, *options.ranks, *options.qlora) < 1:
        parser.error("--ranks, --qlora, --seeds, --steps and --held-out are at least 1")
    found = measure(options)
    print(json.dumps(found, indent=2) if options.json else table(found))
    return 0


def whole(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def words(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def trials(options: argparse.Namespace) -> "list[Trial]":
    """What is to be run, a whole seed before the next."""
    from handbook.lab.tuning.learning import Trial, rate_of

    same = {
        name: getattr(options, name)
        for name in ("tokens", "held_out", "share", "windows", "model", "data", "precision")
    }
    found = [Trial(rank=1, rate=1.0, steps=0, **same)]
    found += [Trial(rank=1, rate=1.0, steps=0, qlora=True, **same)] if options.qlora else []
    for seed in range(options.seeds):
        told = {**same, "seed": seed, "steps": options.steps}
        kinds: list[dict[str, Any]] = [
            {"rank": rank, "modules": each} for each in options.modules for rank in options.ranks
        ]
        kinds += [{"rank": rank, "qlora": True} for rank in options.qlora]
        found += [Trial(**told, **kind, rate=options.lora_rate or rate_of(kind["rank"])) for kind in kinds]
        found += [] if options.no_full else [Trial(rank=0, rate=options.full_rate or rate_of(0), **told)]
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from handbook import settings
    from handbook.hardware.probe import probe
    from handbook.lab.tuning.learning import learn
    from handbook.model.load import load_model

    torch.set_num_threads(options.threads or torch.get_num_threads())
    known, wanted = read(options.out), trials(options)
    loaded, runs, begun, steps = None, [], perf_counter(), 0
    for place, trial in enumerate(wanted, 1):
        run = next((run for run in known if run["trial"] == asdict(trial)), None)
        if run is None:
            loaded = loaded or load_model(options.model, settings.load())
            learnt = learn(loaded, trial)
            run = {
                "name": trial.name,
                "trial": asdict(trial),
                **asdict(learnt),
                "forgetting": learnt.forgetting,
                "threads": torch.get_num_threads(),
                "load_average": os.getloadavg()[0],
                "machine": probe().label,
                "torch": torch.__version__,
                "date": date.today().isoformat(),
            }
            added(options.out, run)
            steps += trial.steps
        runs.append(run)
        left = sum(
            each.steps for each in wanted[place:] if not any(asdict(each) == k["trial"] for k in known)
        )
        minutes = (perf_counter() - begun) / max(steps, 1) * left / 60
        print(
            f"{place}/{len(wanted)} {run['name']}, seed {run['trial']['seed']}: {run['before']:.4f} to "
            f"{run['after']:.4f}, elsewhere x {run['forgetting']:.3f}; about {minutes:.0f} min left",
            file=sys.stderr,
        )
    return {"schema": "handbook.bench.ranks/1", "rows": rows(runs), "runs": runs}


def read(path: Path | None) -> list[Run]:
    """The runs of an earlier part; a line that a kill has cut off is left out."""
    if path is None or not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"{path}: left out a line that is no JSON", file=sys.stderr)
    return found


def added(path: Path | None, run: Run) -> None:
    if path is None:
        return
    cut = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * bool(cut) + json.dumps(run) + "\n")


def rows(runs: Sequence[Run]) -> dict[str, Any]:
    """By name, over seeds."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run["name"], []).append(run)
    return {
        name: {
            **{key: some[0]["trial"][key] for key in ("rank", "modules", "rate", "steps")},
            "trainable": some[0]["trainable"],
            "computed": some[0]["computed"],
            "runs": len(some),
            "held_out": spread([run["after"] for run in some]),
            "forgetting": spread([run["forgetting"] for run in some]),
            "perplexity": spread([math.exp(run["elsewhere"][1]) for run in some]),
            "seconds_per_step": statistics.median(
                run["seconds"] / max(run["trial"]["steps"], 1) for run in some
            ),
        }
        for name, some in found.items()
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": statistics.fmean(values), "low": min(values), "high": max(values)}


def table(found: dict[str, Any]) -> str:
    some = found["runs"][0]
    lines = [
        f"{some['machine']}; {some['threads']} threads; {some['date']}; {some['trial']['model']}",
        f"{'':24} {'trained':>11} {'rate':>8} {'held-out loss':>25} {'perplexity elsewhere':>26} s/step",
    ]
    for name, row in found["rows"].items():
        shown = [
            f"{row[key]['mean']:.4f} ({row[key]['low']:.4f} to {row[key]['high']:.4f})"
            for key in ("held_out", "forgetting")
        ]
        rate = f"{row['rate']:g}" if row["steps"] else "-"
        lines.append(
            f"{name:24} {row['trainable']:>11,} {rate:>8} {shown[0]:>25} {shown[1]:>26} "
            f"{row['seconds_per_step']:>6.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
