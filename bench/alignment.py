"""A real chat model learns a task whose answers can be checked: success on held-out problems, over time.

SmolLM2-135M-Instruct, which answers such a question rightly and in the form asked for once in a few hundred
times, is trained with an adapter on the rewards of what it says itself. GRPO compares answers to the same
prompt, PPO learns values; `hacking` is GRPO on a flawed reward. Every few rounds held-out problems are
answered by the engine, at temperature 1 as in training, and greedily.

    handbook bench alignment [--method grpo|ppo|hacking] [--seed 0] [--rounds N] [--minutes 15] [--json]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date
from random import Random
from time import perf_counter
from typing import Any

METHODS = ("grpo", "ppo", "hacking")
MOST_HELD_OUT = 64  # problems that are looked at


def wilson(rate: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """A 95 % interval of a share: Wilson 1927, JASA 22."""
    middle = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (rate * (1 - rate) / count + z * z / (4 * count * count)) ** 0.5
    return max(middle - half, 0.0), min(middle + half, 1.0)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="handbook bench alignment", description=__doc__)
    made.add_argument("--method", choices=METHODS, default="grpo")
    made.add_argument("--task", default="", help="kind of sums; default: by method")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--rounds", type=int, default=0, help="default: by method")
    made.add_argument("--minutes", type=float, default=15.0, help="stop after so many, whatever was learnt")
    made.add_argument("--until", type=float, default=2.0, help="stop once held-out success has come so far")
    made.add_argument("--every", type=int, default=5, help="rounds between looks at held-out problems")
    made.add_argument("--prompts", type=int, default=0)
    made.add_argument("--group", type=int, default=8)
    made.add_argument("--passes", type=int, default=0)
    made.add_argument("--rate", type=float, default=0.0)
    made.add_argument("--beta", type=float, default=-1.0)
    made.add_argument("--rank", type=int, default=16)
    made.add_argument("--most", type=int, default=0)
    made.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    made.add_argument("--threads", type=int, default=0)
    made.add_argument("--json", action="store_true")
    return made


def settled(options: argparse.Namespace) -> argparse.Namespace:
    """Options with what hangs on the method, where it was not told."""
    ppo = options.method == "ppo"
    options.rounds = options.rounds or {"grpo": 50, "ppo": 48, "hacking": 72}[options.method]
    options.task = options.task or ("two-digits" if options.method == "hacking" else "digits")
    options.prompts = options.prompts or (16 if options.method == "grpo" else 8)
    options.passes = options.passes or (2 if ppo else 1)
    options.rate = options.rate or 1e-4
    options.beta = options.beta if options.beta >= 0 else (0.01 if ppo else 0.0)
    options.most = options.most or (24 if options.method == "hacking" else 12)
    return options


class Watched:
    """Held-out problems, answered by the model as it is: by chance and greedily."""

    def __init__(self, loaded: Any, task: Any, samples: int = 4) -> None:
        from handbook.train.examples import encode_prompt
        from handbook.train.rollouts import Voice

        self.voice, self.task, self.samples = Voice(loaded), task, samples
        self.prompts = Random(0).sample(task.held_out, min(len(task.held_out), MOST_HELD_OUT))
        self.texts = [encode_prompt(loaded, prompt) for prompt in self.prompts]

    def __call__(self) -> dict[str, Any]:
        task, count = self.task, len(self.texts)
        drawn = self.voice.answers(self.texts, task.most, self.samples, seed=4711)
        best = self.voice.answers(self.texts, task.most, temperature=0)
        judged = [
            (task.truth(answer, prompt.answer), task.reward(answer, prompt.answer), answer)
            for prompt, row in zip(self.prompts, drawn, strict=True)
            for answer in row
        ]
        rate = sum(truth for truth, *_ in judged) / len(judged)
        greedy = sum(task.truth(row[0], p.answer) for p, row in zip(self.prompts, best, strict=True)) / count
        return {
            "success": rate,
            "interval": wilson(rate, count),
            "greedy": greedy,
            "reward": sum(score for _, score, _ in judged) / len(judged),
            "length": sum(len(answer.tokens) for *_, answer in judged) / len(judged),
            "says": [row[0].text for row in drawn[:3]],
        }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train, and tell of it."""
    import torch

    from handbook.hardware.probe import probe
    from handbook.model.load import load_model
    from handbook.settings import load
    from handbook.train.loop import TrainConfig, begin, run
    from handbook.train.lora import LoRAConfig, add_lora
    from handbook.train.policies import Grpo, Policy, Ppo
    from handbook.train.precision import prepare
    from handbook.train.rounds import Plan, Rounds
    from handbook.train.tasks import hackable, task_named

    torch.set_num_threads(options.threads or torch.get_num_threads())
    torch.manual_seed(options.seed)
    loaded = load_model("smollm2-135m-instruct", load())
    add_lora(loaded.model, LoRAConfig(r=options.rank, alpha=2.0 * options.rank), options.seed)
    how = prepare(loaded.model, options.precision)
    hacking = options.method == "hacking"
    task = hackable(options.task, options.most) if hacking else task_named(options.task, most=options.most)
    policy = Policy(loaded.model) if options.method == "ppo" else loaded.model
    plan = Plan(
        prompts=options.prompts,
        group=options.group,
        passes=options.passes,
        beta=options.beta,
        precision=options.precision,
        watch=True,
    )
    rounds = Rounds(loaded, policy, task, plan, options.seed)
    objective: Any = Ppo() if options.method == "ppo" else Grpo(beta=options.beta)
    config = TrainConfig(
        steps=options.rounds * options.passes,
        rate=options.rate,
        warmup=5,
        decay=0.0,
        schedule="constant",
        precision=options.precision,
    )
    watched = Watched(loaded, task)
    began, looking, curve, steps = (
        perf_counter(),
        0.0,
        [{"round": 0, "seconds": 0.0, "kl": 0.0, **watched()}],
        [],
    )
    tell(curve[-1])
    began = perf_counter()
    for point in run(begin(policy, config), config, rounds, objective):
        number, left = divmod(point.step, options.passes)
        if left:
            continue
        now = perf_counter() - began - looking
        told = point.losses | rounds.seen
        steps.append({"round": number, "seconds": round(now, 2), **told, "norm": point.norm})
        print(
            f"round {number}: {now:.0f} s, "
            + ", ".join(f"{name} {value:.3f}" for name, value in told.items())
            + f" | step {point.seconds:.1f} s, {point.tokens} tokens, "
            + ", ".join(f"{name} {value:.1f}" for name, value in rounds.seconds.items()),
            file=sys.stderr,
            flush=True,
        )
        over = number == options.rounds or now > 60 * options.minutes
        if number % options.every == 0 or over:
            mark = perf_counter()
            curve.append({"round": number, "seconds": round(now, 2), "kl": told["kl"], **watched()})
            looking += perf_counter() - mark
            tell(curve[-1])
            over = over or curve[-1]["success"] >= options.until
        if over:
            break
    return {
        **{name: getattr(options, name) for name in ("method", "task", "seed", "prompts", "group", "passes")},
        **{name: getattr(options, name) for name in ("rate", "beta", "rank", "most")},
        "computes": how,
        "threads": torch.get_num_threads(),
        "problems": len(task.train),
        "held_out": len(watched.prompts),
        "curve": curve,
        "rounds": steps,
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def tell(row: dict[str, Any]) -> None:
    low, high = row["interval"]
    print(
        f"  held out after {row['round']} rounds, {row['seconds']:.0f} s: {row['success']:.3f} ({low:.2f} to "
        f"{high:.2f}), greedily {row['greedy']:.3f}, reward {row['reward']:.3f}; says {row['says']}",
        file=sys.stderr,
        flush=True,
    )


def main(arguments: Sequence[str]) -> int:
    options = settled(parser().parse_args(arguments))
    found = measure(options)
    if options.json:
        print(json.dumps(found))
        return 0
    print(
        f"{found['method']} on {found['task']}, seed {found['seed']}, {found['computes']}, {found['machine']}"
    )
    for row in found["curve"]:
        low, high = row["interval"]
        print(
            f"round {row['round']:>3}  {row['seconds']:>6.0f} s  held out {row['success']:.3f} "
            f"({low:.2f} to {high:.2f})  greedily {row['greedy']:.3f}  reward {row['reward']:.3f}  "
            f"KL {row['kl']:.1f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
