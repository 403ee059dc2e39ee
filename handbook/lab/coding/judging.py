"""The judge, judged: forgeries, attacks, other people's problems, mutants, and what a verdict costs.

Book: machine-learning/coding-for-ml-engineers
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from handbook.book.nouns import Exercise
from handbook.errors import DataUnavailable
from handbook.settings import load

TESTS = '''"""Shown."""
import numpy as np
from handbook.practice.checks import close

def test_mean(submission):
    """The mean of three numbers."""
    expected = 3.0
    got = submission.mean(np.array([1.0, 2.0, 6.0]))
    assert np.allclose(got, expected), f"expected {expected}, got {got}"
    close(got, expected)
'''
LIAR = """
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __le__(self, other): return True
    __lt__ = __ge__ = __gt__ = __le__
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __float__(self): return float(3)
    def __array__(self, dtype=None, copy=None): return __import__("numpy").array(3.0)
"""
WRONG = "def mean(x):\n    return -1.0\n"
FORGERIES = {
    "patches NumPy and the comparer": "import numpy as np\nfrom handbook.practice import checks\n"
    "np.allclose = lambda *a, **k: True\nchecks.close.__code__ = (lambda *a, **k: None).__code__\n" + WRONG,
    "reads the expected value from the caller's frame": "import sys\ndef mean(x):\n"
    "    frame = sys._getframe()\n    while frame:\n        if 'expected' in frame.f_locals:\n"
    "            return frame.f_locals['expected']\n        frame = frame.f_back\n    return -1.0\n",
    "replaces the tests": "import gc, types\nfor f in gc.get_objects():\n"
    "    if isinstance(f, types.FunctionType) and f.__name__.startswith('test_'):\n"
    "        f.__code__ = (lambda submission: None).__code__\n" + WRONG,
    "ends before the first test": "import os\nprint('passed')\nimport sys\nsys.stdout.flush()\nos._exit(0)\n"
    + WRONG,
    "is not decided by its value": "class Float(float):" + LIAR + "def mean(x):\n    import numpy as np\n"
    "    np.isclose = lambda *a, **k: np.True_\n    np.all = lambda *a, **k: True\n"
    "    np.allclose = lambda *a, **k: True\n"
    "    from handbook.practice import checks\n    checks.close.__code__ = (lambda *a, **k: None).__code__\n"
    "    return Float(-1)\n",
}
# What a first runner looks like: the tests are loaded, then the submission, then the tests are called.
RUNNER = """
import importlib.util, sys
def loaded(name):
    spec = importlib.util.spec_from_file_location(name, f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
tests = loaded("tests")
submission = loaded("submission")
for name, test in list(vars(tests).items()):
    if name.startswith("test_"):
        test(submission)
"""


def exercise(folder: Path, tests: str = TESTS, name: str = "mean") -> Exercise:
    """An exercise of one file of tests, written to a folder."""
    for stem, text in {"tests": tests, "hidden": "", "solution": "", "starter": ""}.items():
        (folder / f"{stem}.py").write_text(text, encoding="utf-8")
    return Exercise(name, "one", name, "foundation", 5, name, ("", "", ""), "", "", "", folder)


@contextmanager
def judging() -> Iterator[Any]:
    """A warm judge for the time of the block."""
    from handbook.practice.judge import Judge

    with Judge(load()) as judge:
        judge.open()
        yield judge


def forged_in_process(small: bool = True) -> float:
    """Share of five wrong submissions that pass where tests and submission share a process."""
    passed = 0
    for code in FORGERIES.values():
        with TemporaryDirectory() as name:
            exercise(Path(name))
            (Path(name) / "submission.py").write_text(code, encoding="utf-8")
            done = subprocess.run(
                [sys.executable, "-c", RUNNER], cwd=name, capture_output=True, timeout=60, check=False
            )
            passed += done.returncode == 0
    return passed / len(FORGERIES)


def forged_apart(small: bool = True) -> float:
    """Share of the same five that pass on the judge."""
    with judging() as judge, TemporaryDirectory() as name:
        one = exercise(Path(name))
        right = judge.run(one, "def mean(x):\n    return float(x.mean())\n", hidden=False)
        assert right.passed, "the right answer has to pass, or the others prove nothing"
        return statistics.fmean(
            judge.run(one, code, hidden=False, seconds=5.0).passed for code in FORGERIES.values()
        )


ATTACKS = {
    "a fork bomb": "import os\nwhile True: os.fork()",
    "memory": "held = [bytearray(1 << 26) for _ in range(200)]",
    "an endless loop in C": "import itertools\nsum(itertools.count())",
    "endless output": "while True: print('x' * 100000)",
    "the home folder": "import os\nos.listdir(os.path.expanduser('~root'))\nopen('/etc/shadow').read()",
    "the network": "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)",
    "writing elsewhere": "open('../handbook-attack', 'w').write('x')",
    "killing its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
    "a full disk": "with open('big', 'wb') as f:\n    while True: f.write(bytes(1 << 20))",
}


def attacks_contained(small: bool = True) -> float:
    """Share of the attacks above after which the judge says that the submission failed and names an incident,
    and judges the next one rightly."""
    held = 0
    with judging() as judge, TemporaryDirectory() as name:
        one = exercise(Path(name))
        right = "def mean(x):\n    return float(x.mean())\n"
        for source in ATTACKS.values():
            body = "".join(f"    {line}\n" for line in source.splitlines())
            code = f"def mean(x):\n{body}    return float(x.mean())\n"
            report = judge.run(one, code, hidden=False, seconds=2.0)
            held += (
                not report.passed
                and bool(report.incidents or report.timed_out)
                and judge.run(one, right, hidden=False).passed
            )
    return held / len(ATTACKS)


def _book() -> dict[str, Exercise]:
    from handbook.book.load import open_book

    return dict(open_book(load().book).exercises)


def warm_verdict(small: bool = True) -> list[float]:
    """Milliseconds from the code of a small NumPy exercise (stable softmax, 15 tests) to its verdict, the
    worker warm."""
    one = _book()["stable-softmax"]
    code = one.file("solution.py").read_text(encoding="utf-8")
    with judging() as judge:
        assert judge.run(one, code).passed
        return [1000 * judge.run(one, code).wall for _ in range(5 if small else 15)]


def _ready(kind: str, rounds: int) -> list[float]:
    from handbook.errors import IsolationError
    from handbook.practice.sandbox import Limits, open_sandbox

    settings = load()
    try:
        box = open_sandbox(settings.model_copy(update={"judge_isolation": kind}))
    except IsolationError as error:
        raise DataUnavailable(error.what, error.remedy) from error
    try:
        found = []
        for turn in range(rounds + 1):
            begin = time.perf_counter()
            cell = box.start("handbook.practice.sandbox.trial:nothing", [], Limits())
            cell.ready.wait(20)
            if turn:  # the first starts the worker
                found.append(1000 * (time.perf_counter() - begin))
            cell.wait(20)
        return found
    finally:
        box.close()


def cell_start(small: bool = True) -> list[float]:
    """Milliseconds until a cell, forked from the warm worker, is confined and begins."""
    return _ready("worker", 10 if small else 40)


def bubblewrap_start(small: bool = True) -> list[float]:
    """The same by bubblewrap around a fresh interpreter, before anything is imported."""
    return _ready("bubblewrap", 3 if small else 15)


CALLS = """
import time

def test_calls(submission):
    begin = time.perf_counter()
    for n in range(2000):
        submission.mean(n)
    raise AssertionError(repr((time.perf_counter() - begin) / 2000))
"""


def call_cost(small: bool = True) -> list[float]:
    """Microseconds of a call from a test to the submission's process and back, one whole number each way."""
    with judging() as judge, TemporaryDirectory() as name:
        one = exercise(Path(name), CALLS)
        found = []
        for _ in range(3 if small else 9):
            report = judge.run(one, "def mean(x):\n    return x\n", hidden=False)
            found.append(1e6 * float(report.verdicts[0].message))
        return found


@cache
def _mutants(small: bool) -> tuple[int, int, int]:
    """(mutants, rejected by the shown tests alone, rejected by all) of a sample of the book's exercises."""
    from handbook.practice.mutants import mutants

    made = shown = rejected = 0
    names = sorted(name for name, one in _book().items() if not one.solution)
    listed = Path(__file__).parents[3] / "tests/exercises/equivalent"  # in a clone
    with judging() as judge:
        for name in names[:: 12 if small else 4]:
            one, file = _book()[name], listed / f"{name}.toml"
            same = file.read_text(encoding="utf-8") if file.is_file() else ""
            source = one.file("solution.py").read_text(encoding="utf-8")
            if "handbook" in source:
                continue
            for mutant in [m for m in mutants(source) if m.key not in same][:: 12 if small else 4]:
                report = judge.run(one, mutant.code, growth=False, seconds=4.0, fail_fast=True)
                failed = [v for v in report.verdicts if v.state in ("failed", "error")]
                made += 1
                rejected += not report.passed
                shown += bool(report.broken) or any(not v.hidden for v in failed)
    return made, shown, rejected


def shown_tests_catch(small: bool = True) -> float:
    """Share of the mutants of some of the book's solutions that the shown tests alone reject."""
    made, shown, _ = _mutants(small)
    return shown / made


def all_tests_catch(small: bool = True) -> float:
    """The same with the hidden tests. Without the list of equivalent mutants, which lies beside the tests of
    the code and not in the package, those count as missed."""
    made, _, rejected = _mutants(small)
    return rejected / made


def _human() -> list[Any]:
    """HumanEval's problems. Raises DataUnavailable where the setting `code` names no folder with them."""
    from handbook.practice.problems import read

    folder = load().code
    file = folder / "humaneval/HumanEval.jsonl.gz" if folder else None
    if file is None or not file.is_file():
        raise DataUnavailable(
            "HumanEval is not on this machine.", "HANDBOOK_CODE names the folder that holds humaneval/."
        )
    return list(read(file))


def humaneval_accepted(small: bool = True) -> float:
    """How many of the 164 reference solutions the judge accepts (small: of every fourth, scaled to 164)."""
    from handbook.practice.problems import judge_problem

    problems = _human()[:: 4 if small else 1]
    with judging() as judge:
        passed = sum(judge_problem(p, p.reference, judge=judge, seconds=10.0).passed for p in problems)
    return 164 * passed / len(problems)


def humaneval_mutants(small: bool = True) -> float:
    """Share of the mutants of the reference solutions that the set's own tests reject."""
    from handbook.practice.mutants import mutants
    from handbook.practice.problems import judge_problem

    made = rejected = 0
    with judging() as judge:
        for problem in _human()[:: 16 if small else 2]:
            for mutant in mutants(problem.program(problem.reference))[:: 6 if small else 3]:
                made += 1
                rejected += not judge_problem(problem, mutant.code, judge=judge, seconds=2.0).passed
    return rejected / made
