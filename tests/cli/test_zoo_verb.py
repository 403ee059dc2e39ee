"""`handbook zoo`: a table, one model with its sums, several side by side, your own with all faults."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from handbook.app.cli.main import run
from handbook.app.cli.output import report_error
from handbook.errors import ModelFileError

FAULTY = '{"model_type": "llama", "hidden_size": "wide", "num_hidden_layers": 2, "num_attention_heads": 0}'


def test_the_table_has_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["zoo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "name"
    assert sum("GQA" in line or "MHA" in line or "MQA" in line or "MLA" in line for line in lines) >= 14


def test_one_model_has_its_sums_and_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["zoo", "llama-2-7b", "--context", "4096"]) == 0
    shown = capsys.readouterr().out
    assert "meta-llama/Llama-2-7b-hf, as in github.com/" in shown
    assert "32 x 2 x 32 x 128 x 2" in shown.replace("\N{MULTIPLICATION SIGN}", "x")
    assert "Decode after 4,096 tokens" in shown
    assert run(["zoo", "llama-2-7b", "--context", "4097"]) == 0
    assert "left out: the context ends at 4,096" in capsys.readouterr().out


def test_several_stand_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["zoo", "llama-2-7b", "deepseek-v2"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Attention "))
    assert line.split() == ["Attention", "MHA", "MLA"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["gpt-9"],
        ["llama-2-7b", "--context", "0"],
        ["llama-2-7b", "--config", "x"],
        ["llama-2-7b", "phi-2", "gemma-2b", "gemma-7b", "olmoe-1b-7b"],
    ],
)
def test_wrong_use_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["zoo", *arguments]) == 2
    assert "Error" in capsys.readouterr().err


def test_a_faulty_config_lists_all_faults_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(FAULTY)
    assert run(["zoo", "--config", str(file)]) == 3
    said = capsys.readouterr().err
    for field in ("hidden_size", " heads", "vocab_size", "intermediate_size", "max_position_embeddings"):
        assert said.count(f"{field} ") == 1, said
    assert "Traceback" not in said
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FAULTY.encode())))
    assert run(["zoo", "--config", "-"]) == 3
    assert "hidden_size" in capsys.readouterr().err


def test_a_fault_that_the_sentence_names_is_not_listed_again(capsys: pytest.CaptureFixture[str]) -> None:
    report_error(ModelFileError("Wrong: heads is 0; dim is 0.", "Correct it.", ("heads is 0", "dim is 0")))
    assert capsys.readouterr().err.count("heads is 0") == 1


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["zoo", "--config", str(tmp_path / "none.json")]) == 3
    assert "could not be read" in capsys.readouterr().err


def test_it_loads_no_torch() -> None:
    code = (
        "import sys; from handbook.app.cli.main import run; run(['zoo']); run(['zoo', 'deepseek-v3']); "
        "sys.exit(bool({'torch', 'lancedb', 'marimo', 'fastapi'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
