"""`handbook train sft` and its siblings from outside: what they print, leave, refuse, and how they stop."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from handbook.app.cli.main import run
from handbook.model.adapters import read_adapter
from handbook.model.load import load_model
from handbook.train.lora import apply_adapter
from tests.cli.test_shapes import assert_shape
from tests.train.pocket import write_conversations, write_pairs, write_pocket

QUICK = ["--lora", "r=4", "--steps", "3", "--tokens", "128", "--precision", "fp32", "--threads", "1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pocket")
    write_pocket(path / "pocket")
    write_conversations(path / "talk.jsonl")
    write_pairs(path / "pairs.jsonl")
    return path


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def train(place: Path, method: str, *options: str) -> int:
    file = "talk.jsonl" if method == "sft" else "pairs.jsonl"
    return run(
        ["train", method, "--model", str(place / "pocket"), "--data", str(place / file), *QUICK, *options]
    )


def shown(capsys: pytest.CaptureFixture[str], *arguments: Any) -> dict[str, Any]:
    capsys.readouterr()
    assert train(*arguments, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert_shape(found)
    return found


def test_json_has_the_documented_shape_and_so_has_the_folder(
    capsys: pytest.CaptureFixture[str], place: Path, data: Path
) -> None:
    values = shown(capsys, place, "sft")
    assert (values["steps"], values["resumed_from"], values["trains"]) == (3, 0, "LoRA r=4")
    assert values["result"] == str(data / "train/sft/adapter")
    assert_shape(json.loads((data / "train/sft/run.json").read_text()))
    assert shown(capsys, place, "sft")["resumed_from"] == 3
    assert shown(capsys, place, "sft", "--fresh")["resumed_from"] == 0
    assert set(shown(capsys, place, "dpo", "--tokens", "256")["after"]) >= {"held_out", "held_out_kl"}


def test_the_plan_as_json_and_as_a_table(capsys: pytest.CaptureFixture[str], place: Path, data: Path) -> None:
    plan = shown(capsys, place, "sft", "--dry-run", "--length", "30")
    assert [line["what"] for line in plan["memory"]] == [
        "weights",
        "gradients",
        "optimizer",
        "activations",
        "logits",
    ]
    assert plan["bytes"] == sum(line["bytes"] for line in plan["memory"])
    assert plan["removed"] == {"truncated": 24}
    assert train(place, "sft", "--dry-run", "--length", "30") == 0
    said = capsys.readouterr().out
    for part in ("LoRA r=4: 4,096 weights", "truncated", "a step", "the run", "of them learnt"):
        assert part in said
    assert not (data / "train" / "sft").exists(), "nothing was kept"


def test_what_it_says_at_the_end(capsys: pytest.CaptureFixture[str], place: Path, data: Path) -> None:
    assert train(place, "sft", "--out", str(data / "my run")) == 0
    said = capsys.readouterr()
    assert "held-out loss" in said.out
    assert "before training" in said.out
    assert f"--adapter 'my run={data}/my run/adapter'" in said.out
    for part in ("step 3", "tokens/s", "s left", "held-out"):
        assert part in said.err


def test_settings_from_a_file(
    capsys: pytest.CaptureFixture[str], place: Path, data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "run.toml"
    told = f'data = "{place}/talk.jsonl"\nsteps = 9\n[lora]\nr = 2\n'
    file.write_text(f'method = "sft"\nmodel = "{place}/pocket"\n{told}')
    assert run(["train", "sft", "--config", str(file), *QUICK[2:], "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["steps"], values["trains"]) == (3, "LoRA r=2")


def test_all_faults_at_once_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], place: Path, data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "run.toml"
    file.write_text("lern_rate = 3\n")
    assert (
        train(place, "dpo", "--config", str(file), "--kind", "hing", "--lora", "rank=3", "--rate", "x") == 2
    )
    said = capsys.readouterr().err
    for part in ("lern_rate is not known", "expected one of sigmoid", "rank is not known", "got 'x'"):
        assert part in said
    (tmp_path / "file").write_text("")
    assert train(place, "sft", "--out", str(tmp_path / "file")) == 2
    assert run(["train", "sft", "--lora-rank", "3"]) == 2
    assert not data.exists()


def test_other_settings_in_the_folder_are_refused(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    assert train(place, "sft") == 0
    assert train(place, "sft", "--seed", "4") == 3
    said = capsys.readouterr().err
    assert "seed: there 0, now 4" in said
    assert "--fresh" in said


def test_data_that_cannot_be_used(capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"instruction": "a", "output": ""}\nnonsense\n{"instruction": 3, "output": "b"}\n')
    assert train(place, "sft", "--data", str(bad)) == 3
    said = capsys.readouterr().err
    for line in ("line 1", "line 2", "line 3"):
        assert line in said
    assert train(place, "sft", "--data", str(tmp_path / "none.jsonl")) == 3
    assert "none.jsonl" in capsys.readouterr().err


def test_ctrl_c_stops_after_the_step_and_the_same_command_goes_on(
    capsys: pytest.CaptureFixture[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handbook.train import session

    def interrupted(*arguments: Any) -> Any:
        one, watch, _ = arguments
        return known(one, watch, lambda: True)

    known = session.train
    monkeypatch.setattr(session, "train", interrupted)
    assert train(place, "sft") == 130
    said = capsys.readouterr()
    assert "Stopped after 1 of 3 steps" in said.err
    assert said.out == ""
    monkeypatch.setattr(session, "train", known)
    assert shown(capsys, place, "sft")["resumed_from"] == 1


def test_four_bits(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    values = shown(capsys, place, "sft", "--qlora", "--optimizer", "adamw8bit")
    assert values["trains"] == "QLoRA r=4"


@pytest.mark.parametrize("kind", ["r=4", "r=4,dora=true"])
def test_a_merged_adapter_stands_alone(
    place: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole model that merge writes computes what the adapter beside its base does."""
    assert train(place, "sft", "--out", str(tmp_path / "run"), "--lora", kind, "--rate", "0.02") == 0
    adapter, base = tmp_path / "run/adapter", str(place / "pocket")
    told = ["train", "merge", str(adapter), "--model", base, "--out", str(tmp_path / "whole")]
    capsys.readouterr()
    assert run([*told, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert_shape(found)
    beside, whole = load_model(base), load_model(str(tmp_path / "whole"))
    apply_adapter(beside.model, read_adapter(adapter, beside.model))
    tokens = torch.arange(40, 60)[None]
    with torch.no_grad():
        plain, expected = load_model(base).model(tokens), beside.model(tokens)
        torch.testing.assert_close(whole.model(tokens), expected, atol=1e-5, rtol=1e-5)
    assert (plain - expected).abs().max() > 1e-3
    assert run(told) == 2, "nothing is written over"
    assert "name a new folder" in capsys.readouterr().err
    assert run([*told[:-1], str(tmp_path / "other"), "--model", "nowhere/nothing"]) != 0
    assert not (tmp_path / "other").exists()
