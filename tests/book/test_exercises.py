"""Submissions in their own process: a verdict whatever happens; and every exercise of the book."""

import os
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from handbook.book import exercises
from handbook.book.exercises import Report, judge, run
from handbook.book.load import open_book
from handbook.book.nouns import Exercise

from .tiny import Tiny

EXERCISES = open_book().exercises


def submit(tiny: Tiny, code: str, timeout: float = 20.0) -> Report:
    path = tiny.base / "mine.py"
    path.write_text(code)
    return judge(tiny.open().exercises["adding"], path, timeout=timeout)


def test_right_answer(tiny: Tiny) -> None:
    report = submit(tiny, "def add(a, b):\n    print('hello')\n    return a + b\n")
    assert [(r.name, r.passed, r.message, r.hidden) for r in report.results] == [
        ("test_small", True, "", False),
        ("test_negative", True, "", True),
    ]
    assert report.passed
    assert report.output == "hello\nhello\n"


def test_without_hidden_tests(tiny: Tiny) -> None:
    exercise = tiny.open().exercises["adding"]
    assert [r.name for r in run(exercise, exercise.file("solution.py"), hidden=False)] == ["test_small"]


MESSAGES = {
    "def add(a, b):\n    return a - b\n": "expected 7, got -3",
    "def add(a, b):\n    return a + undefined\n": "is not defined (line 2: return a + undefined)",
    "def sum_up(a, b):\n    return a + b\n": "The submission defines no add.",
    "def add(a, b:\n": "The submission cannot be loaded. Line 1:",
    "import no_such_thing\n": "cannot be loaded. ModuleNotFoundError: No module named",
    "raise SystemExit(0)\n": "The submission cannot be loaded. SystemExit",
    "import os\nos._exit(0)\n": "Not run. The process ended early (exit status 0).",
    "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n": "ended by SIGKILL",
    "def add(a, b):\n    raise SystemExit(0)\n": "SystemExit: 0",
    "def add(a, b):\n    return add(a, b)\n": "RecursionError",
    "def add(a, b):\n    raise NotImplementedError('so')\n": "NotImplementedError: so (line 2)",
    "def add(a, b):\n    open('big', 'wb').write(b'x' * (1 << 27))\n    return a + b\n": "File too large",
}


@pytest.mark.parametrize("code", MESSAGES)
def test_wrong_answers(tiny: Tiny, code: str) -> None:
    report = submit(tiny, code)
    assert not report.passed
    assert len(report.results) == 2
    assert not report.results[0].passed
    assert MESSAGES[code] in report.results[0].message
    assert report.results[0].message


BROKEN = {
    "x = 1\ndef add(a, b:\n": "The submission cannot be loaded. Line 2: '(' was never closed: def add(a, b:",
    "x = 1\nimport no_such_thing\n": (
        "The submission cannot be loaded. ModuleNotFoundError: No module named 'no_such_thing' "
        "(line 2: import no_such_thing)"
    ),
    "x = '\0'\n": "The submission cannot be loaded. source code string cannot contain null bytes",
    "import os\nos._exit(3)\n": "The process ended early (exit status 3).",
    "x = 1\n": "The submission defines no add.",
    "def add(a, b):\n    import os\n    os._exit(0)\n": "",
    "def add(a, b):\n    return a - b\n": "",
}


@pytest.mark.parametrize("code", BROKEN)
def test_why_no_test_began_is_said_for_all(tiny: Tiny, code: str) -> None:
    report = submit(tiny, code)
    assert report.broken == BROKEN[code]
    assert not report.passed


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold the limit on address space")
def test_memory_is_limited(tiny: Tiny) -> None:
    """Far more address space than allowed, which without the limit would cost nothing to ask for."""
    flags = "mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000"  # MAP_NORESERVE, which Python names from 3.12
    code = f"import mmap\ndef add(a, b):\n    mmap.mmap(-1, 1 << 36, flags={flags})\n    return a + b\n"
    assert "Cannot allocate memory" in submit(tiny, code).results[0].message


def test_bare_assertion_shows_its_line(tiny: Tiny) -> None:
    report = submit(tiny, "def add(a, b):\n    return 7\n")
    assert report.results[0].passed
    assert report.results[1].message == "Does not hold: assert submission.add(2, -5) == -3"


def test_endless_loop_ends_in_time(tiny: Tiny) -> None:
    begin = time.perf_counter()
    report = submit(tiny, "def add(a, b):\n    while True:\n        pass\n", timeout=2.0)
    assert time.perf_counter() - begin < 10
    assert report.timed_out
    assert report.results[0].message == "Time ran out after 2 s. This test was running."
    assert report.results[1].message == "Not run. Time ran out after 2 s."


def test_what_passed_before_the_time_out_stays_passed(tiny: Tiny) -> None:
    code = "def add(a, b):\n    while b < 0:\n        pass\n    return a + b\n"
    report = submit(tiny, code, timeout=3.0)
    assert [r.passed for r in report.results] == [True, False]


def test_flood_of_output_is_cut(tiny: Tiny) -> None:
    report = submit(tiny, "def add(a, b):\n    print('x' * 5_000_000)\n    return a + b\n")
    assert report.passed
    assert len(report.output) == 64 << 10


def test_background_process_is_ended(tiny: Tiny, tmp_path: Path) -> None:
    mark = tmp_path / "still-here"
    later = f"import time; time.sleep(3); open({str(mark)!r}, 'w')"
    code = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {later!r}])\n"
    code += "def add(a, b):\n    return a + b\n"
    assert submit(tiny, code).passed
    time.sleep(4)
    assert not mark.exists()


def test_environment_is_not_handed_on(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDBOOK_CHAT_KEY", "secret")
    report = submit(tiny, "import os\nprint(sorted(os.environ))\ndef add(a, b):\n    return a + b\n")
    assert "HANDBOOK_CHAT_KEY" not in report.output
    assert "PATH" in report.output


def test_writing_to_the_working_folder_leaves_nothing_behind(tiny: Tiny) -> None:
    exercise = tiny.open().exercises["adding"]
    before = sorted(exercise.folder.iterdir())
    assert submit(tiny, "open('tests.py', 'w').close()\ndef add(a, b):\n    return a + b\n").results
    assert sorted(exercise.folder.iterdir()) == before
    assert exercise.file("tests.py").stat().st_size > 0


def test_a_flood_on_the_channel_fills_no_memory(tiny: Tiny) -> None:
    heard = exercises._Heard(frozenset())
    reading, writing = os.pipe()
    writer = threading.Thread(target=_flood, args=(writing, 64 << 20))
    tracemalloc.start()
    writer.start()
    exercises._listen(reading, heard)
    writer.join()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert heard.results == {}


def _flood(channel: int, size: int) -> None:
    with os.fdopen(channel, "wb") as stream:
        piece = b"x" * (1 << 16)
        for _ in range(size // len(piece)):
            stream.write(piece)


def test_half_characters_and_nulls_in_a_message_become_text(tiny: Tiny) -> None:
    report = submit(tiny, "def add(a, b):\n    raise ValueError('\\ud800 and \\0')\n")
    message = report.results[0].message
    assert message.startswith("ValueError: ? and \N{REPLACEMENT CHARACTER}")
    assert message.encode()


@pytest.mark.parametrize("seconds", ['"x"', "NaN", "[]"])
def test_a_forged_verdict_with_a_time_that_is_none_does_not_count(tiny: Tiny, seconds: str) -> None:
    line = f'{{"name": "tests:test_small", "passed": true, "message": "", "seconds": {seconds}}}\n'
    code = f"import os, sys\nos.write(int(sys.argv[2]), {line.encode() + b'[' * 50_000!r})\nos._exit(0)\n"
    report = submit(tiny, code)
    assert not any(result.passed for result in report.results)


def test_forged_lines_on_the_channel_are_ignored_when_malformed(tiny: Tiny) -> None:
    code = (
        "import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, b'[1]\\nnoise\\n{}\\n')\n"
        "    except OSError:\n        pass\n"
    )
    report = submit(tiny, code + "def add(a, b):\n    return a + b\n")
    assert report.passed


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_solution_passes_all(exercise: Exercise) -> None:
    results = run(exercise, exercise.file("solution.py"), timeout=120)
    assert results
    assert [(r.name, r.message) for r in results if not r.passed] == []


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_starter_runs_and_fails(exercise: Exercise) -> None:
    results = run(exercise, exercise.file("starter.py"), timeout=120)
    assert not any("cannot be loaded" in r.message for r in results)
    assert not all(r.passed for r in results if not r.hidden)


def test_the_book_has_its_exercises() -> None:
    """Parametrised tests over nothing would pass."""
    assert len(EXERCISES) >= 6
