"""The storm of `handbook bench soak`, short, and that it would tell if something were wrong."""

import copy
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from handbook.app.cli.main import run

OPTIONS = ("--requests", "150", "--at-once", "12", "--memory", "96KiB", "--running", "6", "--kill", "--json")


@pytest.fixture(scope="module")
def result(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDBOOK_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setenv("HANDBOOK_THREADS", "1")
        lines: list[str] = []
        patch.setattr("builtins.print", lambda text, **_: lines.append(text))
        command = ["bench", "soak", "--model", str(folder), "--precision", "fp32", *OPTIONS]
        with ThreadPoolExecutor() as alone:  # where no other loop runs
            status = alone.submit(run, command).result()
    return {**json.loads(lines[0]), "status": status}


def test_the_storm_leaves_nothing(result: Any) -> None:
    assert result["faults"] == []
    assert result["status"] == 0
    assert result["requests"] == 150
    assert len(result["ended"]) >= 6
    assert result["kill"]["same_after_restart"]


def test_every_fault_would_be_told(result: Any) -> None:
    faults = sys.modules["handbook_bench_soak"].faults
    wrong = {
        "wrong": [{"kind": "answer"}],
        "health": 503,
        "rested": [90, 100, 101, 106],
        "exit": 1,
        "kill": {"same_after_restart": False},
        "figures": {"running": 1.0, "queue": 1.0, "cache_use": 0.1, "preemptions_total": 0.0},
    }
    for name, value in wrong.items():
        changed = copy.deepcopy(result)
        changed |= {"requests": 1000, "rested": [90, 100, 100, 100]}
        changed[name] = {**changed[name], **value} if isinstance(value, dict) else value
        assert len(faults(changed)) == (4 if name == "figures" else 1), name
