"""`handbook engine trace` and `replay`, and the shapes of their JSON and of the file."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli.test_shapes import assert_shape, differences, documented, printed

from handbook.app.cli.main import run
from handbook.engine.tracefile import read
from handbook.engine.traceline import Line


def test_a_trace_and_its_replay(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    code, said = printed(capsys, "engine", "trace", "--out", str(file), "--scenario", "pressure", "--json")
    assert code == 0
    assert_shape(said)
    assert (said["steps"], said["bytes"]) == (len(read(file)), file.stat().st_size)
    assert said["preempted"] > 0
    code, shown = printed(capsys, "engine", "replay", str(file), "--json")
    assert code == 0
    assert_shape(shown)
    assert shown["end"] == "closed"
    assert len(shown["steps"]) == said["steps"]
    assert {key: said[key] for key in shown["totals"]} == shown["totals"]
    for step in shown["steps"]:
        pages = sum(step[f"pages_{state}"] for state in ("held", "shared", "cached", "free"))
        assert pages == shown["header"]["pages"]
    one = printed(capsys, "engine", "replay", str(file), "--step", "7", "--json")[1]
    assert one["steps"] == [shown["steps"][6]]


def test_the_file_is_as_documented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = documented()
    step, seen = shapes["handbook.engine.step/1"], set()
    for scenario, more in (("pressure", ["--swap"]), ("samples", []), ("prefix", ["--drafts", "3"])):
        file = tmp_path / scenario
        assert run(["engine", "trace", "--out", str(file), "--scenario", scenario, *more]) == 0
        header, *lines, last = map(json.loads, file.read_text().splitlines())
        assert header.pop("schema") == "handbook.engine.trace/1"
        assert differences(shapes["handbook.engine.trace/1"], header) == []
        assert last == {"end": "closed"}
        for line in lines:
            assert [fault for fault in differences(step, line) if not fault.endswith(": missing")] == []
            assert {"n", "at", "seconds"} <= line.keys()
            seen |= line.keys()
    assert set(step) == set(Line.model_fields)
    assert set(step) - seen <= {"gone", "evicted"}, "and these are all written"
    capsys.readouterr()


@pytest.mark.parametrize("columns", ["40", "120"])
def test_the_terminal_shows_a_step(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    file = tmp_path / "run.jsonl"
    assert run(["engine", "trace", "--out", str(file), "--scenario", "samples"]) == 0
    capsys.readouterr()
    assert run(["engine", "replay", str(file), "--step", "15"]) == 0
    said = capsys.readouterr().out
    assert "step 15 of" in " ".join(said.split())
    assert "4 4 D A B C A" in said
    assert max(map(len, said.splitlines())) <= int(columns)
    assert columns == "40" or "Running 6" in said
    assert run(["engine", "replay", str(file)]) == 0
    assert capsys.readouterr().out.count("step ") < 10, "no terminal: the last step alone"


def test_ids_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    assert run(["engine", "trace", "--out", str(file), "--scenario", "samples"]) == 0
    file.write_text(file.read_text().replace('"poem"', '"\\u001b[2J[red]x"'))
    capsys.readouterr()
    assert run(["engine", "replay", str(file), "--step", "3"]) == 0
    said = capsys.readouterr().out
    assert "\x1b[2J" not in said
    assert "?[2J[red]x" in said


def wrong(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    assert run(["engine", *map(str, arguments)]) == code
    return capsys.readouterr().err


def test_what_is_wrong_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "new"
    assert "Scenarios:\n  mixed" in wrong(capsys, 2, "trace", "--out", out, "--scenario", "none")
    assert "page is 999" in wrong(capsys, 3, "trace", "--out", out, "--page", 999)
    assert not out.exists()
    assert "Note: memory raised to" in wrong(
        capsys, 0, "trace", "--out", out, "--scenario", "long-prompt", "--memory", 64
    )
    assert "exists already" in wrong(capsys, 3, "trace", "--out", out)
    assert "no step 9999" in wrong(capsys, 3, "replay", out, "--step", 9999)
    assert "can't be read" in wrong(capsys, 3, "replay", tmp_path / "nowhere")
    (tmp_path / "other").write_text("{}\n")
    assert "no trace of this engine" in wrong(capsys, 3, "replay", tmp_path / "other")
    assert "--trace is" in _serve(capsys, out)


def _serve(capsys: pytest.CaptureFixture[str], file: Path) -> str:
    assert run(["serve", "--trace", str(file)]) == 2
    said: Any = capsys.readouterr().err
    return str(said)
