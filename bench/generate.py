"""Prefill and decode tokens per second: ours and transformers.generate, same weights, in turns in one run.

Both get the same prompt and continue it greedily; when each token comes is noted on both sides in the same
way. Prefill is the time to the first token, decode the time from the first to the last. Turns alternate
(ours, theirs, theirs, ours, ...), so that a machine that warms up or has other work slows both. The first
round doesn't count.

    handbook bench generate [--model NAME] [--prompt 256] [--tokens 64] [--rounds 5] [--threads N] [--json]
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

Run = Callable[[], tuple[list[int], list[float]]]  # ids, and the seconds since the start at which each came
ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "book" / "architectures" / "transformer-deep-dive.md", Path(__file__))


def ours(loaded: Any, prompt: list[int], tokens: int) -> Run:
    from handbook.chat import Sampling
    from handbook.engine.generate import generate
    from handbook.model.tokenizer import Tokenizer

    endless = dataclasses.replace(loaded, tokenizer=Tokenizer(loaded.tokenizer.backend))  # no stop tokens
    sampling = Sampling(temperature=0.0, max_tokens=tokens)

    def run() -> tuple[list[int], list[float]]:
        ids, times, start = [], [], perf_counter()
        for token in generate(endless, prompt, sampling):
            times.append(perf_counter() - start)
            ids.append(token)
        return ids, times

    return run


def theirs_model(ours: Any) -> Any:
    """transformers' Llama with the same tensors (shared, not copied)."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from handbook.model.weights.names import HF

    c = ours.config
    config = LlamaConfig(
        vocab_size=c.vocab_size,
        hidden_size=c.dim,
        intermediate_size=c.hidden_dim,
        num_hidden_layers=c.layers,
        num_attention_heads=c.heads,
        num_key_value_heads=c.kv_heads,
        head_dim=c.head_dim,
        max_position_embeddings=c.context,
        rms_norm_eps=c.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
        tie_word_embeddings=c.tie_embeddings,
    )
    model = LlamaForCausalLM(config).eval()
    state = {HF.theirs(name): value for name, value in ours.state_dict().items()}
    missing = model.load_state_dict(state, strict=False, assign=True).missing_keys
    model.tie_weights()
    if missing not in ([], ["lm_head.weight"]):
        raise SystemExit(f"transformers lacks {missing}: this benchmark compares Llama models.")
    return model


def theirs(loaded: Any, prompt: list[int], tokens: int) -> Run:
    """transformers, greedily."""
    import torch
    from transformers.generation.streamers import BaseStreamer

    model = theirs_model(loaded.model)
    model.generation_config.eos_token_id = None
    inputs = torch.tensor([prompt])

    class Clock(BaseStreamer):
        """Gets the prompt first, then each token as it is chosen."""

        def __init__(self) -> None:
            self.start, self.times = perf_counter(), [0.0]

        def put(self, value: Any) -> None:
            self.times.append(perf_counter() - self.start)

        def end(self) -> None:
            pass

    def run() -> tuple[list[int], list[float]]:
        clock = Clock()
        out = model.generate(
            inputs,
            attention_mask=torch.ones_like(inputs),
            max_new_tokens=tokens,
            do_sample=False,
            streamer=clock,
        )
        return out[0, len(prompt) :].tolist(), clock.times[-tokens:]

    return run


def in_turns(runs: Sequence[Run], rounds: int) -> tuple[list[list[list[float]]], bool]:
    """Times of every run in every round, and whether all chose the same tokens."""
    times: list[list[list[float]]] = [[] for _ in runs]
    chosen = set()
    for turn in range(rounds + 1):
        order = range(len(runs)) if turn % 2 else range(len(runs) - 1, -1, -1)
        for which in order:
            ids, seconds = runs[which]()
            chosen.add(tuple(ids))
            if turn:
                times[which].append(seconds)
        print(f"round {turn} of {rounds}", file=sys.stderr)
    return times, len(chosen) == 1


def rates(times: list[list[float]], prompt: int) -> dict[str, list[float]]:
    """Tokens per second of each round."""
    return {
        "prefill": [prompt / seconds[0] for seconds in times],
        "decode": [(len(seconds) - 1) / (seconds[-1] - seconds[0]) for seconds in times],
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import torch
    import transformers

    from handbook.hardware.probe import probe
    from handbook.model.load import load_model
    from handbook.settings import load

    begin = perf_counter()
    loaded = load_model(options.model, load(threads=options.threads))
    load_seconds = perf_counter() - begin
    text = next(path for path in TEXT if path.is_file()).read_text(encoding="utf-8")
    prompt = loaded.tokenizer.encode(text, special=False)[: options.prompt]
    runs = [make(loaded, prompt, options.tokens) for make in (ours, theirs)]
    times, same = in_turns(runs, options.rounds)
    rate_ours, rate_theirs = (rates(of_one, len(prompt)) for of_one in times)
    found: dict[str, Any] = {
        "model": options.model,
        "prompt_tokens": len(prompt),
        "new_tokens": options.tokens,
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "load_seconds": load_seconds,
        "same_tokens": same,
    }
    for part in ("prefill", "decode"):
        ratios = [a / b for a, b in zip(rate_ours[part], rate_theirs[part], strict=True)]
        found[part] = {
            "ours_tokens_per_s": statistics.median(rate_ours[part]),
            "theirs_tokens_per_s": statistics.median(rate_theirs[part]),
            "ratio": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
        }
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    return {**found, **versions, "machine": probe().label, "date": date.today().isoformat()}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench generate", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--prompt", type=int, default=256, help="tokens of the prompt")
    parser.add_argument("--tokens", type=int, default=64, help="tokens to generate, 2 at the least")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.prompt < 1 or options.tokens < 2 or options.rounds < 1:
        parser.error("--prompt and --rounds are at least 1, --tokens at least 2")
    found = measure(options)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.generate/1", **found}, indent=2))
        return 0
    size = f"{found['prompt_tokens']} + {found['new_tokens']} tokens"
    print(f"{found['model']}, {size}, {found['threads']} threads")
    print(f"{found['machine']}; torch {found['torch']}, transformers {found['transformers']}")
    for part in ("prefill", "decode"):
        row = found[part]
        print(
            f"{part:8} ours {row['ours_tokens_per_s']:8.1f} tokens/s, transformers "
            f"{row['theirs_tokens_per_s']:8.1f}, ratio {row['ratio']:.2f} "
            f"({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
        )
    print(f"same tokens: {found['same_tokens']}; loaded in {found['load_seconds']:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
