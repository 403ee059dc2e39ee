"""What the lab's sliders ask: the chapter's losses and estimators along a line, and DPO on a tiny model."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch

from handbook.lab.alignment import toy, tuned
from handbook.train.dpo import KINDS
from handbook.train.margins import held_out_pairs
from handbook.train.ppo import ppo_policy_loss
from handbook.train.preference import Dpo


class Pull(NamedTuple):
    """A step of DPO. chosen, rejected: log (policy / reference), nats an answer, means of the step's pairs;
    margin: their difference; weight: sigmoid(-beta margin), what a pair of that margin still counts in the
    gradient."""

    step: int
    chosen: float
    rejected: float
    margin: float
    weight: float


def dpo_run(beta: float, steps: int = 40, rate: float = 3e-3) -> tuple[list[Pull], float]:
    """The tiny model on digits, trained anew; and its KL from the reference on held-out pairs, nats a
    token."""
    found = tuned.subject(small=True)
    found = replace(found, setting=replace(found.setting, steps=steps, rate=rate))
    with tuned.alone(small=True), tuned.adapted(found.loaded, found.setting):
        curve = tuned.steps(found.loaded.model, found, 0, Dpo(beta))
        seen = held_out_pairs(found.loaded.model, found.held_out(0), None, found.setting.budget)
    pulls = []
    for point in curve:
        chosen, rejected = point.losses["chosen"], point.losses["rejected"]
        weight = 1 / (1 + math.exp(point.losses["margin"]))  # which is beta times the margin
        pulls.append(Pull(point.step, chosen, rejected, chosen - rejected, weight))
    return pulls, seen.kl


def dpo_losses(beta: float, most: float = 40.0, points: int = 161) -> dict[str, list[tuple[float, float]]]:
    """(margin, loss) of each kind of DPO, without smoothing; ipo's, a square, as far as 3."""
    margins = torch.linspace(-most, most, points)
    return {
        kind: [
            (margin, loss)
            for margin, loss in zip(margins.tolist(), KINDS[kind](margins, beta, 0.0).tolist(), strict=True)
            if loss <= 3
        ]
        for kind in ("sigmoid", "hinge", "ipo")
    }


def clipped(advantage: float, clip: float, points: int = 61) -> list[tuple[float, float]]:
    """(ratio, what PPO raises) of one token, ratio 0.4 to 1.9."""
    found = []
    for ratio in torch.linspace(0.4, 1.9, points).tolist():
        said, old, each = (torch.tensor([[x]]) for x in (math.log(ratio), 0.0, advantage))
        loss = ppo_policy_loss(said, old, each, torch.ones(1, 1, dtype=torch.bool), clip).loss
        found.append((ratio, -loss.item()))
    return found


def bandit(beta: float, length: float) -> list[dict[str, str | float | tuple[str, float]]]:
    """The toy's answers in rows: reference, RLHF's optimum, and DPO where D is in no pair, by a table and by
    one feature that answers share. length: D's."""
    columns = {
        "reference": torch.tensor(toy.REFERENCE),
        "RLHF": toy.optimum(beta),
        "DPO, all pairs": toy.fitted(toy.table(), toy.EVERY, beta),
        "without D": toy.fitted(toy.table(), toy.WITHOUT_D, beta),
        "without D, by length": toy.fitted(toy.by_length(length), toy.WITHOUT_D, beta),
    }
    rows: list[dict[str, str | float | tuple[str, float]]] = []
    for place, answer in enumerate(toy.ANSWERS):
        row: dict[str, str | float | tuple[str, float]] = {"answer": answer, "reward": toy.REWARDS[place]}
        rows.append(row | {name: ("", values[place].item()) for name, values in columns.items()})
    return rows
