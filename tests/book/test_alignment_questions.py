"""Figures in the alignment chapter's model answers, computed by the code they are about."""

import math
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from handbook.book.load import open_book
from handbook.train.dpo import dpo_loss, dpo_margin, ipo_loss, robust_loss, sigmoid_loss
from handbook.train.grpo import grpo_advantages
from handbook.train.orpo import log_odds, odds_ratio_loss, orpo_loss
from handbook.train.ppo import Estimator, gae, kl_estimate, ppo_policy_loss

WHOLE = 8.03026  # Llama 3 8B, billions of weights


@cache
def said() -> dict[str, str]:
    return {q.id: " ".join(q.answer.split()) for q in open_book().questions.values()}


def one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64, requires_grad=True)


def slope(loss: Callable[[Tensor], Tensor], at: float) -> float:
    x = one(at)
    loss(x).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return float(x.grad.item())


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def majority(agreement: float) -> float:
    """How often a label is the majority's, where all pairs are alike and two people agree so often."""
    return (1 + math.sqrt(2 * agreement - 1)) / 2


def length_rule() -> list[str]:
    short = (0.66 - 0.63 * 0.9) / 0.37
    return [f"= {0.63 * 0.9:.3f}", f"is {0.66 - 0.63 * 0.9:.3f}", f"{short:.0%}.", f"{(0.9 + short) / 2:.1%}"]


def memory() -> list[str]:
    trained, frozen = 16 * WHOLE, 2 * WHOLE
    return [
        f"{trained:.0f} GB",
        f"{2 * trained:.0f} + {2 * frozen:.0f} = {2 * trained + 2 * frozen:.0f} GB",
        f"{trained + 2 * frozen:.0f} GB, and {trained + frozen:.0f} if",
        f"that is {2 * frozen + 0.67:.0f} GB",
    ]


def advantages() -> list[str]:
    rewards, values = torch.tensor([[-0.1, 0.05, 0.9]]), torch.tensor([[0.4, 0.6, 0.5]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    steps, returns = gae(rewards, values, mask, 1.0, 0.95)
    last, middle, first = (f"{value:g}" for value in reversed([round(x, 4) for x in steps[0].tolist()]))
    blind = [round(x, 2) for x in gae(rewards, values, mask, 1.0, 0.0)[0][0].tolist()]
    whole = [f"{x:.2g}" for x in gae(rewards, values, mask, 1.0, 1.0)[0][0].tolist()]
    return [
        f"{last} for the last",
        f"= {middle};",
        f"= {first}.",
        ", ".join(f"{round(x, 4):g}" for x in returns[0].tolist()),
        ", ".join(f"{x:g}" for x in blind),
        f"= {whole[0]}, then 0.95 - 0.6 = {whole[1]}, and {whole[2]}",
    ]


def clipped() -> list[str]:
    ratios = torch.tensor([[1.3, 1.3, 0.7, 0.7]])
    found = ppo_policy_loss(
        ratios.log(),
        torch.zeros(1, 4),
        torch.tensor([[2.0, -1, 2, -1]]),
        torch.ones(1, 4, dtype=torch.bool),
    )
    assert found.clipped.item() == 0.5
    return [f"{found.loss.item():.3f}", "one half"]


def estimators() -> list[str]:
    policy = torch.tensor([0.5, 0.5], dtype=torch.float64)
    reference = torch.tensor([0.9, 0.1], dtype=torch.float64)

    def told(kind: Estimator) -> tuple[list[float], float, float]:
        each = kl_estimate(policy.log(), reference.log(), kind)
        mean = (policy * each).sum()
        return each.tolist(), mean.item(), (policy * (each - mean).square()).sum().sqrt().item()

    (low, high), mean, wide = told("k1")
    (k3, other), right, narrow = told("k3")
    assert mean == pytest.approx(right)
    return [
        f"= {low:.3f} and",
        f"= {high:.3f}.",
        f"the policy, {mean:.3f}",
        f"= {k3:.3f} and",
        f"= {other:.3f},",
        f"{narrow:.2f} against {wide:.2f}",
        f"mean {told('k2')[1]:.3f}",
    ]


def group() -> list[str]:
    found = [grpo_advantages(torch.tensor([1.0] * n + [0.0] * (8 - n)), 8) for n in (1, 4)]
    plain = [grpo_advantages(torch.tensor([1.0] * n + [0.0] * (8 - n)), 8, scale=False) for n in (1, 4)]
    one_right, half = found
    spread = math.sqrt(1 / 8 * 7 / 8)
    return [
        f"{plain[0][0]:.3f} for the right one, {plain[0][7]:.3f}",
        f"{spread * math.sqrt(8 / 7):.3f} if I divide by 7, {spread:.3f} by 8",
        f"gets {one_right[0]:.2f} ({0.875 / spread:.2f}) and",
        f"wrong ones {one_right[7]:.2f} ({-0.125 / spread:.2f})",
        f"{half[0]:.2f} (1.00)",
        f"{one_right.abs().sum():.1f} against {half.abs().sum():.1f}",
        f"{plain[0].abs().sum():g} against {plain[1].abs().sum():g}",
        f"{1 - 0.98**8:.3f}, so {1 - 0.98**8:.0%}",
        f"32 gives {1 - 0.98**32:.0%}",
        f"{(1 - 0.98**32) / 4:.0%} per eight",
    ]


def pair() -> list[str]:
    margin = dpo_margin(one(-42), one(-47), one(-40), one(-44)).item()
    loss = dpo_loss(one(-42), one(-47), one(-40), one(-44), 0.1).item()
    pull = -slope(lambda chosen: dpo_loss(chosen, one(-47), one(-40), one(-44), 0.1), -42)
    return [
        f"{margin:g} nat;",
        f"{loss:.3f}.",
        f"{pull / 0.1:.3f} = {pull:.4f}",
        f"{-math.log(math.exp(0.1) - 1) / 0.1:.1f} nats",
    ]


def flipped() -> list[str]:
    best = math.log(9) / 0.1
    assert slope(lambda m: sigmoid_loss(m, 0.1, 0.1), best) == pytest.approx(0, abs=1e-9)
    end = slope(lambda m: robust_loss(m, 0.1, 0.1), 400.0) / 0.1
    return [f"ln 9 = {math.log(9):.1f}", f"{best:.0f} nats", f"tends to {end:.3f}"]


def squared() -> list[str]:
    margins = torch.linspace(-10, 10, 20001, dtype=torch.float64)
    mixed = 0.8 * ipo_loss(margins, 0.1) + 0.2 * ipo_loss(-margins, 0.1)
    goal = margins[ipo_loss(margins, 0.1).argmin()].item()
    return [f"{goal:.0f} nats, and", f"{margins[mixed.argmin()].item():.0f} nats at 80%"]


def odds() -> list[str]:
    chosen, rejected = one(-0.5), one(-1.0)
    logs = [log_odds(x).item() for x in (chosen, rejected)]
    orpo_loss(chosen, rejected, 0.1).sum().backward()  # type: ignore[no-untyped-call]
    assert chosen.grad is not None
    assert rejected.grad is not None
    return [
        f"{math.exp(-0.5):.3f} and {math.exp(-1):.3f}",
        f"odds {math.exp(logs[0]):.3f} and {math.exp(logs[1]):.3f}",
        f"{logs[0]:.3f} and {logs[1]:.3f}",
        f"ratio is {logs[0] - logs[1]:.3f},",
        f"its sigmoid {odds_ratio_loss(chosen, rejected).item():.3f}",
        f"= {orpo_loss(chosen, rejected, 0.1).item():.3f}",
        f"= {sigmoid(logs[1] - logs[0]):.3f}",
        f"{1 / (1 - math.exp(-0.5)):.2f} for the chosen and {1 / (1 - math.exp(-1)):.2f}",
        f"= {-chosen.grad.item() - 1:.2f};",
        f"with {rejected.grad.item():.3f}",
    ]


def judged() -> list[str]:
    error = math.sqrt(0.55 * 0.45 / 200)
    low, high = 0.55 - 1.96 * error, 0.55 + 1.96 * error
    return [
        f"= {100 * error:.1f} points, so {100 * low:.0f} to {high:.0%}",
        f"w = {(0.55 - 0.25) / 0.5:.2f}",
        f"{100 * (low - 0.25) / 0.5:.0f} to {(high - 0.25) / 0.5:.0%}",
        f"some {math.ceil((1.959964 + 0.841621) ** 2 * 0.25 / 0.05**2)} prompts",
    ]


FIGURES = {
    "what-a-preference-model-knows": lambda: [f"{sigmoid(2.0 - 0.8):.2f}"],
    "reward-model-that-counts-words": lambda: [*length_rule(), f"73% and {majority(0.73):.0%}"],
    "memory-of-four-models": memory,
    "advantages-of-three-tokens": advantages,
    "which-tokens-the-clip-stops": clipped,
    "kl-estimators-by-hand": estimators,
    "one-right-of-eight": group,
    "where-to-stop-optimising": lambda: [f"= {math.log(16) - 15 / 16:.1f} nats"],
    "dpo-pair-by-hand": pair,
    "chosen-answers-become-unlikely": lambda: [f"{round(math.exp(6), -2):.0f} times", f"{-6 + 14} nats"],
    "one-label-in-ten-flipped": flipped,
    "why-beta-does-not-hold": squared,
    "orpo-by-hand": odds,
    "pairs-from-other-models": lambda: [
        f"{20_000 * 4 * 300 // 10**6} million",
        f"{20_000 * 4 * 300 / 5_000 / 60:.0f} minutes",
    ],
    "win-rate-of-55": judged,
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_model_answer_says_what_the_code_computes(name: str) -> None:
    answer = said()[name]
    assert [figure for figure in FIGURES[name]() if figure not in answer] == []
