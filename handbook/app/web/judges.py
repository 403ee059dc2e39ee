"""The judge behind the pages: its warm worker starts when the first exercise is opened and ends with the
app."""

import contextlib
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from handbook.errors import HandbookError
from handbook.settings import Settings

if TYPE_CHECKING:
    from handbook.app.web.judging import Progress
    from handbook.book.nouns import Exercise
    from handbook.practice.judge import Judge
    from handbook.practice.verdicts import Isolation, Report


class Warm:
    """Safe to call from any thread. ahead: whether `warm` starts the worker before the first run needs it."""

    def __init__(self, settings: Settings, ahead: bool = True) -> None:
        self._settings, self._ahead = settings, ahead
        self._lock = threading.Lock()
        self._judge: Judge | None = None
        self._warmed = False

    @cached_property
    def isolation(self) -> "Isolation":
        """What would hold a submission; starts nothing. Raises IsolationError where nothing can run here."""
        from handbook.practice.sandbox.opened import isolation_of

        return isolation_of(self._settings)

    @property
    def judge(self) -> "Judge":
        with self._lock:
            if self._judge is None:
                from handbook.practice.judge import Judge

                self._judge = Judge(self._settings)
            return self._judge

    def warm(self) -> None:
        """Begin to start the worker, unless that was done; returns at once."""
        with self._lock:
            if self._warmed or not self._ahead:
                return
            self._warmed = True
        threading.Thread(target=self._open, name="judge-warms", daemon=True).start()

    def _open(self) -> None:
        with contextlib.suppress(HandbookError, OSError):  # the first run says why
            self.judge.open()

    def close(self) -> None:
        with self._lock:
            judge, self._judge, self._ahead = self._judge, None, False
        if judge is not None:
            judge.close()

    def report(
        self, exercise: "Exercise", code: str, hidden: bool, stop: threading.Event, progress: "Progress"
    ) -> "Report":
        return self.judge.run(exercise, code, hidden=hidden, stop=stop, progress=progress)

    def value(self, exercise: "Exercise", code: str, snippet: str, stop: threading.Event) -> Any:
        from handbook.practice.custom import try_input

        return try_input(exercise, code, snippet, using=self.judge, stop=stop)
