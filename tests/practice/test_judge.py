"""The judge as a test file meets it: calls, objects, callbacks and drivers over two processes."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handbook.book.nouns import Exercise, GrowthPlan
from handbook.practice.judge import Judge
from handbook.practice.session import Session
from handbook.practice.verdicts import Report, Verdict

SUBMISSION = '''
import dataclasses, enum, random, typing
import numpy as np

COUNT = 0

class Full(Exception):
    def __init__(self, missing):
        super().__init__(f"{missing} missing")
        self.missing = missing

class Fuller(Full):
    pass

class Span(typing.NamedTuple):
    start: int
    end: int

class Color(enum.Enum):
    RED = 1

@dataclasses.dataclass
class Request:
    id: int
    tokens: list

class Stack:
    """A stack of at most two."""
    kind = "stack"
    def __init__(self, *items): self.items = list(items)
    def push(self, item):
        if len(self.items) >= 2: raise Full(1)
        self.items.append(item)
        return self
    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]
    def __contains__(self, x): return x in self.items
    def __iter__(self): return iter(self.items)
    def __add__(self, other): return Stack(*self.items, other)
    def __enter__(self): return self
    def __exit__(self, *error): self.closed = error[0] is not None
    @property
    def top(self): return self.items[-1]

class Small(Stack):
    pass

class Liar:
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
    def __lt__(self, other): return True
    __hash__ = None

def solve(x): return x
def lie(): return Liar()
def sort(items): items.sort(); return items
def broken(items):
    items.append(1)
    raise Fuller(3)
def span(a, b): return Span(a, b)
def width(span): return span.end - span.start, type(span).__name__
def request(): return Request(3, [1, 2])
def count(n):
    for i in range(n): yield i
def apply(f, *args, **kw): return f(*args, **kw)
def look(thing, name): return getattr(thing, name)
def write(thing, name, value): setattr(thing, name, value)
def swallow(f):
    try: f()
    except BaseException: pass
def shout(): print("said"); return 1
def fail(): raise ValueError("no", 3)
def itself():
    a = []
    a.append(a)
    return a
def wrong(): assert 1 == 2, "expected mine, got mine"
def leave(): raise SystemExit(0)
def draw(rng): return float(rng.random())
def gradient(x):
    import torch
    x = torch.tensor(x, requires_grad=True)
    (x * x).sum().backward()
    return x.grad
'''


@pytest.fixture
def run(tmp_path: Path, judge: Judge) -> Callable[..., Report]:
    """A report on SUBMISSION by tests that are given as text."""

    def report(
        tests: str,
        code: str = SUBMISSION,
        hidden: str = "def test_nothing(submission):\n    pass\n",
        **kw: Any,
    ) -> Report:
        plan = kw.pop("plan", None)
        seconds = kw.pop("limit", 10.0)
        files = {"tests": tests, "hidden": hidden, "starter": "", "solution": ""}
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        hints = ("One.", "Two.", "Three.")
        exercise = Exercise(
            *("it", "one", "It", "foundation", 5, "solve", hints, "first", "", "", tmp_path),
            seconds=seconds,
            growth=plan,
        )
        return judge.run(exercise, code, **kw)

    return report


def body(text: str) -> str:
    """One test of these lines."""
    lines = "\n    ".join(text.strip().splitlines())
    head = "import numpy as np\nfrom handbook.practice.checks import close, equal, raises\n"
    return f"{head}\n\ndef test_it(submission):\n    {lines}\n"


HOLDS = {
    "a class and its instances": """
s = submission.Stack(1)
assert isinstance(s, submission.Stack) and submission.Stack.__name__ == "Stack"
assert s.push(2) == s and s.push is not None and len(s) == 2 and list(s) == [1, 2] and s[0] == 1
assert 1 in s and 5 not in s and s.top == 2 and s.kind == submission.Stack.kind == "stack"
assert (s + 3).items == [1, 2, 3] and type(s + 3) is submission.Stack
assert s != submission.Stack(1, 2) and s.items == [1, 2]
with s as inner:
    assert inner is s
assert s.closed is False
s.items = [7]
assert s.top == 7
t = submission.Small(1)
assert isinstance(t, submission.Stack) and not isinstance(s, submission.Small)""",
    "errors of its own": """
s = submission.Stack(1, 2)
try:
    s.push(3)
except submission.Full as error:
    assert (error.missing, str(error)) == (1, "1 missing")
else:
    raise AssertionError
items = []
error = raises(submission.Full, submission.broken, items)
assert type(error) is submission.Fuller and items == [1] and isinstance(error, Exception)
error = raises(ValueError, submission.fail)
assert error.args == ("no", 3)
try:
    submission.missing
except AttributeError:
    pass
assert getattr(submission, "missing", None) is None and hasattr(submission, "solve")""",
    "arguments that are changed": """
items = [3, 1, 2]
assert submission.sort(items) is items and items == [1, 2, 3]
rng = np.random.default_rng(1)
twin = np.random.default_rng(1)
assert submission.draw(rng) == twin.random() and rng.random() == twin.random()""",
    "plain values of every kind": """
for value in (1, 2.5, "a", b"b", None, True, [1, (2, {3})], {"a": [1.5]}, 10**50, 1j, range(3), ..., np.inf):
    got = submission.solve(value)
    assert type(got) is type(value) and got == value, (got, value)
x = np.arange(6.0).reshape(2, 3)
close(submission.solve(x), x)
import torch
t = torch.arange(3, dtype=torch.bfloat16)
assert torch.equal(submission.solve(t), t) and submission.solve(torch.float16) is torch.float16""",
    "named tuples, dataclasses, enumerations, generators": """
s = submission.span(2, 5)
assert s == (2, 5) and s.end == 5 and submission.width(s) == (3, "Span")
r = submission.request()
assert r.id == 3 and r.tokens == [1, 2] and isinstance(r, submission.Request)
assert submission.Color.RED == submission.Color.RED and submission.Color.RED.value == 1
assert list(submission.count(3)) == [0, 1, 2]
lazy = submission.count(10**9)
assert next(lazy) == 0 and next(lazy) == 1""",
    "functions of the test as callbacks": """
seen = []
def note(x, scale=1):
    seen.append(x)
    return x * scale
assert submission.apply(note, 3, scale=2) == 6 and seen == [3]
assert submission.apply(max, [1, 5, 2]) == 5
def refuse():
    raise KeyError("so")
raises(KeyError, submission.apply, refuse)
def sort(items):
    return submission.sort(items)
assert submission.apply(sort, [2, 1]) == [1, 2]""",
    "objects of the test": """
class Clock:
    def __init__(self): self.now = 0.0
    def tick(self): self.now += 1; return self.now
clock = Clock()
Clock.__module__ = __name__
assert submission.look(clock, "tick")() == 1.0 and clock.now == 1.0
submission.write(clock, "now", 5.0)
assert clock.now == 5.0 and submission.solve(clock) is clock
assert submission.apply(lambda c: c.tick(), clock) == 6.0""",
    "the module's own state": """
assert submission.COUNT == 0
submission.COUNT = 4
assert submission.COUNT == 4""",
}


@pytest.mark.parametrize("name", HOLDS)
def test_over_the_wire_as_beside_it(run: Callable[..., Report], name: str) -> None:
    report = run(body(HOLDS[name]))
    assert [(v.state, v.message) for v in report.verdicts] == [("passed", "")] * 2
    assert report.incidents == ()


FAILS = {
    "submission.wrong()": ("error", "AssertionError: expected mine, got mine (line"),
    "assert submission.solve(3) == 4, 'expected 4, got 3'": ("failed", "expected 4, got 3"),
    "expected, got = 4, submission.solve(3)\nassert got == expected": (
        "failed",
        "Does not hold: assert got == expected",
    ),
    "equal(submission.lie(), 3, 'x')": ("failed", "x: expected 3 (int), got"),
    "assert abs(submission.lie() - 3.0) < 1e-9": (
        "error",
        "TypeError: expected a number or an array, got an object",
    ),
    "assert (np.ones(2) - submission.lie()).max() == 0": ("error", "TypeError"),
    "assert submission.lie() < 3": ("error", "not supported between"),
    "assert submission.lie() == 3, 'expected 3, got else'": ("failed", "expected 3, got else"),
    "submission.itself()": ("error", "The submission hands back a value that contains itself."),
    "submission.leave()": ("error", "SystemExit: 0"),
    "submission.solve(np)": ("error", "The test cannot hand over its argument: an object of type module"),
    "submission.swallow(lambda: equal(1, 2, 'seen'))": ("failed", "seen: expected 2, got 1"),
    "submission.look(lambda: 0, '__globals__')": ("error", "AttributeError: "),
    "submission.look(submission.solve, '__name__').nothing": (
        "error",
        "The test cannot use what it got: AttributeError",
    ),
}


@pytest.mark.parametrize("test", FAILS)
def test_what_fails_says_whose_fault_it_is(run: Callable[..., Report], test: str) -> None:
    state, message = FAILS[test]
    verdict = run(body(test)).verdicts[0]
    assert verdict.state == state, verdict
    assert message in verdict.message


def test_expected_and_got_of_the_frame_become_a_difference(run: Callable[..., Report]) -> None:
    lines = ["expected = np.zeros(30)", "got = submission.solve(np.arange(30.0))"]
    test = "\n".join([*lines, "assert np.allclose(got, expected), 'x: expected zeros, got others'"])
    found = run(body(test)).verdicts[0].difference
    assert found is not None
    assert (found.what, found.first, found.differing, found.of) == ("x", (1,), 29, 30)


def test_incidents_have_names(run: Callable[..., Report]) -> None:
    assert [i.kind for i in run(body("submission.leave()")).incidents] == ["exit"]
    assert [i.kind for i in run(body("submission.itself()")).incidents] == ["value"]


SPY = """
import sys
def solve(x):
    found = [name for name in sys.modules if name.split(".")[0] in ("handbook", "tests", "hidden")]
    frame, names = sys._getframe(), []
    while frame:
        names += [str(v) for v in frame.f_locals.values() if isinstance(v, (str, int))]
        frame = frame.f_back
    return found, "SECRET" in " ".join(names)
def reach(thing):
    out = []
    for name in "__globals__ __closure__ __code__ gi_frame __self__ __func__ __dict__ _hidden".split():
        try:
            out.append((name, str(getattr(thing, name))[:80]))
        except AttributeError:
            pass
    return [pair for pair in out if "SECRET" in pair[1]]
def forge(thing, name):
    return thing._hb_peer.ask("get", thing._hb_id, name)
"""
SPIED = """
class Thing:
    def __init__(self): self._hidden = "SECRET"
    def public(self): return 1
def numbers():
    yield "SECRET"
def test_spied(submission):
    expected = "SECRET"
    assert submission.solve(1) == ([], False), submission.solve(1)
    for thing in (lambda: expected, numbers(), Thing(), Thing().public, test_spied):
        assert submission.reach(thing) == []
        for name in ("__globals__", "gi_frame", "_hidden", "__self__", "__closure__", "__class__"):
            try:
                got = submission.forge(thing, name)
            except AttributeError:
                continue
            raise AssertionError(f"{name}: expected AttributeError, got {got}")
"""


def test_a_submission_sees_neither_tests_nor_expected_values(run: Callable[..., Report]) -> None:
    report = run(SPIED, SPY)
    assert report.verdicts[0].message == ""
    assert report.passed


DRIVEN = """
from handbook.practice.checks import close, inside
import numpy as np

def steps(submission, x):
    import torch
    x = torch.tensor(x, requires_grad=True)
    (submission.solve(x) ** 2).sum().backward()
    return x.grad.tolist(), submission.__file__

def needs_what_it_has_not(submission):
    return np.zeros(3)

def fails(submission):
    return submission.fail()

def gives_an_object(submission):
    return submission.Stack(1)

def takes_an_object(submission, stack):
    return type(stack) is submission.Stack

def test_driver(submission):
    assert inside(submission, steps, [1.0, 2.0]) == ([2.0, 4.0], "submission.py")

def test_object(submission):
    assert inside(submission, takes_an_object, inside(submission, gives_an_object))

def test_not_self_contained(submission):
    inside(submission, needs_what_it_has_not)

def test_failing(submission):
    inside(submission, fails)

def test_lambda(submission):
    inside(submission, lambda s: 1)
"""


def test_drivers_run_beside_the_submission(run: Callable[..., Report]) -> None:
    driver, thing, bare, failing, nameless, _ = run(DRIVEN).verdicts
    assert (driver.message, thing.message) == ("", "")
    assert "NameError: name 'np' is not defined" in bare.message
    assert failing.message.startswith("ValueError: ('no', 3) (line ")
    assert "a driver is a function of the test file" in nameless.message


def test_output_time_and_memory_are_of_the_test(run: Callable[..., Report]) -> None:
    code = (
        "import time\nkept = []\ndef solve(x):\n    print(x)\n"
        "    if x == 2:\n        kept.append(bytearray(64 << 20))\n        kept[0][::4096] = bytes(16384)\n"
        "    begin = time.process_time()\n    while x == 1 and time.process_time() - begin < 0.2: pass\n"
    )
    tests = "".join(f"def test_{n}(submission):\n    submission.solve({n})\n" for n in (0, 1, 2))
    report = run(tests, code)
    quiet, busy, large, _ = report.verdicts
    assert [v.output for v in report.verdicts[:3]] == ["0\n", "1\n", "2\n"]
    assert report.output == "0\n1\n2\n"
    assert quiet.cpu < 0.1 < busy.cpu < 1
    assert busy.memory < 32 << 20 < large.memory < 200 << 20
    assert report.memory >= large.memory


LOOP = "def solve(x):\n    while True:\n        pass\n"


def test_stop_ends_it_at_once(run: Callable[..., Report], monkeypatch: pytest.MonkeyPatch) -> None:
    stop, number = threading.Event(), Session._number

    def begins(self: Session, said: Any) -> int:
        threading.Timer(0.2, stop.set).start()
        return number(self, said)

    monkeypatch.setattr(Session, "_number", begins)
    begin = time.perf_counter()
    report = run("def test_it(submission):\n    submission.solve(1)\n", LOOP, stop=stop, limit=60.0)
    assert time.perf_counter() - begin < 50
    assert [v.message for v in report.verdicts] == ["Stopped. This test was running.", "Not run. Stopped."]
    assert not report.timed_out


def test_progress_hears_each_verdict(run: Callable[..., Report]) -> None:
    heard: list[Verdict] = []
    report = run(
        "def test_a(submission):\n    pass\ndef test_b(submission):\n    assert 0\n", progress=heard.append
    )
    assert tuple(heard) == report.verdicts
    assert [v.state for v in heard] == ["passed", "failed", "passed"]


def test_fail_fast(run: Callable[..., Report]) -> None:
    tests = "def test_a(submission):\n    assert 0\ndef test_b(submission):\n    pass\n"
    report = run(tests, fail_fast=True)
    assert [v.state for v in report.verdicts] == ["failed", "not_run", "not_run"]


def test_a_test_file_that_cannot_be_loaded(run: Callable[..., Report]) -> None:
    report = run("import nothing_of_this_name\ndef test_a(submission):\n    pass\n")
    assert "The tests cannot be loaded. ModuleNotFoundError" in report.broken
    assert [v.state for v in report.verdicts] == ["not_run", "not_run"]


GROWING = "def growth_input(n):\n    return (list(range(n)),)\ndef test_nothing(submission):\n    pass\n"
DRIVING = """
def growth_driver(submission, n):
    submission.solve(list(range(n)))
def test_nothing(submission):
    pass
"""
ONE = "def test_one(submission):\n    submission.solve([1])\n"


@pytest.mark.alone
@pytest.mark.parametrize("hidden", [GROWING, DRIVING], ids=["input", "driver"])
@pytest.mark.parametrize(
    ("line", "expect", "meets"),
    [("sum(x)", "n", True), ("[max(x) for a in x]", "n^2", True), ("[max(x) for a in x]", "n", False)],
)
def test_growth_is_measured_where_all_tests_pass(
    run: Callable[..., Report], line: str, expect: str, meets: bool, hidden: str
) -> None:
    """On a machine that is too busy to say, it is asked again; a wrong word is never excused."""
    for _ in range(5):
        report = run(ONE, f"def solve(x):\n    return {line}\n", hidden, plan=GrowthPlan(expect))
        assert report.growth is not None
        if report.growth.meets is not None:
            break
    assert report.growth.meets is meets, report.growth
    assert all(verdict.passed for verdict in report.verdicts)
    assert report.passed is meets


def test_no_growth_where_a_test_fails_or_nobody_asks(run: Callable[..., Report]) -> None:
    plan = GrowthPlan("n")
    assert run("def test_a(submission):\n    assert 0\n", hidden=GROWING, plan=plan).growth is None
    assert run(ONE, "def solve(x): return 1", GROWING, plan=plan, growth=False).growth is None


def test_growth_of_what_fails_on_large_inputs_says_so(run: Callable[..., Report]) -> None:
    code = "def solve(x):\n    if len(x) > 100: raise ValueError('large')\n"
    found = run(ONE, code, GROWING, plan=GrowthPlan("n")).growth
    assert found is not None
    assert found.meets is None
    assert "Stopped by ValueError: large" in found.note


def test_several_at_once(run: Callable[..., Report], judge: Judge, tmp_path: Path) -> None:
    run(ONE)  # writes the exercise
    exercise = Exercise(
        *("it", "one", "It", "foundation", 5, "solve", ("1", "2", "3"), "first", "", "", tmp_path)
    )
    reports: list[Report] = []
    threads = [
        threading.Thread(target=lambda: reports.append(judge.run(exercise, "def solve(x): return x")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.passed for report in reports] == [True] * 6


PADDED = """
def descend(call, pads):
    def down(n):
        call(n)
        return down(n + 1)
    def padded(n):
        return padded(n - 1) if n else down(0)
    return padded(pads)
"""


def test_a_recursion_that_calls_the_test_ends_in_its_own_code(tmp_path: Path, judge: Judge) -> None:
    """Wherever the limit is met: the frames before it shift by one each time."""
    tests = """
def test_deep(submission):
    for pads in range(12):
        try:
            submission.descend(lambda n: n, pads)
        except RecursionError:
            continue
        raise AssertionError("expected RecursionError, got none")
"""
    for name, text in {"tests": tests, "hidden": "", "starter": "", "solution": ""}.items():
        (tmp_path / f"{name}.py").write_text(text)
    deep = Exercise(
        "deep", "one", "Deep", "foundation", 5, "descend", ("1", "2", "3"), "first", "", "", tmp_path
    )
    report = judge.run(deep, PADDED, hidden=False)
    assert report.passed, report
