"""Training steps, ours and trl's over peft, on the same weights, batches, machine and threads.

Each side is a process of its own and takes one optimizer step when told to. First every setting of the peer
takes two steps, and the one whose second is fastest counts as its best. Then ours and that one alternate
(ours, theirs, theirs, ours, ...), and a step that others disturbed is taken again. Methods:

    sft    LoRA on all linear layers, a batch of texts of one length, every token counts
    dpo    the same LoRA; pairs whose answers share a prompt; the reference is the base without its adapters

Peer settings: autocast (fp32 weights, bf16 products), bf16 (bf16 weights), fp32; with +checkpointing (blocks
are computed again on the way back) or +compile (torch.compile). Peaks are of resident memory, whole
processes.

    handbook bench training [--methods sft,dpo] [--rounds 3] [--settings autocast,bf16+checkpointing] [--json]

--json: methods: {METHOD: {ours, best, peers, ratios}}; ours and each peer have seconds {median, low, high},
tokens_per_s, peak_bytes, first_loss; comparison: [{figure, value, target}]; missing: lines.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

PEERS = Path(__file__).resolve().parent / "peers"
SETTINGS = "autocast,autocast+checkpointing,bf16,bf16+checkpointing"
TARGETS = {"sft": (2.8, 0.5), "dpo": (3.0, 0.4)}  # times as fast at least, share of the memory at most
Found = dict[str, Any]


def sizes(options: argparse.Namespace, method: str) -> list[object]:
    """The arguments that both sides share."""
    keys = ("threads", "batch", "length", "prompt", "r")
    shared: list[object] = ["--method", method]
    for key in keys:
        shared += [f"--{key}", getattr(options, key)]
    return shared


def peer_arguments(setting: str, folder: Path, shared: Sequence[object]) -> list[object]:
    precision, *switches = setting.split("+")
    return ["--model", folder, "--precision", precision, *(f"--{switch}" for switch in switches), *shared]


def taken(steps: Sequence[Found]) -> Found:
    """Figures of some steps of one side."""
    seconds = [step["seconds"] for step in steps]
    return {
        "seconds": {"median": statistics.median(seconds), "low": min(seconds), "high": max(seconds)},
        "cpu_seconds": statistics.median(step["cpu"] for step in steps),
        "peak_bytes": max(step["peak"] for step in steps),
        "others_cores": max(step.get("others", 0.0) for step in steps),
    }


def survey(options: argparse.Namespace, folder: Path, method: str, missing: list[str]) -> Found:
    """Each setting of the peer: its second step, its first loss, its peak."""
    from sides import Gone, Stepper

    found: Found = {}
    for setting in filter(None, options.settings.split(",")):
        print(f"{method}: trl {setting}", file=sys.stderr)
        try:
            side = Stepper(
                sys.executable, "on_trl.py", peer_arguments(setting, folder, sizes(options, method))
            )
            try:
                first = side.step()
                found[setting] = taken([side.step()]) | {"first_loss": first["loss"], **side.about}
            finally:
                side.close()
        except Gone as error:
            missing.append(f"{method}, trl {setting}: {error}")
    return found


def contest(options: argparse.Namespace, folder: Path, method: str, missing: list[str]) -> Found:
    """Ours against the peer's best setting, in turns."""
    from neighbours import undisturbed
    from sides import Stepper

    peers = survey(options, folder, method, missing)
    ours = Stepper(sys.executable, "on_training.py", ["--model", options.model, *sizes(options, method)])
    sides = {"ours": ours}
    best = min(peers, key=lambda setting: peers[setting]["seconds"]["median"], default=None)
    try:
        if best is not None:
            given = peer_arguments(best, folder, sizes(options, method))
            sides["theirs"] = Stepper(sys.executable, "on_trl.py", given)
        first = {name: side.step() for name, side in sides.items()}
        steps: dict[str, list[Found]] = {name: [] for name in sides}
        for turn in range(options.rounds):
            for name in list(sides)[:: 1 if turn % 2 == 0 else -1]:
                side = sides[name]
                step, others = undisturbed(side.step, [side.process.pid])
                steps[name].append(step | {"others": others})
                print(f"{method} {name}: {step['seconds']:.2f} s, others {others:.2f}", file=sys.stderr)
    finally:
        for side in sides.values():
            side.close()
    figures = {name: taken(steps[name]) | {"first_loss": first[name]["loss"]} for name in sides}
    tokens = options.batch * options.length * (2 if method == "dpo" else 1)
    for figure in figures.values():
        figure["tokens_per_s"] = tokens / figure["seconds"]["median"]
    result: Found = {"ours": figures["ours"] | sides["ours"].about, "best": best, "peers": peers}
    if best is not None:
        result["peers"][best] = peers[best] | figures["theirs"]
        result["ratios"] = ratios(steps, figures, peers, best)
    return result


def ratios(steps: dict[str, list[Found]], figures: Found, peers: Found, best: str) -> Found:
    """Times as fast, round by round, and shares of memory: of the best setting's and of the leanest's."""
    speeds = [b["seconds"] / a["seconds"] for a, b in zip(steps["ours"], steps["theirs"], strict=True)]
    ours = figures["ours"]["peak_bytes"]
    return {
        "speed": {"median": statistics.median(speeds), "low": min(speeds), "high": max(speeds)},
        "memory": ours / figures["theirs"]["peak_bytes"],
        "memory_of_leanest": ours / min(peer["peak_bytes"] for peer in peers.values()),
    }


def compare(methods: Found) -> list[Found]:
    """Against the targets."""
    rows = []
    for method, found in methods.items():
        if "ratios" in found:
            speed, memory = TARGETS[method]
            named = {"sft": "LoRA SFT tokens/s", "dpo": "DPO steps/s"}[method]
            rows.append(
                {
                    "figure": f"{named} over trl's best ({found['best']})",
                    "value": found["ratios"]["speed"]["median"],
                    "target": f"at least {speed}",
                }
            )
            rows.append(
                {
                    "figure": f"{method.upper()} peak memory over it",
                    "value": found["ratios"]["memory"],
                    "target": f"at most {memory}",
                }
            )
    return rows


def measure(options: argparse.Namespace) -> Found:
    from export import hub_folder

    from handbook.hardware.probe import probe
    from handbook.model.load import load_model

    before, missing = os.getloadavg()[0], list[str]()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.weights or scratch) / "hub"
        hub_folder(load_model(options.model).model, folder)
        run: Callable[[str], Found] = lambda method: contest(options, folder, method, missing)  # noqa: E731
        methods = {method: run(method) for method in options.methods.split(",")}
    keys = ("model", "threads", "batch", "length", "prompt", "r", "rounds")
    return {
        **{key: getattr(options, key) for key in keys},
        "methods": methods,
        "comparison": compare(methods),
        "missing": missing,
        "load_average": [before, os.getloadavg()[0]],
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def show(found: Found) -> None:
    for method, of in found["methods"].items():
        for name, row in {"ours": of["ours"], **of["peers"]}.items():
            s, peak = row["seconds"], row["peak_bytes"] / 1e9
            print(
                f"{method} {name}: {s['median']:.2f} s a step ({s['low']:.2f} to {s['high']:.2f}), peak "
                f"{peak:.2f} GB, first loss {row['first_loss']:.4f}; {row['version']}, {row['precision']}"
            )
    for row in found["comparison"]:
        print(f"{row['figure']}: {row['value']:.3g} (target {row['target']})")
    for line in found["missing"]:
        print(f"not run: {line}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench training", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--methods", default="sft,dpo")
    parser.add_argument("--settings", default=SETTINGS, help="of the peer; empty for ours alone")
    parser.add_argument("--weights", default="", help="folder that keeps the weights made for the peer")
    parser.add_argument("--batch", type=int, default=4, help="texts or pairs in a step")
    parser.add_argument("--length", type=int, default=512, help="tokens of a text")
    parser.add_argument("--prompt", type=int, default=256, help="of them the prompt's, in a pair")
    parser.add_argument("--r", type=int, default=16, help="rank of the adapter")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if unknown := set(options.methods.split(",")) - set(TARGETS):
        parser.error(f"--methods {', '.join(sorted(unknown))}: methods are {', '.join(TARGETS)}")
    if min(options.batch, options.prompt, options.length - options.prompt - 1, options.rounds, options.r) < 1:
        parser.error("--batch, --prompt, --rounds and --r are at least 1, --length at least --prompt + 2")
    sys.path.insert(0, str(PEERS))
    found = measure(options)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.training/1", **found}, indent=2))
        return 0
    low, high = found["load_average"]
    print(
        f"{found['model']}, {found['batch']} x {found['length']}, r {found['r']}, {found['threads']} threads"
    )
    print(f"{found['machine']}; load {low:.1f} before, {high:.1f} after")
    show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
