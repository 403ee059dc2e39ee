"""How much is learnt by rank, by which layers have an adapter, and by training everything: SFT on a part of
the instruction set, held-out loss on answers before and after, and perplexity on Tiny Shakespeare, which
nobody trained on.

A trial is `handbook train sft` in small: the same assembly, packed rows, objective and loop, without folder
and checkpoints. The lab's claims are short trials, `handbook bench ranks` runs longer ones.
"""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from handbook.lab import kit
from handbook.model.adapters import Adapter
from handbook.model.load import Loaded
from handbook.settings import load as load_settings
from handbook.train import sets, text
from handbook.train.assembly import Assembled, precision_of, ready
from handbook.train.examples import Example
from handbook.train.loop import Point, begin, evaluated, run
from handbook.train.lora import adapter_of
from handbook.train.material import Material, examples_of
from handbook.train.methods import Parts, measured, rows_of, supervised
from handbook.train.packing import pack
from handbook.train.settings import Lora, SftSettings
from handbook.train.sft import Sft

ALL, ATTENTION = "all-linear", "attention"
LOW_RANK_RATE, HIGH_RANK_RATE, FULL_RATE, PISSA_RATE = 3e-3, 1e-3, 1e-4, 3e-4
WINDOW = 512  # tokens of a piece of Tiny Shakespeare
Watch = Callable[[Point], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is trained and how long. rank: of the LoRA, 0 where all weights train; modules: which layers have
    one; rate: the peak; tokens: of a packed row, one a step; steps: 0 leaves the model as it was; seed: of
    order and adapter; split: draws the share that is held out, of which `held_out` examples are read;
    windows: of Tiny Shakespeare, none where 0; data: a file, the pinned instruction set where empty."""

    rank: int
    rate: float
    steps: int
    modules: str = ALL
    qlora: bool = False
    init: str = "kaiming"
    optimizer: str = "adamw"
    tokens: int = 1024
    seed: int = 0
    split: int = 0
    share: float = 0.065
    held_out: int = 64
    windows: int = 8
    model: str = "smollm2-135m-instruct"
    data: str = ""
    precision: str = "auto"

    @property
    def name(self) -> str:
        """In a few words."""
        if not self.steps:
            return "base in NF4" if self.qlora else "base"
        if not self.rank:
            return "full"
        return f"{'Q' if self.qlora else ''}LoRA {self.rank} {self.modules}"

    @property
    def settings(self) -> SftSettings:
        """As `handbook train sft` takes it."""
        adapter = Lora(r=self.rank, targets=self.modules, init=self.init)  # type: ignore[arg-type]
        return SftSettings(
            model=self.model,
            data=self.data or str(sets.here(sets.INSTRUCTIONS, load_settings())),
            lora=adapter if self.rank else None,
            qlora=self.qlora,
            optimizer=self.optimizer,  # type: ignore[arg-type]
            rate=self.rate,
            steps=self.steps or 1,
            warmup=0.1,
            tokens=self.tokens,
            held_out=self.share,
            precision=self.precision,  # type: ignore[arg-type]
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a trial came to. before, after: held-out loss, nats per token of the answers; elsewhere: nats per
    token of Tiny Shakespeare, before and after; losses: of each step; seconds: of all steps."""

    computed: str
    trainable: int
    before: float
    after: float
    elsewhere: tuple[float, float]
    losses: tuple[float, ...]
    tokens: int
    seconds: float

    @property
    def forgetting(self) -> float:
        """Perplexity on Tiny Shakespeare, after over before."""
        return math.exp(self.elsewhere[1] - self.elsewhere[0])


def learn(loaded: Loaded, trial: Trial, watch: Watch = lambda point: None) -> Learnt:
    """Train a copy of the model. Raises DataUnavailable, TextUnavailable, Diverged."""
    return learn_keeping(loaded, trial, watch)[1]


def learn_keeping(
    loaded: Loaded, trial: Trial, watch: Watch = lambda point: None
) -> tuple[Assembled, Learnt]:
    """As `learn`, with the model that came out, its adapter in it."""
    own = assembled(loaded, trial)
    parts = parts_of(own, trial)
    away = rows_of(pieces(loaded, trial.windows), pack, max(trial.tokens, WINDOW))

    def looks() -> tuple[float, float]:
        """Held-out loss, and nats per token elsewhere."""
        found = evaluated(parts.model, parts.evaluate)["held_out"]
        if not away:
            return found, 0.0
        there = evaluated(parts.model, lambda model: measured(model, away, Sft(), own.precision))
        return found, there["held_out"]

    torch.manual_seed(trial.seed)
    state = begin(parts.model, parts.config)
    start = _same_start(trial)
    before = after = _starts[start] if start in _starts else looks()
    _starts[start] = before
    if trial.steps:
        for point in run(state, parts.config, parts.batches, parts.objective):
            watch(point)
        after = looks()
    learnt = Learnt(
        computed=own.how,
        trainable=own.trainable if trial.steps else 0,
        before=before[0],
        after=after[0],
        elsewhere=(before[1], after[1]),
        losses=tuple(point.losses["total"] for point in state.curve),
        tokens=sum(point.tokens for point in state.curve),
        seconds=sum(point.seconds for point in state.curve),
    )
    return own, learnt


def rate_of(rank: int) -> float:
    """The peak rate for a rank, 0 for all weights: chosen in factors of 3, by held-out loss after 30 steps of
    512 tokens, on another split than the claims read (one seed; the base has 1.800):

        rank      1      4      8     16     32     64    rate    all weights
        3e-4  1.789         1.750                1.696    3e-5          1.736
        1e-3  1.752  1.718  1.706  1.696  1.689  1.695    1e-4          1.704
        3e-3  1.709  1.695  1.690  1.697  1.748  1.835    3e-4          1.742

    So with alpha = 2 r the best rate falls as the rank grows. Attention alone, and a base in four bits, take
    the rate of their rank, which was not tried for them. PiSSA of rank 16 has a rate of its own: 1.710 at
    1e-4, 1.703 at 3e-4; with 1e-3 the claims' run ended above the base.
    """
    if not rank:
        return FULL_RATE
    return LOW_RANK_RATE if rank <= 8 else HIGH_RANK_RATE


_starts: dict[Trial, tuple[float, float]] = {}


def _same_start(trial: Trial) -> Trial:
    """A trial that starts as this one does: no factor counts before the first step."""
    rank = 1 if trial.rank or not trial.steps else 0
    return replace(trial, rank=rank, rate=1, steps=1, modules=ALL, optimizer="adamw", seed=0)


def assembled(loaded: Loaded, trial: Trial) -> Assembled:
    """A copy of the model, ready to train; a base is computed as an adapter that changes nothing."""
    settings = trial.settings
    if not trial.steps:
        settings = replace(settings, lora=Lora(r=1))
    precision = precision_of(trial.precision)
    own = replace(loaded, model=deepcopy(loaded.model))
    how = ready(own.model, settings, precision)
    return Assembled(own, Path(trial.model), settings, precision, own.model, how)


def parts_of(own: Assembled, trial: Trial) -> Parts:
    """What the loop is handed: all trials of a split learn from the same examples, and none is in both."""
    assert isinstance(own.settings, SftSettings)
    whole = material(own.loaded, replace(own.settings, seed=trial.split))
    part = whole.with_items(whole.train, whole.held_out[: trial.held_out])
    return supervised(own, own.settings, part, pack, Sft(checkpointing=False))


_materials: dict[tuple[str, int, int, float], Material[Example]] = {}


def material(loaded: Loaded, settings: SftSettings) -> Material[Example]:
    """The data without duplicates, encoded and parted by the seed; examples are cut to what a row takes."""
    key = settings.data, settings.tokens, settings.seed, settings.held_out
    if key not in _materials:
        _materials[key] = examples_of(loaded, settings)
    return _materials[key]


def pieces(loaded: Loaded, count: int) -> tuple[Example, ...]:
    """The last pieces of Tiny Shakespeare, of which every token counts but the first."""
    if not count:
        return ()
    end = text.read(text.pinned(load_settings()))[-6 * count * WINDOW :]
    ids = loaded.tokenizer.encode(end, special=False)[-count * WINDOW :]
    starts = range(0, count * WINDOW, WINDOW)
    return tuple(Example(tuple(ids[start : start + WINDOW]), (True,) * WINDOW) for start in starts)


def short(small: bool, **told: Any) -> Trial:
    """The claims' run: 20 rows of 512 tokens, some 50 examples. Small settings look whether it runs."""
    some: dict[str, Any] = {"steps": 2, "tokens": 128, "held_out": 3, "windows": 1}
    full: dict[str, Any] = {"steps": 20, "tokens": 512, "held_out": 32, "windows": 4}
    rank = told.get("rank", 16)
    return Trial(**({"rate": rate_of(rank)} | (some if small else full) | told))


_training = Lock()


def trained(small: bool, **told: Any) -> tuple[Adapter, Learnt]:
    """A short run, made once, and its adapter; an empty one where all weights trained."""
    with _training:  # two readers who open the lab at once wait for one training
        return _train(small, **told)


@cache
def _train(small: bool, **told: Any) -> tuple[Adapter, Learnt]:
    own, learnt = learn_keeping(kit.chat_model(), short(small, **told))
    return adapter_of(own.loaded.model) if own.settings.lora else Adapter("none", {}), learnt


def base_loss(small: bool = True) -> float:
    return trained(small, rank=16)[1].before


def rank_loss_4(small: bool = True) -> float:
    return trained(small, rank=4)[1].after


def rank_loss_16(small: bool = True) -> float:
    return trained(small, rank=16)[1].after


def rank_loss_64(small: bool = True) -> float:
    return trained(small, rank=64)[1].after


def attention_only_loss(small: bool = True) -> float:
    return trained(small, rank=16, modules=ATTENTION)[1].after


def full_loss(small: bool = True) -> float:
    return trained(small, rank=0)[1].after


def pissa_start(small: bool = True) -> float:
    """Held-out loss of the run of rank 16 that begins with PiSSA, less that of the one with random factors,
    each at its own rate; small: of two blocks, since a decomposition takes its time."""
    some = {"rank": 16, "modules": "blocks.0+blocks.1"} if small else {"rank": 16}
    return trained(small, init="pissa", rate=PISSA_RATE, **some)[1].after - trained(small, **some)[1].after


def adam8_loss(small: bool = True) -> list[float]:
    """Training loss of the run of rank 16 with moments in 8 bits, off that of the same with fp32 moments: of
    each of the last third of steps, which read the same tokens."""
    plain, eight = (trained(small, rank=16, optimizer=name)[1].losses for name in ("adamw", "adamw8bit"))
    last = max(1, len(plain) // 3)
    return [abs(a - b) for a, b in zip(plain[-last:], eight[-last:], strict=True)]
