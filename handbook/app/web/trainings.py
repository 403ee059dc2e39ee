"""The training runs of the data folder, as their files say: run.json what one is, metrics.jsonl what it did.

Files grow while they are read, are written anew when a run goes on, and may be broken off; what can't be read
is passed over. A long run keeps no more points than a drawing shows.
"""

import json
import math
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

METRICS, ABOUT = "metrics.jsonl", "run.json"
MOST_RUNS, DEEP = 200, 3
MOST_POINTS = 600  # of a series; more are averaged in pairs
RECENT = 20  # steps that a figure of now is the mean of
FRESH = 15.0  # seconds; a run that tells no process counts as running for so long after its last line
READ = 64 << 20  # bytes of metrics that are read, at most
State = Literal["running", "done", "stopped", "failed", "killed", "unknown"]


@dataclass
class Series:
    """Values over steps, at most MOST_POINTS of them: each point is the mean of `stride` steps."""

    points: list[tuple[float, float]] = field(default_factory=list)
    stride: int = 1
    _steps: float = 0.0
    _values: float = 0.0
    _count: int = 0

    def add(self, step: float, value: float) -> None:
        self._steps, self._values, self._count = self._steps + step, self._values + value, self._count + 1
        if self._count < self.stride:
            return
        self.points.append((self._steps / self._count, self._values / self._count))
        self._steps, self._values, self._count = 0.0, 0.0, 0
        if len(self.points) >= MOST_POINTS:
            pairs = zip(self.points[::2], self.points[1::2], strict=True)
            self.points = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairs]
            self.stride *= 2


@dataclass
class Metrics:
    """What metrics.jsonl has said so far. recent: the last rows; steps: the last step."""

    series: dict[str, Series] = field(default_factory=dict)
    recent: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    steps: int = 0

    def take(self, line: bytes) -> None:
        """A line of the file; one that is no object with a step is passed over."""
        try:
            row = json.loads(line)
            step = row["step"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if not _number(step) or step < 0:
            return
        self.steps = int(step)
        values = {str(name)[:60]: float(value) for name, value in row.items() if _number(value)}
        del values["step"]
        if values.get("tokens", 0) > 0 and values.get("seconds", 0) > 0:
            values["tokens_per_second"] = values["tokens"] / values["seconds"]
        self.recent.append(values)
        for name, value in values.items():
            if name in self.series or len(self.series) < 60:
                self.series.setdefault(name, Series()).add(step, value)

    def now(self, name: str) -> float | None:
        """The mean of a value over the last steps that tell it."""
        seen = [row[name] for row in self.recent if name in row]
        return sum(seen) / len(seen) if seen else None

    def last(self, name: str) -> tuple[float, float] | None:
        """The last step and value of something that is told now and then."""
        series = self.series.get(name)
        return series.points[-1] if series and series.points else None


@dataclass(frozen=True)
class Training:
    """A run. name: its path below the folder of runs. mark: changes whenever its files do."""

    name: str
    folder: Path
    about: Mapping[str, Any]
    metrics: Metrics
    modified: float
    state: State
    mark: str

    def told(self, *path: str) -> Any:
        """A value of run.json, None where it isn't there."""
        value: Any = self.about
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @property
    def steps(self) -> int | None:
        """Steps that it is to take."""
        told = self.told("steps")
        return int(told) if _number(told) and told > 0 else None

    @property
    def drawn(self) -> bool:
        """Whether it learns from rewards of its own answers: then its loss says little."""
        return self.told("method") in ("ppo", "grpo")

    @property
    def main(self) -> str:
        """The name of what to look at first: the reward, or what is minimised, or of models from nothing the
        text's part of it."""
        if self.drawn:
            return "reward"
        return "text" if self.told("method") is None and "text" in self.metrics.series else "total"

    @property
    def held_out(self) -> str:
        """The name of the same on held-out data."""
        return "held_out_reward" if self.drawn else "held_out"

    @property
    def title(self) -> str:
        method = self.told("method")
        return str(method).upper() if isinstance(method, str) else "From nothing"

    @property
    def trains(self) -> str:
        """The model, and what of it is trained."""
        parts = [self.told("model"), self.told("trains")]
        return ", ".join(str(part) for part in parts if isinstance(part, str)) or self.name

    @property
    def commands(self) -> list[str]:
        """What tries the result, one after the other."""
        told = self.told("try")
        return [each for each in told if isinstance(each, str)] if isinstance(told, list) else []

    @property
    def seconds_left(self) -> float | None:
        each = None if self.drawn else self.metrics.now("seconds")  # a step's seconds don't hold its round's
        if self.state != "running" or self.steps is None or each is None:
            return None
        return max(self.steps - self.metrics.steps, 0) * each


class Trainings:
    """All runs below a folder, newest first. What was read of a file is kept and read on from there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: OrderedDict[Path, tuple[int, int, Metrics]] = OrderedDict()  # inode, bytes read
        self._lock = threading.Lock()

    def all(self) -> list[Training]:
        with self._lock:
            found = [run for folder in self._folders() if (run := self._read(folder)) is not None]
        return sorted(found, key=lambda run: (run.state == "running", run.modified), reverse=True)

    def _folders(self) -> Iterator[Path]:
        count = 0
        for place, inner, files in os.walk(self.folder):
            path = Path(place)
            depth = len(path.relative_to(self.folder).parts)
            inner[:] = [] if depth >= DEEP else sorted(name for name in inner if not name.startswith("."))
            if depth and METRICS in files:
                count += 1
                yield path
            if count >= MOST_RUNS:
                return

    def _read(self, folder: Path) -> Training | None:
        path = folder / METRICS
        try:
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
                inode, done, metrics = self._kept.get(path, (0, 0, Metrics()))
                if inode != stat.st_ino or stat.st_size < done:
                    done, metrics = 0, Metrics()
                file.seek(done)
                for line in file:
                    if not line.endswith(b"\n") or done > READ:
                        break  # still being written
                    done += len(line)
                    metrics.take(line)
        except OSError:
            return None
        self._kept[path] = (stat.st_ino, done, metrics)
        self._kept.move_to_end(path)
        while len(self._kept) > MOST_RUNS:
            self._kept.popitem(last=False)
        about = _about(folder / ABOUT)
        state = _state(about, stat.st_mtime)
        mark = f"{stat.st_ino}-{stat.st_size}-{state}-{about.get('changed', '')}"
        name = folder.relative_to(self.folder).as_posix()
        return Training(name, folder, about, metrics, stat.st_mtime, state, mark)


def _about(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > 1 << 20:
            return {}
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _state(about: Mapping[str, Any], modified: float) -> State:
    told = about.get("state")
    if told in ("done", "stopped", "failed"):
        return told  # type: ignore[no-any-return]  # one of these three
    if told == "running":
        return "running" if _alive(about.get("process")) else "killed"
    return "running" if time.time() - modified < FRESH else "unknown"


def _alive(process: Any) -> bool:
    """Whether the process that wrote run.json is still there: its number may be another's by now."""
    import psutil

    if not isinstance(process, Mapping) or not _number(process.get("pid")) or process["pid"] <= 0:
        return False
    try:
        found = psutil.Process(int(process["pid"]))
        return abs(found.create_time() - float(process.get("created", 0))) < 2 and found.is_running()
    except (psutil.Error, ValueError, TypeError, OverflowError):
        return False


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
