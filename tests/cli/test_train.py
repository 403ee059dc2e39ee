"""`handbook train tiny` from outside: what it prints, leaves behind, refuses, and how it stops."""

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from handbook.app.cli.main import run
from handbook.app.curves import loss_plot, smoothed
from handbook.book.svg import unsafe
from handbook.train import tiny
from handbook.train.loop import Point
from tests.cli.test_shapes import assert_shape

WORDS = "A plum, a pear; the king is here.\nEnter two clowns, and exit all but one.\n" * 40


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small shape and a text of our own, so that a run takes a second."""
    shape = tiny.Shape(dim=16, layers=2, heads=2, hidden=32, experts=4, k=2, length=16, batch=8)
    monkeypatch.setattr(tiny, "Shape", lambda: shape)
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HANDBOOK_TEXT", str(tmp_path / "words.txt"))
    (tmp_path / "words.txt").write_text(WORDS)
    return tmp_path


def train(*options: str) -> int:
    return run(["train", "tiny", "--threads", "1", "--steps", "6", *options])


def shown(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert train("--json", *options) == 0
    return json.loads(capsys.readouterr().out)


def test_json_has_the_documented_shape(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    values = shown(capsys, "--models", "all")
    assert_shape(values)
    assert [row["name"] for row in values["models"]] == list(tiny.NAMES)
    dense, mixture, total, *_ = values["models"]
    assert dense["busiest"] is dense["dropped"] is None
    assert mixture["busiest"] >= 1
    assert dense["active_parameters"] < mixture["active_parameters"] < total["active_parameters"]
    assert all(len(row["sample"]) == 240 for row in values["models"])


def test_what_it_leaves_and_what_it_says(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    assert train() == 0
    out = small / "data" / "train" / "tiny"
    said = capsys.readouterr()
    assert str(out / "loss.svg") in said.out
    assert "held-out loss" in said.out
    assert "x mean" in said.out
    assert "tokens/s" in said.err
    for name in ("dense", "mixture"):
        rows = [json.loads(line) for line in (out / name / "metrics.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert (out / name / "checkpoint.pt").is_file()
    plot = (out / "loss.svg").read_text()
    assert not unsafe(plot)
    assert "http" not in plot.replace("http://www.w3.org/2000/svg", "")


def test_again_goes_on_and_fresh_starts_anew(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    first = shown(capsys, "--models", "dense")
    again = shown(capsys, "--models", "dense,mixture")
    assert [row["resumed_from"] for row in again["models"]] == [6, 0]
    assert again["models"][0]["held_out_loss"] == first["models"][0]["held_out_loss"]
    fresh = shown(capsys, "--models", "dense", "--fresh")
    assert fresh["models"][0]["resumed_from"] == 0
    assert fresh["models"][0]["held_out_loss"] == first["models"][0]["held_out_loss"]


def test_other_settings_in_the_folder_are_refused_for_all_models_at_once(
    capsys: pytest.CaptureFixture[str], small: Path
) -> None:
    assert train() == 0
    files = {path: path.read_bytes() for path in (small / "data").rglob("*.pt")}
    capsys.readouterr()
    assert train("--seed", "3") == 3
    said = capsys.readouterr().err
    assert "dense/checkpoint.pt" in said
    assert "mixture/checkpoint.pt" in said
    assert "seed: there 0, now 3" in said
    assert "--fresh" in said
    assert {path: path.read_bytes() for path in files} == files
    assert train("--seed", "3", "--fresh") == 0


def test_all_faults_of_the_options_at_once(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    wrong = "--models dense,sparse --steps 0 --seed -1 --threads many --text missing.txt"
    assert run(["train", "tiny", *wrong.split(), "--out", str(small / "words.txt")]) == 2
    said = capsys.readouterr().err
    for part in ("sparse is not one of dense, mixture", "--steps: expected 1", "--seed", "'many'"):
        assert part in said
    assert "missing.txt is not a file" in said
    assert "words.txt is a file" in said
    assert run(["train", "tiny", "--models", " , "]) == 2
    assert not (small / "data").exists(), "nothing was begun"


def test_a_text_that_is_too_short(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    (small / "words.txt").write_text("To be")
    assert train() == 3
    assert "has 5 characters" in capsys.readouterr().err


def test_two_do_not_train_into_one_folder(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    from filelock import FileLock

    out = small / "data" / "train" / "tiny"
    out.mkdir(parents=True)
    with FileLock(out / ".lock"):
        assert train() == 3
    assert "Another handbook is training" in capsys.readouterr().err
    assert train() == 0


def test_ctrl_c_stops_between_steps_and_says_how_to_go_on(small: Path) -> None:
    """A real process, a real signal; the same command then ends as an unbroken one would."""
    code = f"""
import sys
from handbook.train import tiny
from handbook.train.tiny import Shape
shape = {tiny.Shape()!r}
tiny.Shape = lambda: shape
from handbook.app.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
    waiting = """
import time
from handbook.train import runs
train = runs.train
def slowly(run, corpus, watch, stop):
    def told(point):
        watch(point)
        time.sleep(0.2 if point.step >= 30 else 0)  # the signal comes long before the last step
    return train(run, corpus, told, stop)
runs.train = slowly
"""
    told = ["train", "tiny", "--models", "mixture", "--threads", "1", "--steps", "150"]
    told += ["--out", str(small / "out")]
    command = [sys.executable, "-c", code, *told]
    child = subprocess.Popen(
        [sys.executable, "-c", waiting + code, *told],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if "step 30" in line:
            break
    child.send_signal(signal.SIGINT)
    out, rest = child.communicate(timeout=60)
    assert child.returncode == 130, rest
    assert out == ""
    assert "The same command goes on from there" in rest
    assert "Traceback" not in rest
    stopped = len((small / "out/mixture/metrics.jsonl").read_text().splitlines())
    assert 30 <= stopped < 150
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    (row,) = json.loads(done.stdout)["models"]
    assert row["resumed_from"] == stopped
    whole = subprocess.run(
        [*command, "--json", "--out", str(small / "whole")], capture_output=True, text=True, check=True
    )
    assert json.loads(whole.stdout)["models"][0]["held_out_loss"] == row["held_out_loss"]


def test_a_folder_that_cannot_be_made(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    assert train("--out", str(small / "words.txt" / "below")) == 3
    assert "Choose another folder" in capsys.readouterr().err


def points(losses: list[float]) -> list[Point]:
    seen = {"held_out": 2.0}
    return [
        Point(i + 1, 0.1, 1.0, {"text": loss} | (seen if i % 10 == 9 else {}), 0.1)
        for i, loss in enumerate(losses)
    ]


@pytest.mark.parametrize("losses", [[], [2.0], [4.5 - n / 50 for n in range(120)], [0.0] * 5, [99.0, 98.0]])
def test_the_plot_is_sound_for_any_curve(losses: list[float]) -> None:
    drawing = loss_plot({"dense": points(losses), "<mixture> & more": points(losses[:3])})
    assert not unsafe(drawing)
    root = ET.fromstring(drawing)
    lines = [node.get("points", "") for node in root.iter("{http://www.w3.org/2000/svg}polyline")]
    for line in lines:
        for pair in line.split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 520
            assert 0 <= y <= 340
    dots = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(dots) == len(losses) // 10, "every look at held-out text that fits is shown"


def test_the_running_mean_is_not_pulled_to_its_start() -> None:
    assert smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert smoothed([1.0, 2.0])[1] == pytest.approx((0.9 * 1 + 2) / 1.9)


def test_help_loads_no_torch() -> None:
    code = (
        "import sys; from handbook.app.cli.main import run; run(['train', 'tiny', '--help']); "
        "sys.exit('torch' in sys.modules)"
    )
    environment = dict(os.environ)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=environment)
    assert done.returncode == 0
