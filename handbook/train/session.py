"""A run from its settings to its result: assembled, trained, measured, saved; stopped and gone on with.

A folder holds all of it: run.json says what it is and how it stands, metrics.jsonl has a line a step,
checkpoint.pt is what it goes on from, and adapter/ or model/ is what comes out. `handbook.train.material`
says what is learnt from, `handbook.train.methods` how.

Book: model-training/fine-tuning-strategies
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from handbook.errors import CheckpointError, HandbookError
from handbook.train import checkpoint
from handbook.train.assembly import Assembled
from handbook.train.curve import write_metrics
from handbook.train.loop import Point, State, begin, evaluated, run
from handbook.train.methods import Parts
from handbook.train.runs import Stopped
from handbook.train.settings import Common, as_plain
from handbook.train.whole import written_whole

ABOUT, METRICS, CHECKPOINT = "run.json", "metrics.jsonl", "checkpoint.pt"
SCHEMA = "handbook.train.run/1"
ELSEWHERE = {"out", "threads", "every"}  # a run is the same one with others of these
Watch = Callable[[Point], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to. before, after: on held-out data; resumed_from: steps of an earlier part."""

    curve: tuple[Point, ...]
    before: Mapping[str, float]
    after: Mapping[str, float]
    resumed_from: int
    result: Path

    @property
    def seconds(self) -> float:
        return sum(point.seconds for point in self.curve)

    @property
    def tokens(self) -> int:
        return sum(point.tokens for point in self.curve)


@dataclass
class Session:
    """A run that is ready to begin. command: what a person gives to go on with it."""

    settings: Common
    folder: Path
    assembled: Assembled
    parts: Parts
    command: str = ""
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it another run than the next, as plain values."""
        told = {name: value for name, value in as_plain(self.settings).items() if name not in ELSEWHERE}
        steps = {"steps": self.parts.config.steps, "precision": self.parts.config.precision}
        return told | steps | {"data_sha256": self.parts.fingerprint}

    @property
    def every(self) -> int:
        """Steps between checkpoints: as told, or the next place where the run can be gone on with."""
        return -(-self.settings.every // self.parts.stride) * self.parts.stride

    def stored(self) -> dict[str, Any] | None:
        """The checkpoint of an earlier part, None where there is none. Raises CheckpointError where it can't
        be read or is of another run."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return None
        content = checkpoint.read(path)
        if faults := checkpoint.differences(content["settings"], self.identity):
            raise CheckpointError(
                f"{path} is of a run with other settings: {'; '.join(faults)}.", checkpoint.ANEW
            )
        return content

    def start(self) -> State:
        """Before the first step, or where the checkpoint is."""
        torch.manual_seed(self.settings.seed)
        state = begin(self.parts.model, self.parts.config)
        if (content := self.stored()) is not None:
            checkpoint.restore(content, state)
        return state

    def tries(self, result: Path) -> list[str]:
        """Commands that try what came out."""
        if self.settings.method == "reward":
            return []
        if self.settings.full:
            return [f"handbook {verb} --model {quote(str(result))}" for verb in ("chat", "serve")]
        model, named = quote(self.settings.model), quote(f"{self.folder.name}={result}")
        return [
            f"handbook chat --model {model} --adapter {quote(str(result))}",
            f"handbook serve --model {model} --adapter {named}",
        ]

    def note(self, state: str, **more: Any) -> None:
        """Write run.json: who trains what, and how it stands."""
        self.about |= {"state": state, "changed": time.time(), **more}
        with written_whole(self.folder / ABOUT) as file:
            file.write(json.dumps({"schema": SCHEMA, **self.about}, ensure_ascii=False, indent=1).encode())


def train(
    session: Session, watch: Watch = lambda point: None, stop: Callable[[], bool] = lambda: False
) -> Outcome:
    """Train to the end, from the checkpoint where there is one, and save what came out. watch sees each step;
    stop is asked after it, and raises `runs.Stopped` once a checkpoint is written.

    Raises CheckpointError, DiskFull, and Diverged where the loss is no number any more; the last checkpoint
    then stands.
    """
    parts = session.parts
    state = session.start()
    resumed, before = state.step, _noted(session.folder) if state.step else {}
    session.about |= _about(session)
    with told(session, before):
        if not before and state.step == 0 and parts.held_out:
            before = evaluated(state.model, parts.evaluate)
            session.note("running", before=before, held_out={"before": before.get("held_out"), "after": None})
        steps = run(
            state,
            parts.config,
            parts.batches,
            parts.objective,
            evaluate=parts.evaluate if parts.held_out else None,
            every=session.every,
        )
        with write_metrics(session.folder, state.curve) as write:
            for point in steps:
                if parts.seen is not None:
                    point = replace(point, losses=point.losses | parts.seen())
                    state.curve[-1] = point
                write(point)
                if point.step % session.every == 0 or point.step == parts.config.steps:
                    checkpoint.save(session.folder / CHECKPOINT, state, session.identity)
                watch(point)
                if stop() and point.step % parts.stride == 0 and point.step < parts.config.steps:
                    checkpoint.save(session.folder / CHECKPOINT, state, session.identity)
                    raise Stopped(point.step)
        last = state.curve[-1].losses
        after = {name: value for name, value in last.items() if name.startswith("held_out")}
        result = session.assembled.save(session.folder)
        ends = {"before": before.get("held_out"), "after": after.get("held_out")}
        session.note("done", result=str(result), held_out=ends, **{"try": session.tries(result)})
    return Outcome(curve=tuple(state.curve), before=before, after=after, resumed_from=resumed, result=result)


@contextmanager
def told(session: Session, before: Mapping[str, float]) -> Iterator[None]:
    """run.json says that it runs, and afterwards how it ended."""
    held_out = {"before": before.get("held_out"), "after": None}
    session.note("running", before=dict(before), held_out=held_out)
    try:
        yield
    except (Stopped, KeyboardInterrupt):
        session.note("stopped")
        raise
    except BaseException as error:
        with suppress(HandbookError):  # the disk may be full, and that is what is to be heard of
            session.note("failed", what=error.what if isinstance(error, HandbookError) else str(error))
        raise


def _noted(folder: Path) -> dict[str, float]:
    """Held-out measures of the model before its first step, as the run's first part noted them."""
    try:
        noted = json.loads((folder / ABOUT).read_text(encoding="utf-8"))["before"]
        return {str(name): float(value) for name, value in noted.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _about(session: Session) -> dict[str, Any]:
    import psutil

    assembled, lora = session.assembled, session.settings.lora
    return {
        "method": session.settings.method,
        "model": assembled.name,
        "trains": assembled.trains,
        "trainable": assembled.trainable,
        "parameters": assembled.parameters,
        "steps": session.parts.config.steps,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "process": {"pid": os.getpid(), "created": psutil.Process().create_time()},
        "command": session.command,
        "settings": as_plain(session.settings) | {"lora": None if lora is None else lora.text},
    }


def forget(folder: Path) -> None:
    """Remove what an earlier run left in the folder, its result apart, which the next one replaces."""
    for name in (CHECKPOINT, METRICS, ABOUT):
        (folder / name).unlink(missing_ok=True)
