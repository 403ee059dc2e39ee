"""`handbook serve --adapter` and `handbook chat --adapter`: a folder in peft's format becomes a model."""

from pathlib import Path

import httpx
import pytest
import torch
from test_serve import served

from handbook.app.cli.main import run
from handbook.engine.adapting import places
from handbook.model.adapters import Adapter, Factors
from handbook.model.load import load_model
from handbook.train.adapter_files import write_adapter

TEMPLATE = "{% for m in messages %}{{ m.content }}\n{% endfor %}"


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    """A random adapter of the pocket model, as peft would have written it."""
    model = load_model(str(folder)).model
    draw, factors = torch.Generator().manual_seed(4), {}
    for path, linear in places(model).items():
        a = torch.randn(2, linear.in_features, generator=draw)
        factors[path] = Factors(a, torch.randn(linear.out_features, 2, generator=draw), 0.5)
    write_adapter(tmp_path / "poet", Adapter("poet", factors), model)
    return tmp_path / "poet"


def test_served_as_models(folder: Path, adapter: Path) -> None:
    options = (
        "--precision",
        "fp32",
        "--threads",
        "1",
        "--adapter",
        f"one={adapter}",
        "--adapter",
        f"two={adapter}",
    )
    with served(folder, *options) as (_, address, said):
        assert "adapters   one, two" in said
        cards = httpx.get(f"{address}/v1/models", timeout=20).json()["data"]
        assert [(card["id"], card.get("parent")) for card in cards] == [
            ("pocket", None), ("one", "pocket"), ("two", "pocket"),
        ]  # fmt: skip
        texts = {}
        for name in ("pocket", "one", "two"):
            body = {"model": name, "prompt": "hello", "max_tokens": 8, "temperature": 0}
            answer = httpx.post(f"{address}/v1/completions", json=body, timeout=60).json()
            texts[name] = answer["choices"][0]["text"]
        assert texts["one"] == texts["two"] != texts["pocket"]


def test_what_cannot_be(
    folder: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ["--adapter", "poet", "--adapter", f"x={tmp_path / 'none'}", "--adapter", f"{folder}={adapter}"]
    assert run(["serve", "--model", str(folder), "--port", "0", *wrong]) == 2
    shown = capsys.readouterr().err
    assert "expected NAME=FOLDER" in shown
    assert "names no folder" in shown
    assert "is the name of another model here" in shown
    (adapter / "adapter_model.safetensors").unlink()
    assert run(["serve", "--model", str(folder), "--port", "0", "--adapter", f"x={adapter}"]) == 3
    assert "adapter_model.safetensors is missing" in capsys.readouterr().err
    assert run(["ask", "what?", "--adapter", str(adapter)]) == 2
    assert "--generate" in capsys.readouterr().err
    assert run(["chat", "hello", "--url", "http://127.0.0.1:9/v1", "--adapter", str(adapter)]) == 3
    assert "Name a model of that server" in capsys.readouterr().err


def test_a_conversation_with_one(folder: Path, adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    said = []
    for options in ([], ["--adapter", str(adapter)]):
        what = ["chat", "hello", "--model", str(folder), "--temperature", "0", "--max-tokens", "8", *options]
        assert run(what) in (0, None)
        said.append(capsys.readouterr().out)
    assert said[0] != said[1]
