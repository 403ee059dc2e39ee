"""Whoever speaks to the judge may be hostile: it stays prompt, says what came, and shows nothing more."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from handbook.app.cli.judging import growth_line
from handbook.app.cli.output import print_json
from handbook.book.nouns import Exercise
from handbook.practice import classes
from handbook.practice.custom import try_input
from handbook.practice.frames import HEADER, MARK, Channel, Garbled
from handbook.practice.judge import Judge
from handbook.practice.problems import Problem, judge_problem
from handbook.practice.sandbox import libraries
from handbook.practice.session import UNTOLD, wait_for
from handbook.practice.verdicts import Growth

TESTS = '''
def test_one(submission):
    """One is one."""
    assert submission.one() == 1
'''


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Exercise:
    folder = tmp_path_factory.mktemp("one")
    right = "def one():\n    return 1\n"
    for name, text in {"tests": TESTS, "hidden": "", "starter": "", "solution": right}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return Exercise("one", "a", "One", "foundation", 5, "one", ("1", "2", "3"), "first", "", "", folder)


FORGING = """
def test_check(submission):
    import gc, json, os
    from handbook.practice.frames import Channel
    for channel in [each for each in gc.get_objects() if isinstance(each, Channel)]:
        channel.send(json.loads({text!r}))
    os._exit(0)
"""
SAID = (
    '{"verdict": 99}',
    '{"verdict": -1}',
    '{"verdict": "x"}',
    '{"verdict": 0, "wall": "long"}',
    '{"verdict": 0, "state": "solved", "message": ""}',
    '{"start": "x"}',
)


@pytest.mark.parametrize("text", SAID)
def test_tests_of_a_stranger_that_lie_to_the_judge(judge: Judge, text: str) -> None:
    problem = Problem("p", "f", "", FORGING.format(text=text), "", "")
    found = judge_problem(problem, "def f(): pass\n", judge=judge)
    assert not found.passed
    assert UNTOLD in found.message
    assert [incident.kind for incident in found.incidents] == ["protocol"]


DRIPPING = f"""
import socket, struct, time
channel = socket.socket(fileno=4)
channel.send(struct.pack("<4sII", {MARK!r}, 1 << 20, 0))
while True:
    channel.send(b"[")
    time.sleep(0.05)
def one(): pass
"""


def test_a_message_that_does_not_end(judge: Judge, one: Exercise) -> None:
    judge.open()
    begin = time.monotonic()
    report = judge.run(one, DRIPPING)
    assert time.monotonic() - begin < 25  # it would drip for as long as the cell may live
    assert [incident.kind for incident in report.incidents] == ["protocol"]
    assert try_input(one, DRIPPING, "1", reference=False, using=judge).error.startswith("The process ended")


RAISING = """
import json, struct, sys
frame = sys._getframe()
while "Peer" not in frame.f_globals:
    frame = frame.f_back
def reply(self, answer, parts):
    made = {"known": "builtins.SystemExit", "args": {"t": [0]}, "text": ""}
    text = json.dumps(["x", answer[1], made, []]).encode()
    self.channel.sock.sendall(struct.pack("<4sII", b"hbk1", len(text), 0) + text)
frame.f_globals["Peer"].reply = reply
def one(): return 1
"""


def test_an_examiner_outlives_every_answer(judge: Judge, one: Exercise) -> None:
    """Also where each one, that to what was printed too, ends whoever does not expect it."""
    report = judge.run(one, RAISING)
    assert not report.passed
    assert "xaminer" not in report.verdicts[0].message
    assert {incident.kind for incident in report.incidents} <= {"protocol", "exit"}


def test_a_channel_that_never_falls_silent() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours)
        theirs.sendall(2 * (HEADER.pack(MARK, 2, 0) + b"[]"))
        channel.recv(1.0)
        assert channel.waiting
        assert not wait_for(channel, time.monotonic() - 1, None)
        stopped = threading.Event()
        stopped.set()
        assert not wait_for(channel, time.monotonic() + 1, stopped)
        assert wait_for(channel, time.monotonic() + 1, None)


def test_no_raw_bytes_where_none_are_expected() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(HEADER.pack(MARK, 2, 1) + b"[]x")
        with pytest.raises(Garbled):
            Channel(ours, raw=0).recv(1.0)


def test_a_cell_sees_no_other_package(judge: Judge, one: Exercise) -> None:
    site = Path(pytest.__file__).parent.parent
    snippet = f"import os; os.listdir({str(site)!r}) if os.path.isdir({str(site)!r}) else []"
    if not any("namespaces" in layer for layer in judge.isolation.layers):
        pytest.skip("no root of its own here")
    seen = try_input(one, "", snippet, reference=False, using=judge)
    assert not seen.error
    assert "pytest" not in seen.value
    assert "fastapi" not in seen.value


def test_packages_beside_those_that_cells_need_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where everything is installed into the interpreter's own folder."""
    site = tmp_path / "site-packages"
    for name in ("numpy", "private"):
        (site / name).mkdir(parents=True)
    (tmp_path / "json").mkdir()
    (tmp_path / "os.py").touch()
    monkeypatch.setattr(libraries, "standard", lambda: (tmp_path,))
    monkeypatch.setattr(libraries, "packages", lambda: (site / "numpy",))
    shown = [Path(path) for path in libraries.shown() if path.startswith(str(tmp_path))]
    assert sorted(shown) == sorted([tmp_path / "json", tmp_path / "os.py", site / "numpy"])
    assert not any(str(site / "numpy").startswith(folder) for folder in libraries.hidden())


def test_a_note_on_growth_is_no_command_to_a_terminal() -> None:
    growth = Growth("", None, None, None, (), (), "n", None, "Stopped by ValueError: \x1b[2J\u202e")
    assert "\x1b" not in growth_line(growth)
    assert "\u202e" not in growth_line(growth)


def test_no_class_that_opens_files_is_known_to_both_sides() -> None:
    """Who may name a class may have it called by whatever calls its arguments."""
    import numpy as np

    assert classes.known("numpy.ndarray") is np.ndarray
    assert classes.known("numpy.float32") is np.float32
    assert [classes.known(f"numpy.{name}") for name in ("memmap", "recarray", "matrix")] == [None] * 3
    assert classes.known("builtins.type") is None


def test_what_is_printed_as_json_is_no_command_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said = "\x1b[2J \x9b2J \u202e \x7f é\n"
    print_json("handbook.judge/1", {"output": said})
    printed = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\u202e", "\x7f"} & set(printed)
    assert "é" in printed
    assert json.loads(printed)["output"] == said
