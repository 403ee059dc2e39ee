"""docs/json.md against what the verbs print."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from handbook.app.cli.main import VERBS, run

DOCS = Path(__file__).parents[2] / "docs" / "json.md"
TYPES = {"string": str, "number": (int, float), "boolean": bool, "null": type(None), "any": object}


def documented() -> dict[str, Any]:
    blocks = re.findall(r"```json (\S+)\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    return {name: json.loads(body) for name, body in blocks}


def differences(shape: Any, value: Any, where: str = "") -> list[str]:
    """Where `value` departs from `shape`: missing and extra keys, wrong types."""
    if isinstance(shape, str):
        kinds = tuple(TYPES[name] for name in shape.split("|"))
        flat = tuple(kind for item in kinds for kind in (item if isinstance(item, tuple) else (item,)))
        wrong = not isinstance(value, flat) or (isinstance(value, bool) and bool not in flat)
        return [f"{where}: expected {shape}, got {value!r}"] if wrong else []
    if isinstance(shape, dict) and set(shape) == {"?"}:
        return [] if value is None else differences(shape["?"], value, where)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: expected a list, got {value!r}"]
        return [
            fault for n, item in enumerate(value) for fault in differences(shape[0], item, f"{where}[{n}]")
        ]
    if not isinstance(value, dict):
        return [f"{where}: expected an object, got {value!r}"]
    if set(shape) == {"*"}:
        return [
            fault for key, item in value.items() for fault in differences(shape["*"], item, f"{where}.{key}")
        ]
    faults = [f"{where}.{key}: missing" for key in shape.keys() - value.keys()]
    faults += [f"{where}.{key}: not documented" for key in value.keys() - shape.keys()]
    both = shape.keys() & value.keys()
    return faults + [fault for key in both for fault in differences(shape[key], value[key], f"{where}.{key}")]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(list(arguments))
    return code, json.loads(capsys.readouterr().out)


def assert_shape(values: dict[str, Any]) -> None:
    values = dict(values)
    shape = documented()[values.pop("schema")]
    assert differences(shape, values) == []


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path))


def test_the_comparison_can_fail() -> None:
    assert differences({"a": "number"}, {"a": "x"})
    assert differences({"a": "number"}, {"a": True})
    assert differences({"a": "number"}, {})
    assert differences({"a": "number"}, {"a": 1, "b": 2})
    assert differences({"a": ["string"]}, {"a": [1]})
    assert differences({"a": {"?": ["string"]}}, {"a": [1]})
    assert not differences({"a": {"?": ["string"]}}, {"a": None})
    assert not differences({"a": "number|null", "b": {"*": "string"}}, {"a": None, "b": {"x": "y"}})


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    code, values = printed(capsys, "doctor", "--json")
    assert_shape(values)
    assert code == (0 if values["ok"] else 1)


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    code, values = printed(capsys, "models", "list", "--json")
    assert code == 0
    assert_shape(values)
    assert {"smollm2-135m-instruct", "all-minilm-l6-v2"} <= {row["name"] for row in values["models"]}


def test_book_status(capsys: pytest.CaptureFixture[str]) -> None:
    code, values = printed(capsys, "book", "status", "--json")
    assert code == 0
    assert_shape(values)
    assert len(values["chapters"]) == 17


def test_book_check(capsys: pytest.CaptureFixture[str]) -> None:
    code, values = printed(capsys, "book", "check", "--json")
    assert_shape(values)
    assert code == (1 if values["faults"] else 0)


def test_search(capsys: pytest.CaptureFixture[str]) -> None:
    code, values = printed(capsys, "search", "kv cache", "--json")
    assert code == 0
    assert_shape(values)
    assert values["hits"]


def test_search_without_a_hit_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    code, values = printed(capsys, "search", "zzqqxxyy", "--json")
    assert (code, values["hits"]) == (1, [])


def test_exercises(capsys: pytest.CaptureFixture[str]) -> None:
    code, values = printed(capsys, "exercise", "list", "--json")
    assert code == 0
    assert_shape(values)
    assert len(values["exercises"]) >= 6


def test_exercise_run_of_a_starter_fails_with_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    assert run(["exercise", "start", "top-p-sampling", str(file)]) == 0
    capsys.readouterr()
    code, values = printed(capsys, "exercise", "run", "top-p-sampling", str(file), "--json")
    assert_shape(values)
    assert code == 1
    assert not any(verdict["state"] == "passed" for verdict in values["verdicts"][:1])


@pytest.mark.parametrize(
    "arguments", [[], ["mixtral-8x7b"], ["gemma-2-9b", "deepseek-v3", "--context", "99999"]]
)
def test_zoo(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, values = printed(capsys, "zoo", *arguments, "--json")
    assert code == 0
    assert_shape(values)
    assert len(values["models"]) >= 14 or [model["name"] for model in values["models"]] == arguments[:2]


def test_zoo_of_your_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(
        '{"model_type": "llama", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 16, '
        '"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 4096}'
    )
    code, values = printed(capsys, "zoo", "--config", str(file), "--json")
    assert code == 0
    assert_shape(values)
    assert (values["models"][0]["hub"], values["models"][0]["cache_per_token"]) == (None, 2 * 2 * 8 * 2)


def test_export_then_import(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    assert run(["export", str(file)]) == 0
    assert run(["export", str(file)]) == 2, "an existing file is not replaced unasked"
    capsys.readouterr()
    code, values = printed(capsys, "import", str(file), "--json")
    assert (code, values["added"]) == (0, 0)
    assert_shape(values)


@pytest.mark.models
def test_ask(
    capsys: pytest.CaptureFixture[str], models_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "models").symlink_to(models_dir)
    code, values = printed(capsys, "ask", "What does the KV cache hold?", "--json")
    assert_shape(values)
    assert code == 0
    assert values["sentences"][0]["citations"]
    assert {"retrieve", "fuse", "rerank"} <= {step["stage"] for step in values["steps"]}
    code, values = printed(capsys, "ask", "Which wine goes with grilled trout?", "--json")
    assert_shape(values)
    assert (code, values["refused"]) == (1, True)


def test_every_documented_shape_is_known() -> None:
    verbs = {name.split("/")[0].split(".")[1] for name in documented()}
    assert verbs - {"exercises"} <= set(VERBS)


@pytest.mark.shared
def test_train_sets(capsys: pytest.CaptureFixture[str], with_sets: Path) -> None:
    code, values = printed(capsys, "train", "sets", "--json")
    assert code == 0
    assert [Path(file).parent for file in values["files"]] == [with_sets] * 2
    assert_shape(values)
