"""One training run: a recipe, a text, a seed, and a folder where it stops and goes on."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from handbook.engine.sampler import randomness
from handbook.engine.sampler import sample as draw
from handbook.errors import CheckpointError
from handbook.model.transformer import Transformer
from handbook.records import Sampling
from handbook.train import checkpoint
from handbook.train.characters import Characters, Corpus, Windows, batch_at
from handbook.train.curve import write_metrics
from handbook.train.loop import Point, State, TrainConfig, begin, run
from handbook.train.mixture import HeldOut, NextToken, Rebalance, held_out
from handbook.train.tiny import Recipe, Shape, initialise

PROBE = 16_384  # held-out characters that are read for the curve; the result reads all


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a run came to. resumed_from: steps that an earlier run had done; seconds: of all steps."""

    recipe: Recipe
    model: Transformer
    curve: tuple[Point, ...]
    held_out: HeldOut
    resumed_from: int = 0

    @property
    def seconds(self) -> float:
        return sum(point.seconds for point in self.curve)


class Stopped(Exception):
    """Somebody asked to stop. Nothing is lost where there is a folder: the checkpoint holds `step` steps."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run: a recipe on a text, from a seed. folder: where checkpoint and metrics go, None for
    nowhere; every: steps between checkpoints, and between looks at held-out text; text: what names it."""

    recipe: Recipe
    shape: Shape
    schedule: TrainConfig
    seed: int
    text: str = ""
    folder: Path | None = None
    every: int = 50

    @property
    def settings(self) -> dict[str, Any]:
        """What makes this run another than the next, as plain values."""
        r = self.recipe
        own = {"model": r.name, "balance": r.balance, "z": r.z, "bias_step": r.bias_step}
        return {
            **own,
            "seed": self.seed,
            "text": self.text,
            "every": self.every,
            **asdict(self.shape),
            **asdict(self.schedule),
        }

    @property
    def checkpoint(self) -> Path | None:
        return None if self.folder is None else self.folder / "checkpoint.pt"

    def stored(self) -> dict[str, Any] | None:
        """The checkpoint of an earlier run, None where there is none.

        Raises CheckpointError where it can't be read or is of a run with other settings.
        """
        if self.checkpoint is None or not self.checkpoint.exists():
            return None
        content = checkpoint.read(self.checkpoint)
        if faults := checkpoint.differences(content["settings"], self.settings):
            raise CheckpointError(
                f"{self.checkpoint} is of a run with other settings: {'; '.join(faults)}.", checkpoint.ANEW
            )
        return content

    def start(self) -> State:
        """Before the first step, or where the checkpoint is."""
        torch.manual_seed(self.seed)
        model = Transformer(self.recipe.config)
        initialise(model, self.seed)
        state = begin(model, self.schedule)
        if (content := self.stored()) is not None:
            checkpoint.restore(content, state)
        return state

    def save(self, state: State) -> None:
        if self.checkpoint is not None:
            checkpoint.save(self.checkpoint, state, self.settings)

    def forget(self) -> None:
        """Remove what an earlier run left in the folder."""
        if self.folder is not None:
            for name in ("checkpoint.pt", "metrics.jsonl"):
                (self.folder / name).unlink(missing_ok=True)


def train(
    plan: Run,
    corpus: Corpus,
    watch: Callable[[Point], None] = lambda point: None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train to the end, from the checkpoint where there is one. watch sees every step; stop is asked after
    each, and raises Stopped once a checkpoint is written.

    Raises CheckpointError, DiskFull, and Diverged where the loss is no number any more.
    """
    shape, r = plan.shape, plan.recipe
    state = plan.start()
    resumed = state.step
    probe = corpus.held_out[: PROBE + 1]

    def batches(step: int) -> list[Windows]:
        return [batch_at(corpus.train, plan.seed, step, shape.batch, shape.length)]

    def evaluate(model: nn.Module) -> dict[str, float]:
        return {"held_out": held_out(model, probe, shape.batch, shape.length).loss}

    steps = run(
        state,
        plan.schedule,
        batches,
        NextToken(r.balance, r.z),
        Rebalance(r.bias_step) if r.bias_step else None,
        None if plan.folder is None else evaluate,
        plan.every,
    )
    with write_metrics(plan.folder, state.curve) as write:
        for point in steps:
            if "held_out" in point.losses:
                plan.save(state)
            write(point)
            watch(point)
            if stop():
                plan.save(state)
                raise Stopped(point.step)
    result = held_out(state.model, corpus.held_out, shape.batch, shape.length)
    model = state.model
    assert isinstance(model, Transformer)
    return Trained(
        recipe=r, model=model.eval(), curve=tuple(state.curve), held_out=result, resumed_from=resumed
    )


@torch.inference_mode()
def sample(model: Transformer, tokenizer: Characters, length: int = 240, seed: int = 0) -> str:
    """Text that the model makes up after a line end, drawn at temperature 0.8. Reads no further back than its
    context."""
    ids = [tokenizer.encode("\n")[0] if "\n" in tokenizer.symbols else 0]
    for place in range(length):
        logits = model(torch.tensor([ids[-model.config.context :]]), last_only=True)[0, 0]
        ids.append(draw(logits, Sampling(temperature=0.8), uniform=randomness(seed, place)))
    return tokenizer.decode(ids[1:])
