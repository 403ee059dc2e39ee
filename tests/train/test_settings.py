"""What a run is told: from flags, from TOML, from both; and every fault of them at once."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from handbook.errors import SettingsError
from handbook.train.settings import METHODS, Lora, SftSettings, Supervised, as_plain, known, read_settings

FILE = """
method = "sft"
data = "examples.jsonl"
rate = 1e-4
tokens = 512
length = 256

[lora]
r = 4
dora = true
targets = ["query", "value"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text(FILE)
    return tmp_path / "run.toml"


def test_defaults_stand_where_nothing_is_told() -> None:
    settings = read_settings("sft", {"data": "x.jsonl"})
    assert settings == SftSettings(data="x.jsonl")
    assert (settings.peak, settings.full, settings.longest) == (pytest.approx(2e-5), True, 1024)


def test_text_becomes_what_the_field_wants() -> None:
    told = {"data": "x", "steps": "40", "rate": "3e-4", "optimizer": "adamw8bit", "checkpointing": "no"}
    settings = read_settings("sft", told | {"lora": "r=8, dropout=0.1,dora=yes"})
    assert settings == SftSettings(
        data="x",
        steps=40,
        rate=3e-4,
        optimizer="adamw8bit",
        checkpointing=False,
        lora=Lora(r=8, dropout=0.1, dora=True),
    )


def test_flags_win_over_the_file_and_the_file_over_defaults(file: Path) -> None:
    settings = read_settings("sft", {"rate": "2e-3", "lora": "r=16", "data": None}, file)
    assert (settings.rate, settings.tokens) == (2e-3, 512)
    assert settings.lora == Lora(r=16, dora=True, targets="query+value"), "key by key"
    assert settings.data == str(file.parent / "examples.jsonl"), "a path of the file is from its folder"
    assert read_settings("sft", {"data": "here.jsonl"}, file).data == "here.jsonl"
    assert read_settings("sft", {"lora": "false"}, file).lora is None


@pytest.mark.parametrize(("text", "is_on"), [("true", True), ("off", False)])
def test_an_adapter_by_a_word(text: str, is_on: bool) -> None:
    assert (read_settings("sft", {"data": "x", "lora": text}).lora == Lora()) is is_on


def test_four_bits_come_with_an_adapter() -> None:
    assert read_settings("sft", {"data": "x", "qlora": True}).lora == Lora()
    with pytest.raises(SettingsError, match="lora is turned off"):
        read_settings("sft", {"data": "x", "qlora": True, "lora": "false"})


def test_every_fault_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('method = "dpo"\nlearning_rate = 1\nepochs = true\n[lora]\nrank = 3\ndora = "maybe"\n')
    told = {"lenght": "3", "steps": "0", "seed": "1.5", "optimizer": "sgd", "held_out": "2", "clip": "nan"}
    with pytest.raises(SettingsError) as raised:
        read_settings("sft", told, bad)
    said = raised.value.what
    for part in (
        "it is for 'dpo', and sft was asked for",
        "learning_rate is not known; the nearest is rate",
        "epochs: expected a number, got True",
        "rank is not known; the nearest is r",
        "dora: expected true or false, got 'maybe'",
        "--lenght is not known; the nearest is length",
        "--steps: expected 1 to",
        "--seed: expected a whole number, got '1.5'",
        "--optimizer: expected one of adamw, adamw8bit, got 'sgd'",
        "--held-out: expected 0 to 0.9, got 2.0",
        "--clip: expected a finite number",
        "data is missing",
    ):
        assert part in said, part
    assert said.count(str(bad)) == 4


@pytest.mark.parametrize("content", [b"rate = ", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "run.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"run\.toml: can't be read"):
        read_settings("sft", {"data": "x"}, file)


def test_rows_have_room_for_what_they_hold() -> None:
    assert read_settings("sft", {"data": "x", "tokens": "512"}).longest == 512
    assert read_settings("dpo", {"data": "x", "tokens": "512"}).longest == 256, "a pair is two"
    with pytest.raises(SettingsError, match="a pair of up to 800 tokens does not fit a row of 512"):
        read_settings("dpo", {"data": "x", "tokens": "512", "length": "400"})


def test_a_model_of_the_file_is_a_path_only_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('model = "mine"\ndata = "x"\n')
    assert read_settings("sft", {}, tmp_path / "run.toml").model == "mine"
    (tmp_path / "mine").mkdir()
    assert read_settings("sft", {}, tmp_path / "run.toml").model == str(tmp_path / "mine")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_words_and_a_rate_for_all(method) -> None:  # type: ignore[no-untyped-def]
    told = {"data": "x"} if issubclass(METHODS[method], Supervised) else {"task": "sums"}
    settings = read_settings(method, told)
    assert settings.method == method
    assert 0 < settings.peak < 1
    assert set(as_plain(settings)) == {"method", *(each.name for each in fields(settings))}
    assert all(each.metadata["words"].endswith((".", "defaults.")) for each in known(method).values())


def test_the_warm_up_is_a_share_of_the_steps() -> None:
    assert [SftSettings(warmup=0.1).warmup_of(steps) for steps in (1, 40, 1000)] == [1, 4, 100]
    assert SftSettings(warmup=0.0).warmup_of(100) == 0


def test_no_torch_is_loaded() -> None:
    code = "import sys, handbook.train.settings, handbook.app.cli.tuning; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_learns_from_its_own_answers() -> None:
    settings = read_settings("ppo", {"task": "sums"})
    assert settings.lora == Lora(), "the reference is the model without it"
    for wrong, says in (
        ({}, "either task or data"),
        ({"task": "sums", "data": "x"}, "either task or data"),
        ({"task": "sums", "lora": "false"}, "needs an adapter"),
        ({"task": "sums", "lora": "dropout=0.1"}, "without dropout"),
    ):
        with pytest.raises(SettingsError, match=says):
            read_settings("ppo", wrong)
    with pytest.raises(SettingsError, match="at least 2"):
        read_settings("grpo", {"task": "sums", "group": "1"})
    assert read_settings("grpo", {"task": "sums", "lora": "off"}).full


def test_bounds_are_allowed_themselves() -> None:
    settings = read_settings("sft", {"data": "x", "steps": "1", "held_out": "0", "floor": "1", "seed": "0"})
    assert (settings.steps, settings.floor, settings.seed) == (1, 1.0, 0)
