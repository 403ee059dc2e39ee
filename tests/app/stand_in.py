"""A judge that runs tests in this very process, for tests of the pages: no sandbox, no waiting."""

import re
import threading
import time
from types import SimpleNamespace
from typing import Any

from handbook.practice.verdicts import Difference, Growth, Incident, Isolation, Report, Verdict

HELD = Isolation("worker", ("namespaces", "seccomp"), ("the network", "files outside"), ("timing",))
LOOSE = Isolation("process", ("limits",), ("time",), ("the network", "timing"))
GROWTH = Growth(
    "looks like n squared", 1.98, 1.9, 2.1, (64, 128, 256, 512), (1e-3, 4e-3, 1.6e-2, 6.5e-2), "n", False
)


class StandIn:
    """Code with `# slow` runs until stopped, with `# n squared` grows so, with `# net` was contained."""

    def __init__(self, isolation: Isolation = HELD) -> None:
        self.isolation = isolation
        self.closed = False
        self.warmed = 0
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def warm(self) -> None:
        self.warmed += 1

    def close(self) -> None:
        self.closed = True

    def report(self, exercise: Any, code: str, hidden: bool, stop: threading.Event, progress: Any) -> Report:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            return self._report(exercise, code, hidden, stop, progress)
        finally:
            with self._lock:
                self.running -= 1

    def _report(self, exercise: Any, code: str, hidden: bool, stop: threading.Event, progress: Any) -> Report:
        if "# slow" in code:
            stop.wait(120)
        if "# bug" in code:
            raise RuntimeError("no sandbox")
        stems = ("tests", "hidden") if hidden else ("tests",)
        tests = []
        for stem in stems:
            space: dict[str, Any] = {}
            exec(exercise.file(f"{stem}.py").read_text(), space)
            tests += [(stem, name, value) for name, value in space.items() if name.startswith("test_")]
        module: dict[str, Any] = {}
        try:
            exec(code, module)
        except Exception as error:
            broken = f"The submission cannot be loaded. Line 1: {error}"
            verdicts = [Verdict(name, stem == "hidden", "not_run", broken) for stem, name, _ in tests]
            return Report(exercise.name, tuple(verdicts), (), "", 0.0, 0.0, 0, self.isolation, None, broken)
        verdicts = []
        for stem, name, test in tests:
            verdicts.append(self._verdict(SimpleNamespace(**module), stem == "hidden", name, test))
            progress(verdicts[-1])
        incidents = (Incident("network", "It tried to open a connection."),) if "# net" in code else ()
        growth = GROWTH if "# n squared" in code else None
        return Report(
            exercise.name, tuple(verdicts), incidents, "said\n", 0.012, 0.008, 1 << 20, self.isolation, growth
        )

    def _verdict(self, module: Any, hidden: bool, name: str, test: Any) -> Verdict:
        begin = time.perf_counter()
        try:
            test(module)
        except AssertionError as error:
            found = re.search(r"expected (.*), got (.*)", str(error))
            difference = Difference("", found[1], found[2]) if found else None
            return Verdict(name, hidden, "failed", str(error), difference, wall=time.perf_counter() - begin)
        except Exception as error:
            return Verdict(name, hidden, "error", f"{type(error).__name__}: {error}", line=2)
        return Verdict(name, hidden, "passed", wall=time.perf_counter() - begin, output="heard\n")

    def value(self, exercise: Any, code: str, snippet: str, stop: threading.Event) -> Any:
        def tried(text: str) -> tuple[str, str]:
            space: dict[str, Any] = {}
            try:
                exec(text, space)
                return repr(eval(snippet, space)), ""
            except Exception as error:
                return "", f"{type(error).__name__}: {error}"

        value, error = tried(code)
        reference, reference_error = tried(exercise.file("solution.py").read_text())
        return SimpleNamespace(
            value=value,
            output="",
            error=error,
            reference_value=reference,
            reference_error=reference_error,
            wall=0.001,
            memory=0,
            incidents=(),
        )
