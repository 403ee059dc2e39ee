"""The judge behind the pages: its warm worker starts when the first exercise is opened and ends with the
app."""

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from handbook.settings import Settings

if TYPE_CHECKING:
    from handbook.app.web.judging import Progress
    from handbook.book.nouns import Exercise
    from handbook.practice.verdicts import Isolation, Report


class Warm:
    """Safe to call from any thread. ahead: whether `warm` starts the worker before the first run needs it."""

    def __init__(self, settings: Settings, ahead: bool = True) -> None:
        self._settings, self._ahead = settings, ahead

    @cached_property
    def isolation(self) -> "Isolation":
        from handbook.practice.verdicts import Isolation

        return Isolation("process")

    def warm(self) -> None:
        """Begin to start the worker, unless that was done; returns at once."""

    def close(self) -> None: ...

    def report(
        self, exercise: "Exercise", code: str, hidden: bool, stop: threading.Event, progress: "Progress"
    ) -> "Report":
        import tempfile
        from pathlib import Path

        from handbook.book.exercises import judge
        from handbook.practice.verdicts import Report, Verdict

        with tempfile.TemporaryDirectory(prefix="handbook-") as folder:
            submission = Path(folder) / "submission.py"
            submission.write_text(code, encoding="utf-8")
            old = judge(exercise, submission, hidden)
        verdicts = tuple(
            Verdict(
                each.name, each.hidden, "passed" if each.passed else "failed", each.message, wall=each.seconds
            )
            for each in old.results
        )
        return Report(
            exercise.name, verdicts, (), old.output, old.seconds, 0.0, 0, self.isolation, None, old.broken
        )

    def value(self, exercise: "Exercise", code: str, snippet: str, stop: threading.Event) -> Any:
        raise NotImplementedError
