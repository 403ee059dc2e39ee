"""Work in the background: at most one of a name at a time, with its progress and what came of it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from handbook.errors import HandbookError

Progress = Callable[[int, int, str], None]


@dataclass
class Job:
    """done and total count bytes or items; total 0 where the end isn't known."""

    name: str
    title: str
    state: Literal["running", "done", "failed"] = "running"
    done: int = 0
    total: int = 0
    note: str = ""
    what: str = ""
    remedy: str = ""
    result: Any = None
    started: float = field(default_factory=time.monotonic)

    @property
    def share(self) -> int | None:
        """Percent done, or None."""
        return min(100, round(100 * self.done / self.total)) if self.total else None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class Jobs:
    """The register. Threads are daemons: stopping the handbook stops them."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, name: str, title: str, work: Callable[[Progress], Any], delay: float = 0.0) -> Job:
        """Run `work(progress)` in a thread, unless a job of that name still runs."""
        with self._lock:
            running = self._jobs.get(name)
            if running and running.state == "running":
                return running
            job = self._jobs[name] = Job(name, title)
        threading.Thread(target=self._run, args=(job, work, delay), name=f"job-{name}", daemon=True).start()
        return job

    def _run(self, job: Job, work: Callable[[Progress], Any], delay: float) -> None:
        def progress(done: int, total: int, note: str) -> None:
            job.done, job.total, job.note = done, total, note

        time.sleep(delay)
        try:
            job.result = work(progress)
            job.state = "done"
        except HandbookError as error:
            job.what, job.remedy, job.state = error.what, error.remedy, "failed"
        except Exception as error:
            job.what = f"{type(error).__name__}: {error}"
            job.remedy = "This is a bug; `handbook doctor` shows what a report needs."
            job.state = "failed"

    def get(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def all(self) -> list[Job]:
        return list(self._jobs.values())
