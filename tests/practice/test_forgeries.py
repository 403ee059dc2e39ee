"""Attacks on the judge: submissions that are wrong and want to pass. None does, and each has a name."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from handbook.book.nouns import Exercise
from handbook.practice.judge import Judge
from handbook.practice.sandbox.detect import found

linux = pytest.mark.skipif(sys.platform != "linux", reason="kernel isolation is Linux's")
TESTS = '''
import numpy as np
from handbook.practice.checks import close, equal

def test_visible(submission):
    """The mean of three numbers."""
    got = submission.mean(np.array([1.0, 2.0, 6.0]))
    close(got, 3.0, "the mean")
    assert got == 3.0, f"expected 3.0, got {got}"
'''
HIDDEN = '''
import numpy as np
from handbook.practice.checks import close, equal

SECRET = 19.25731

def test_hidden(submission):
    """A mean that nobody guesses."""
    expected = SECRET
    got = submission.mean(np.full(4, SECRET) + np.array([-1.0, 1.0, -2.0, 2.0]))
    close(got, expected, "the mean", rtol=1e-12)
    assert abs(got - expected) < 1e-9, f"expected {expected}, got {got}"
    equal(got > 0, True)
'''
RIGHT = "def mean(x):\n    return float(x.mean())\n"
WRONG = "def mean(x):\n    return -1.0\n"


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    os.environ["HANDBOOK_CHAT_KEY"] = "sk-SECRET"
    with Judge() as judge:
        judge.open()
        del os.environ["HANDBOOK_CHAT_KEY"]
        yield judge


@pytest.fixture(scope="module")
def mean(tmp_path_factory: pytest.TempPathFactory) -> Exercise:
    folder = tmp_path_factory.mktemp("mean")
    for name, text in {"tests": TESTS, "hidden": HIDDEN, "starter": WRONG, "solution": RIGHT}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return Exercise(
        "mean", "one", "Mean", "foundation", 5, "mean", ("1", "2", "3"), "first", "", WRONG, folder
    )


EVERYTHING = """
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __bool__(self): return True
    def __hash__(self): return 0
    def __sub__(self, other): return self
    __rsub__ = __add__ = __radd__ = __mul__ = __sub__
    def __abs__(self): return 0.0
    def __float__(self): return -1.0
"""
FORGED = """
import os, struct, json
said = [b'{"verdict": 0, "state": "passed", "message": ""}', b'["r", 1, 3.0, []]', b'{"done": true}']
for fd in range(3, 64):
    for text in said:
        for head in (b'', *(struct.pack(form, len(text)) for form in ('<I', '>I', '<Q', '>Q'))):
            try: os.write(fd, head + text + b'\\n')
            except OSError: pass
"""
FORGERIES: dict[str, tuple[str, set[str]]] = {
    "equal to everything": (f"class Liar:{EVERYTHING}\ndef mean(x): return Liar()", set()),
    "a float that lies": (f"class Liar(float):{EVERYTHING}\ndef mean(x): return Liar(-1.0)", set()),
    "an array that lies": (
        f"import numpy as np\nclass Liar(np.ndarray):{EVERYTHING}\n"
        "    def __array_ufunc__(self, *a, **k): return True\n"
        "def mean(x): return np.array(-1.0).view(Liar)",
        set(),
    ),
    "a difference that is always none": (
        "class Liar:\n    def __sub__(self, other): return 0.0\n    __rsub__ = __sub__\n"
        "def mean(x): return Liar()",
        set(),
    ),
    "a false class": ("class Liar:\n    __class__ = float\ndef mean(x): return Liar()", set()),
    "not a number": ("def mean(x): return float('nan')", set()),
    "not implemented": ("def mean(x): return NotImplemented", set()),
    "negative length": (
        "class Liar(list):\n    def __len__(self): return -1\ndef mean(x): return Liar([3.0])",
        set(),
    ),
    "itself": ("def mean(x):\n    a = []\n    a.append(a)\n    return a", {"value"}),
    "a lambda": ("def mean(x): return lambda: 3.0", set()),
    "a lock": ("import threading\ndef mean(x): return threading.Lock()", set()),
    "an open file": ("def mean(x): return open('x', 'w')", set()),
    "too much": ("def mean(x): return bytes(100 << 20)", {"value", "memory"}),
    "too deep": ("def mean(x):\n    a = []\n    for _ in range(5000): a = [a]\n    return a", {"value"}),
    "patched builtins": (
        "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.all = builtins.bool = lambda *a: True\n"
        + WRONG,
        set(),
    ),
    "patched NumPy": (
        "import numpy as np\nnp.allclose = np.isclose = np.array_equal = lambda *a, **k: True\n"
        "np.testing.assert_allclose = lambda *a, **k: None\nnp.ndarray.__eq__ = 1\n" + WRONG,
        set(),
    ),
    "patched comparers": (
        "import gc, types\nfor f in gc.get_objects():\n"
        "    if isinstance(f, types.FunctionType) and f.__name__ in ('close', 'equal', 'verdict_of'):\n"
        "        f.__code__ = (lambda *a, **k: None).__code__\n" + WRONG,
        set(),
    ),
    "the tests' frames": (
        "import gc, sys\ndef mean(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        for name in ('expected', 'SECRET'):\n"
        "            for space in (frame.f_locals, frame.f_globals):\n"
        "                if name in space: return space[name]\n        frame = frame.f_back\n"
        "    for d in gc.get_objects():\n        if type(d) is dict and 'SECRET' in d: return d['SECRET']\n"
        "    return -1.0",
        set(),
    ),
    "the test files": (
        "import os\nfound = []\nfor place in ('.', '/', '/home', '/tmp', {folder!r}):\n"
        "    try: found += os.listdir(place)\n    except OSError: pass\n"
        "print(found)\nassert 'hidden.py' not in found\nprint(open({folder!r} + '/hidden.py').read())\n"
        + WRONG,
        {"files"},
    ),
    "importing the tests": ("__import__('hidden')\n" + WRONG, set()),
    "importing the judge": ("__import__('handbook.practice.checks')\n" + WRONG, set()),
    "leaving at import": ("import sys\nsys.exit(0)\n" + WRONG, {"exit"}),
    "leaving in a call": ("import sys\ndef mean(x): sys.exit(0)", {"exit"}),
    "gone at import": ("import os\nos._exit(0)\n" + WRONG, {"exit"}),
    "gone in a call": ("import os\ndef mean(x): os._exit(0)", {"exit"}),
    "interrupting": ("def mean(x): raise KeyboardInterrupt", set()),
    "a generator's end": ("def mean(x): raise GeneratorExit", set()),
    "an error of its own": ("class Ended(BaseException): pass\ndef mean(x): raise Ended", set()),
    "forged messages at import": (FORGED + WRONG, set()),
    "forged messages in a call": (
        "def mean(x):\n" + "".join(f"    {line}\n" for line in FORGED.splitlines()) + "    return -1.0",
        set(),
    ),
    "closed descriptors": ("import os\ndef mean(x):\n    os.closerange(0, 100)\n    return 3.0", set()),
    "deaf to signals": (
        "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\ndef mean(x):\n    while True: pass",
        {"time"},
    ),
    "endless in C": ("import itertools\ndef mean(x): return sum(itertools.count())", {"time"}),
    "asleep": ("import time\ndef mean(x): time.sleep(99)", {"time"}),
    "endless output": ("def mean(x):\n    while True: print('x' * 9999)", {"output", "time", "memory"}),
    "a fork bomb": ("import os\ndef mean(x):\n    while True: os.fork()", {"processes"}),
    "a thread bomb": (
        "import threading, time\ndef mean(x):\n"
        "    while True: threading.Thread(target=time.sleep, args=(9,)).start()",
        {"threads"},
    ),
    "a memory bomb": (
        "def mean(x):\n    kept = []\n    while True: kept.append(bytearray(10 << 20))",
        {"memory"},
    ),
    "a memory bomb in torch": (
        "import torch\ndef mean(x): return torch.ones(1 << 30).mean().item()",
        {"memory"},
    ),
    "a crash": ("import ctypes\ndef mean(x): ctypes.string_at(0)", {"exit"}),
    "the key": (
        "import os\ndef mean(x):\n"
        "    return 3.0 if 'SECRET' in str(os.environ) else open('/proc/self/environ').read()",
        {"environment"},
    ),
    "the network": (
        "import socket\ndef mean(x): socket.create_connection(('127.0.0.1', 80), 1)",
        {"network"},
    ),
    "killing the judge": (
        "import os\ndef mean(x):\n    os.kill(os.getppid() or 2, 9)\n    return -1.0",
        {"signals"},
    ),
}


@linux
@pytest.mark.parametrize("name", FORGERIES)
def test_no_forgery_passes(name: str, mean: Exercise, judge: Judge) -> None:
    if not (found().landlock and found().seccomp):
        pytest.skip(f"no Landlock and seccomp here: {found().why}")
    before = {path.name: path.read_bytes() for path in mean.folder.iterdir()}
    code, kinds = FORGERIES[name]
    code = code.replace("{folder!r}", repr(str(mean.folder)))
    begin = time.monotonic()
    report = judge.run(mean, code, seconds=1 if "time" in kinds else 20)
    assert time.monotonic() - begin < 60
    assert len(report.verdicts) == 2
    assert not any(verdict.passed for verdict in report.verdicts), report.verdicts
    assert all(verdict.message for verdict in report.verdicts)
    assert not kinds or {incident.kind for incident in report.incidents} & kinds, report
    assert "SECRET" not in report.output
    assert {path.name: path.read_bytes() for path in mean.folder.iterdir()} == before


TRUSTING = """
import math

def test_difference(submission):
    assert abs(submission.mean([1.0, 2.0, 6.0]) - 3.0) < 1e-9

def test_difference_from_the_other_side(submission):
    assert abs(3.0 - submission.mean([1.0, 2.0, 6.0])) < 1e-9

def test_ratio(submission):
    assert round(submission.mean([1.0, 2.0, 6.0]) / 3.0) == 1

def test_close(submission):
    assert math.isclose(submission.mean([1.0, 2.0, 6.0]), 3.0)

def test_order(submission):
    assert 2.999 < submission.mean([1.0, 2.0, 6.0]) < 3.001

def test_equal(submission):
    assert submission.mean([1.0, 2.0, 6.0]) == 3.0
"""


@linux
def test_an_object_does_not_reckon_itself_right(tmp_path: Path, judge: Judge) -> None:
    """Also where a test compares by hand, which hands the expected value to whatever came back."""
    for name, text in {"tests": TRUSTING, "hidden": "", "solution": ""}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    hints = ("1", "2", "3")
    trusting = Exercise("mean", "one", "Mean", "foundation", 5, "mean", hints, "first", "", "", tmp_path)
    right = judge.run(trusting, "def mean(x): return sum(x) / len(x)")
    assert right.passed, right.verdicts
    liar = f"""class Liar:{EVERYTHING}
    def __sub__(self, other): return 0.0
    def __truediv__(self, other): return 1.0
    __rsub__ = __sub__
def mean(x): return Liar()"""
    report = judge.run(trusting, liar)
    assert [verdict.name for verdict in report.verdicts if verdict.passed] == []


@linux
@pytest.mark.slow
def test_endless_while_it_is_loaded(mean: Exercise, judge: Judge) -> None:
    report = judge.run(mean, "while True: pass\n" + WRONG, seconds=1)
    assert report.timed_out
    assert [incident.kind for incident in report.incidents] == ["time"]
    assert [verdict.state for verdict in report.verdicts] == ["not_run", "not_run"]


@linux
def test_a_thread_left_behind_is_named_and_ended(mean: Exercise, judge: Judge) -> None:
    code = "import threading, time\ndef f():\n    while True: time.sleep(0.01)\n"
    report = judge.run(mean, code + "threading.Thread(target=f).start()\n" + RIGHT)
    assert report.passed
    assert [incident.kind for incident in report.incidents] == ["threads"]


@linux
def test_the_judge_goes_on_beside_attacks(mean: Exercise, judge: Judge) -> None:
    """Several people at once, of whom two are hostile: the right answer is judged in good time."""
    hostile = [FORGERIES[name][0] for name in ("endless in C", "endless output")]
    threads = [
        threading.Thread(target=judge.run, args=(mean, code), kwargs={"seconds": 2}) for code in hostile
    ]
    for thread in threads:
        thread.start()
    assert judge.run(mean, RIGHT).passed
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert judge.run(mean, RIGHT).passed


@linux
def test_nothing_of_attacks_stays(mean: Exercise, judge: Judge) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    threads = threading.active_count()
    for code in (RIGHT, WRONG, FORGERIES["gone in a call"][0], FORGERIES["a crash"][0]):
        judge.run(mean, code)
    deadline = time.monotonic() + 60
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
