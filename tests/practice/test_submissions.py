"""Submissions to a small exercise: a verdict whatever happens, in words that a person can use."""

import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from handbook.book.nouns import Exercise
from handbook.practice.judge import Judge
from handbook.practice.verdicts import Report

TESTS = '''
def test_small(submission):
    """Two and five."""
    got = submission.add(2, 5)
    assert got == 7, f"expected 7, got {got}"
'''
HIDDEN = """
def test_negative(submission):
    assert submission.add(2, -5) == -3
"""
RIGHT = "def add(a, b):\n    return a + b\n"


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        judge.open()
        yield judge


@pytest.fixture
def adding(tmp_path: Path) -> Exercise:
    folder = tmp_path / "adding"
    folder.mkdir()
    starter = "def add(a, b):\n    raise NotImplementedError\n"
    for name, text in {"tests": TESTS, "hidden": HIDDEN, "starter": starter, "solution": RIGHT}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    hints = ("One.", "Two.", "Three.")
    return Exercise("adding", "one", "Adding", "foundation", 5, "add", hints, "first", "", starter, folder)


def texts(report: Report) -> list[str]:
    return [verdict.message for verdict in report.verdicts]


def test_right_answer(adding: Exercise, judge: Judge) -> None:
    report = judge.run(adding, "def add(a, b):\n    print('hello')\n    return a + b\n")
    said = [(v.name, v.state, v.message, v.hidden, v.says, v.output) for v in report.verdicts]
    assert said == [
        ("test_small", "passed", "", False, "Two and five.", "hello\n"),
        ("test_negative", "passed", "", True, "Negative.", "hello\n"),
    ]
    assert report.passed
    assert report.incidents == ()
    assert report.output == "hello\nhello\n"


def test_without_hidden_tests(adding: Exercise, judge: Judge) -> None:
    report = judge.run(adding, RIGHT, hidden=False)
    assert [(v.name, v.passed) for v in report.verdicts] == [("test_small", True)]


def test_one_test_alone(adding: Exercise, judge: Judge) -> None:
    report = judge.run(adding, RIGHT, only=["test_negative"])
    assert [(v.name, v.passed) for v in report.verdicts] == [("test_negative", True)]


MESSAGES = {
    "def add(a, b):\n    return a - b\n": "expected 7, got -3",
    "def add(a, b):\n    return a + undefined\n": "is not defined (line 2: return a + undefined)",
    "def add(a, b):\n    raise SystemExit(0)\n": "SystemExit: 0",
    "def add(a, b):\n    return add(a, b)\n": "RecursionError",
    "def add(a, b):\n    raise NotImplementedError('so')\n": "NotImplementedError: so (line 2)",
    "def add(a, b):\n    assert a > b, 'mine'\n    return a + b\n": "mine",
}


@pytest.mark.parametrize("code", MESSAGES)
def test_wrong_answers(adding: Exercise, judge: Judge, code: str) -> None:
    report = judge.run(adding, code)
    assert not report.passed
    assert report.broken == ""
    assert len(report.verdicts) == 2
    assert not report.verdicts[0].passed
    assert MESSAGES[code] in report.verdicts[0].message


BROKEN = {
    "x = 1\ndef add(a, b:\n": "'(' was never closed",
    "x = 1\nimport no_such_thing\n": "no_such_thing",
    "x = '\0'\n": "null bytes",
    "def sum_up(a, b):\n    return a + b\n": "defines no add",
    "def add(a, b):\n    return a + b\nraise ValueError('while loading')\n": "ValueError: while loading",
    "def add(a, b):\n    return a + b\nraise SystemExit(0)\n": "SystemExit",
    "def add(a, b):\n    return a + b\nimport os\nos._exit(3)\n": "exit status 3",
}


@pytest.mark.parametrize("code", BROKEN)
def test_why_no_test_began_is_said_for_all(adding: Exercise, judge: Judge, code: str) -> None:
    report = judge.run(adding, code)
    assert not report.passed
    assert BROKEN[code] in report.broken
    assert [v.state for v in report.verdicts] == ["not_run", "not_run"]
    assert all(BROKEN[code] in text for text in texts(report))


def test_the_line_of_an_error_is_told(adding: Exercise, judge: Judge) -> None:
    code = "def help(a):\n    return a[0]\n\n\ndef add(a, b):\n    return help(a)\n"
    verdict = judge.run(adding, code).verdicts[0]
    assert (verdict.state, verdict.line) == ("error", 2)
    assert verdict.message.startswith("TypeError")


def test_a_bare_assertion_shows_what_does_not_hold(adding: Exercise, judge: Judge) -> None:
    first, second = judge.run(adding, "def add(a, b):\n    return 7\n").verdicts
    assert first.passed
    assert "submission.add(2, -5) == -3" in second.message


def test_an_endless_loop_ends_in_time(adding: Exercise, judge: Judge) -> None:
    begin = time.perf_counter()
    report = judge.run(adding, "def add(a, b):\n    while True:\n        pass\n", seconds=1.0)
    assert time.perf_counter() - begin < 25  # it may take thirty to be loaded
    assert report.timed_out
    assert [v.passed for v in report.verdicts] == [False, False]
    assert "time" in {incident.kind for incident in report.incidents}
    assert report.verdicts[1].state == "not_run"


def test_what_passed_before_time_ran_out_stays_passed(adding: Exercise, judge: Judge) -> None:
    code = "def add(a, b):\n    while b < 0:\n        pass\n    return a + b\n"
    report = judge.run(adding, code, seconds=4.0)
    assert [v.passed for v in report.verdicts] == [True, False]


def test_a_flood_of_output_is_cut(adding: Exercise, judge: Judge) -> None:
    report = judge.run(adding, "def add(a, b):\n    print('x' * 5_000_000)\n    return a + b\n")
    assert [v.passed for v in report.verdicts] == [True, True]
    assert len(report.output) <= 64 << 10
    assert all(len(v.output) <= 8000 for v in report.verdicts)


def test_half_characters_and_nulls_in_a_message_become_text(adding: Exercise, judge: Judge) -> None:
    message = (
        judge.run(adding, "def add(a, b):\n    raise ValueError('\\ud800 and \\0')\n").verdicts[0].message
    )
    assert message.startswith("ValueError: ")
    assert " and " in message
    assert "\0" not in message
    assert message.encode()


def test_an_error_without_end_is_cut(adding: Exercise, judge: Judge) -> None:
    code = "def add(a, b):\n    raise ValueError('x' * 10_000_000)\n"
    assert max(map(len, texts(judge.run(adding, code)))) <= 2000


def test_nothing_of_the_submission_lies_in_the_folder_of_the_exercise(
    adding: Exercise, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in adding.folder.iterdir()}
    monkeypatch.chdir(adding.folder)
    judge.run(adding, "open('tests.py', 'w').close()\ndef add(a, b):\n    return a + b\n")
    assert {path: path.read_bytes() for path in adding.folder.iterdir()} == before


def test_the_environment_is_not_handed_on(adding: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDBOOK_CHAT_KEY", "a secret")
    with Judge() as fresh:  # a worker that starts with the key in sight
        code = "import os\ndef add(a, b):\n    print(sorted(os.environ.items()))\n    return a + b\n"
        report = fresh.run(adding, code)
    assert report.passed
    assert "secret" not in report.output
    assert os.environ["HANDBOOK_CHAT_KEY"] == "a secret"


def test_tests_that_cannot_be_loaded_are_no_fault_of_the_submission(adding: Exercise, judge: Judge) -> None:
    adding.file("hidden.py").write_text("import no_such_thing\n" + HIDDEN, encoding="utf-8")
    report = judge.run(adding, RIGHT)
    assert "The tests cannot be loaded" in report.broken
    assert not report.passed


def test_imports_beyond_those_of_the_exercise_are_named_before_anything_runs(
    adding: Exercise, judge: Judge
) -> None:
    code = "import numpy\nimport torch\n" + RIGHT
    report = judge.run(dataclasses.replace(adding, imports=("numpy",)), code)
    assert "torch" in report.broken
    assert not report.passed


def test_one_submission_does_not_see_what_another_left(adding: Exercise, judge: Judge) -> None:
    judge.run(adding, "import math\nmath.left = 7\nopen('left', 'w').close()\n" + RIGHT)
    code = (
        "import math, os\ndef add(a, b):\n    print(hasattr(math, 'left'), os.path.exists('left'))\n"
        "    return a + b\n"
    )
    assert judge.run(adding, code).output == "False False\n" * 2
