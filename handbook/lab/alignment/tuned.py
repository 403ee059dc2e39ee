"""A real chat model trained on real pairs: reward model, DPO, ORPO, each on the same halves of the set.

Whole answers of the pinned set of preferences, of pairs that are short enough; each half of these is trained
on once and held out once, so there are two samples of everything. Each run is made once per process. Small
settings train a tiny model on digits instead, where the chosen answer is the largest: a second, and no need
of weights or sets.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from random import Random
from statistics import correlation
from threading import Lock
from typing import Any, Literal

import torch
from torch import nn

from handbook.lab import kit
from handbook.lab.alignment.learner import newborn, problems, taught
from handbook.model.load import Loaded, load_model
from handbook.records import Message
from handbook.settings import load as load_settings
from handbook.train import sets
from handbook.train.cleaning import without_duplicates
from handbook.train.conversations import Pair
from handbook.train.encoding import encode_pairs
from handbook.train.formats import read_pairs
from handbook.train.loop import Point, TrainConfig, begin, lowered, run
from handbook.train.lora import LoRAConfig, add_lora, remove_lora
from handbook.train.margins import Margins, held_out_pairs
from handbook.train.packing import Rows, bins
from handbook.train.precision import prepare
from handbook.train.preference import Dpo, ExamplePair, Orpo, Reward, halves, pack_pairs, with_reference
from handbook.train.reward import RewardModel

Method = Literal["dpo", "orpo"]
THREADS = 2  # of the full settings
FOLDS = (0, 1)
BETA, HIGH_BETA, WEIGHT = 0.1, 1.0, 1.0
_training = Lock()


@dataclass(frozen=True)
class Setting:
    """longest: tokens of a pair, both texts together. read: pairs of the other half that are held out.
    budget: tokens of a step."""

    longest: int
    read: int
    budget: int
    steps: int
    rate: float
    rank: int
    precision: str


FULL = Setting(longest=800, read=32, budget=2048, steps=10, rate=3e-4, rank=16, precision="bf16")
SMALL = Setting(longest=64, read=24, budget=256, steps=16, rate=3e-3, rank=8, precision="fp32")


@dataclass(frozen=True)
class Subject:
    """A model, and the two halves of the pairs, with their log-probabilities under it."""

    loaded: Loaded
    sides: tuple[tuple[ExamplePair, ...], ...]
    setting: Setting

    def train(self, fold: int) -> tuple[ExamplePair, ...]:
        return self.sides[fold]

    def held_out(self, fold: int) -> tuple[ExamplePair, ...]:
        return self.sides[1 - fold][: self.setting.read]


def records() -> list[Pair]:
    """The set of preferences, each pair once. Raises DataUnavailable."""
    return list(without_duplicates(read_pairs(sets.here(sets.PREFERENCES, load_settings()))).records)


def digits(count: int = 96, seed: int = 0) -> list[Pair]:
    """Three digits, the largest chosen; what is rejected is another one, every second time with company."""
    random, made = Random(seed), []
    for number, prompt in enumerate(problems()[0][:count]):
        asked, right = prompt.messages[0].content, prompt.answer or ""
        wrong = random.choice([digit for digit in asked if digit != right])
        rejected = wrong if number % 2 else wrong + random.choice(asked)
        sides = (Message("assistant", right),), (Message("assistant", rejected),)
        made.append(Pair(prompt.messages, *sides))
    return made


@cache
def subject(small: bool) -> Subject:
    """Raises ModelUnavailable, DataUnavailable where the full settings lack what they need."""
    setting = SMALL if small else FULL
    pairs = digits() if small else records()
    if small:
        loaded = newborn(0)
        taught(loaded, 40, 0)
    else:
        loaded = load_model("smollm2-135m-instruct", load_settings())  # its own: bf16 rounds it in place
    found = [ExamplePair(*both) for both in encode_pairs(loaded, pairs, 4096).examples]
    kept = [pair for pair in found if len(pair) <= setting.longest]
    Random(0).shuffle(kept)
    half = len(kept) // 2
    with adapted(loaded, setting):  # in the rows of the first epoch, too: bf16 rounds by row
        sides = [
            with_reference(loaded.model, side, setting.budget, setting.precision)
            for side in (kept[:half], kept[half:])
        ]
    return Subject(loaded, (tuple(sides[0]), tuple(sides[1])), setting)


@contextmanager
def adapted(loaded: Loaded, setting: Setting) -> Iterator[None]:
    """A new adapter, ready to train; afterwards the model is the base again. The reference is computed in
    one, too, or bf16 rounds in another way and the first loss is not log 2."""
    add_lora(loaded.model, LoRAConfig(r=setting.rank, alpha=2.0 * setting.rank), seed=0)
    try:
        prepare(loaded.model, setting.precision)
        yield
    finally:
        remove_lora(loaded.model)


@contextmanager
def alone(small: bool) -> Iterator[None]:
    """One run at a time, on the threads that its setting has."""
    with _training, kit.threads(1 if small else min(THREADS, os.cpu_count() or 1)):
        yield


def steps(model: nn.Module, subject: Subject, fold: int, objective: Any) -> list[Point]:
    s = subject.setting
    config = TrainConfig(
        steps=s.steps, rate=s.rate, warmup=max(1, s.steps // 6), decay=0.0, precision=s.precision
    )
    rows = Rows(subject.train(fold), pack_pairs, s.budget)
    return list(run(begin(model, config), config, rows, objective))


@dataclass(frozen=True)
class Tuned:
    """curve: of the steps; seen: held-out pairs; tokens: of their chosen answers, in the mean."""

    curve: list[Point]
    seen: Margins
    tokens: float


def tuned(method: Method, value: float, fold: int, small: bool = True) -> Tuned:
    """Trained by DPO with that beta, or by ORPO with that weight, on a half; read on the other."""
    with alone(small):
        return _tune(method, value, fold, small)


@cache
def _tune(method: Method, value: float, fold: int, small: bool) -> Tuned:
    found = subject(small)
    loaded, s, held_out = found.loaded, found.setting, found.held_out(fold)
    objective: Any = Dpo(value) if method == "dpo" else Orpo(value)
    with adapted(loaded, s):
        curve = steps(loaded.model, found, fold, objective)
        seen = held_out_pairs(loaded.model, held_out, None, s.budget, s.precision)
    return Tuned(curve, seen, sum(pair.chosen.weight for pair in held_out) / len(held_out))


@dataclass(frozen=True)
class Rewarded:
    """Held-out rewards of chosen and rejected answers, and the tokens of each."""

    chosen: list[float]
    rejected: list[float]
    chosen_tokens: list[int]
    rejected_tokens: list[int]

    @property
    def accuracy(self) -> float:
        pairs = zip(self.chosen, self.rejected, strict=True)
        return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(self.chosen)

    @property
    def with_length(self) -> float:
        """Pearson's correlation of rewards with lengths."""
        return correlation(self.chosen + self.rejected, self.chosen_tokens + self.rejected_tokens)


def rewarded(fold: int, small: bool = True) -> Rewarded:
    """A reward model trained on a half; what it gives to the other."""
    with alone(small):
        return _reward(fold, small)


@cache
def _reward(fold: int, small: bool) -> Rewarded:
    found = subject(small)
    with adapted(found.loaded, found.setting):
        model = RewardModel(found.loaded.model)
        steps(model, found, fold, Reward())
        held_out = found.held_out(fold)
        chosen, rejected = rewards(model, held_out, found.setting)
    lengths = [(pair.chosen.weight, pair.rejected.weight) for pair in held_out]
    return Rewarded(chosen, rejected, [a for a, _ in lengths], [b for _, b in lengths])


@torch.no_grad()
def rewards(
    model: RewardModel, pairs: Sequence[ExamplePair], setting: Setting
) -> tuple[list[float], list[float]]:
    """Of the chosen and the rejected answers, in the pairs' order."""
    sides: tuple[list[float], list[float]] = [0.0] * len(pairs), [0.0] * len(pairs)
    model.eval()
    for row in bins([len(pair) for pair in pairs], setting.budget, seed=0, epoch=0):
        with lowered(model, setting.precision):
            both = halves(model(pack_pairs([pairs[index] for index in row])))
        for side, values in zip(sides, both, strict=True):
            for index, value in zip(row, values.tolist(), strict=True):
                side[index] = value
    return sides


def length_baseline(small: bool = True) -> float:
    """By characters, over the whole set. Raises DataUnavailable."""
    lengths = [
        [sum(len(message.content) for message in side) for side in (pair.chosen, pair.rejected)]
        for pair in records()
    ]
    return sum((a > b) + 0.5 * (a == b) for a, b in lengths) / len(lengths)


def reward_accuracy(small: bool = True) -> list[float]:
    return [rewarded(fold, small).accuracy for fold in FOLDS]


def reward_length_correlation(small: bool = True) -> list[float]:
    return [rewarded(fold, small).with_length for fold in FOLDS]


def base_likelier(fold: int, small: bool) -> float:
    """Share of the held-out pairs whose chosen answer the base finds likelier by token."""
    with alone(small):
        pairs = subject(small).held_out(fold)
    both = [(pair.reference or (0.0, 0.0), pair.chosen.weight, pair.rejected.weight) for pair in pairs]
    return sum(logs[0] / a > logs[1] / b for logs, a, b in both) / len(both)


def dpo_accuracy_base(small: bool = True) -> list[float]:
    return [base_likelier(fold, small) for fold in FOLDS]


def dpo_likelier(small: bool = True) -> list[float]:
    return [tuned("dpo", BETA, fold, small).seen.likelier for fold in FOLDS]


def dpo_accuracy(small: bool = True) -> list[float]:
    return [tuned("dpo", BETA, fold, small).seen.accuracy for fold in FOLDS]


def dpo_accuracy_high_beta(small: bool = True) -> list[float]:
    return [tuned("dpo", HIGH_BETA, fold, small).seen.accuracy for fold in FOLDS]


def dpo_kl(small: bool = True) -> list[float]:
    return [tuned("dpo", BETA, fold, small).seen.kl for fold in FOLDS]


def dpo_kl_high_beta(small: bool = True) -> list[float]:
    return [tuned("dpo", HIGH_BETA, fold, small).seen.kl for fold in FOLDS]


def dpo_chosen_change(small: bool = True) -> list[float]:
    runs = (tuned("dpo", BETA, fold, small) for fold in FOLDS)
    return [found.seen.chosen / found.tokens for found in runs]


def orpo_accuracy(small: bool = True) -> list[float]:
    return [tuned("orpo", WEIGHT, fold, small).seen.accuracy for fold in FOLDS]


def orpo_kl(small: bool = True) -> list[float]:
    return [tuned("orpo", WEIGHT, fold, small).seen.kl for fold in FOLDS]


def dpo_first_loss(small: bool = True) -> float:
    """Before the first step, on the tiny model, in fp32."""
    with alone(small=True):
        found = subject(small=True)
        with adapted(found.loaded, found.setting), torch.no_grad():
            return Dpo(BETA)(found.loaded.model, pack_pairs(found.train(0)[:8]))["total"].item()
