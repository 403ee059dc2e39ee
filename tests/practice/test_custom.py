"""A person's own input, beside the book's solution."""

import dataclasses
import threading
from pathlib import Path

import pytest

from handbook.book.nouns import Exercise
from handbook.practice.custom import Tried, try_input
from handbook.practice.judge import Judge

CODE = "def add(a, b):\n    print('adding')\n    return a - b\n"


@pytest.fixture
def adding(tmp_path: Path) -> Exercise:
    (tmp_path / "solution.py").write_text("def add(a, b):\n    return a + b\n")
    hints = ("One.", "Two.", "Three.")
    return Exercise(
        "adding", "one", "Adding", "foundation", 5, "add", hints, "first", "", "", tmp_path, seconds=60.0
    )


def tried(judge: Judge, exercise: Exercise, snippet: str, code: str = CODE, **kw: bool) -> Tried:
    return try_input(exercise, code, snippet, using=judge, **kw)


def test_last_expression_of_both(judge: Judge, adding: Exercise) -> None:
    found = tried(judge, adding, "x = 2\nadd(x, 5)")
    assert (found.value, found.error, found.output) == ("-3", "", "adding\n")
    assert (found.reference_value, found.reference_error) == ("7", "")
    assert 0 <= found.wall < 60
    assert not found.incidents


def test_without_a_reference(judge: Judge, adding: Exercise) -> None:
    found = tried(judge, adding, "add(2, 5)", reference=False)
    assert (found.value, found.reference_value, found.reference_error) == ("-3", "", "")


@pytest.mark.parametrize(
    ("snippet", "value", "error"),
    [
        ("x = 3", "", ""),
        ("", "", ""),
        ("None", "", ""),
        ("1 +", "", "Line 1: invalid syntax: 1 +"),
        ("add(1)", "", "TypeError: add() missing 1 required positional argument: 'b'"),
        ("1 / 0", "", "ZeroDivisionError: division by zero"),
        ("[1.5] * 100", "[" + "1.5, " * 40 + "...]", ""),
        ("import os; os._exit(3)", "", "The process ended early: exit status 3."),
        ("raise SystemExit", "", "SystemExit"),
        ("'x' * 10**6", "'" + "x" * 1996 + "...", ""),
    ],
)
def test_whatever_a_snippet_does(
    judge: Judge, adding: Exercise, snippet: str, value: str, error: str
) -> None:
    found = tried(judge, adding, snippet, reference=False)
    assert (found.value, found.error) == (value, error)


def test_time_runs_out_for_each(judge: Judge, adding: Exercise) -> None:
    found = tried(judge, dataclasses.replace(adding, seconds=1.0), "while True: pass")
    assert found.error == found.reference_error == "Time ran out after 1 s."
    assert [incident.kind for incident in found.incidents] == ["time"]


def test_stop(judge: Judge, adding: Exercise) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    found = try_input(adding, CODE, "while True: pass", using=judge, stop=stop)
    assert found.error == "Stopped."
    assert found.reference_error == ""
    assert found.wall < 55, "not its time, which ends it too"


def test_code_that_is_not_run(judge: Judge, adding: Exercise) -> None:
    found = tried(judge, adding, "add(1, 2)", "import pandas\n")
    assert "Line 1 imports pandas." in found.error
    assert found.reference_value == "3"
    assert "at most 20,000 characters of input" in tried(judge, adding, "x" * 20_001).error


def test_the_handbooks_own_code_is_lent_and_not_opened(
    judge: Judge, adding: Exercise, tmp_path: Path
) -> None:
    """A snippet calls it in another process, which may read what the snippet may not."""
    own_code = (
        "import math\nfrom torch.func import functional_call\nfrom handbook.records import Tool\n"
        "_secret = 1\n"
        "def add(a, b):\n    if a < 0: raise ValueError('negative')\n    return Tool(str(a + b)).name\n"
    )
    (tmp_path / "solution.py").write_text(own_code)
    lent = dataclasses.replace(adding, solution="handbook.records:Tool")
    code = "import math\ndef add(a, b):\n    return str(a + b)\n"
    assert tried(judge, lent, "add(2, math.floor(5.5))", code).reference_value == "'7'"
    assert tried(judge, lent, "add(-1, 2)", code).reference_error.startswith("ValueError: negative")
    reach = "add._hb_peer.ask({!r}, {}, {!r})"
    for operation, target, name in (
        ("get", 0, "_secret"),
        ("get", 0, "math"),
        ("get", 0, "functional_call"),  # calls what it is given, np.memmap too
        ("get", 0, "Tool"),
        ("get", 1, "__globals__"),
    ):
        found = tried(judge, lent, reach.format(operation, target, name), code)
        assert found.reference_value == "", found
        assert "AttributeError" in found.reference_error
    assert "ModuleNotFoundError" in tried(judge, lent, "import handbook", code).reference_error
