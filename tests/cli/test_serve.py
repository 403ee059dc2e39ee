"""`handbook serve`: what can't be is said at once; what can is served until a signal comes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from handbook.app.cli.main import run
from handbook.app.cli.serve import TextVectors, bytes_of, is_loopback
from handbook.settings import Settings


@contextmanager
def served(folder: Path, *options: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its address, and what it said of itself."""
    environment = {**os.environ, "HANDBOOK_DATA": str(folder.parent), "PYTHONUNBUFFERED": "1", **more}
    command = [sys.executable, "-m", "handbook", "serve", "--model", str(folder), "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            said += line
        found = re.search(r"at (http://\S+)/v1", said)
        assert found
        yield process, found[1], said
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_sizes() -> None:
    assert bytes_of("512MiB") == 512 << 20
    assert bytes_of("1.5 GiB") == 3 << 29
    assert bytes_of("2g") == 2_000_000_000
    assert bytes_of("1000") == 1000
    assert [bytes_of(text) for text in ("", "MiB", "-1", "1 TiB", "1e9", "nan", "٣MiB")] == [None] * 7


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.5.5.5", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "", "example.com", "192.168.0.1")))


def test_impossible_numbers_all_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--memory", "lots", "--page", "0", "--running", "600", "--queue", "-1", "--threads", "0"]
    assert run(["serve", "--host", "0.0.0.0", "--drain", "-2", "--api-key", " ", *options]) == 2
    shown = capsys.readouterr().err
    for name in ("--memory", "--page", "--running", "--queue", "--threads", "--drain", "API key"):
        assert name in shown
    assert run(["serve", "--memory", "9000GiB"]) == 2
    assert "this machine has" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.7.7", "example.com"])
def test_other_hosts_need_a_key(
    host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDBOOK_SERVE_KEY", raising=False)
    assert run(["serve", "--host", host]) == 2
    assert f"--host {host} lets other machines in" in capsys.readouterr().err


def test_too_little_memory_for_a_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--model", str(folder), "--port", "0", "--memory", "1000"]) == 2
    assert "a page of 16 positions takes 1,024 bytes, got 1,000" in capsys.readouterr().err


def test_no_such_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--model", str(tmp_path / "none.gguf"), "--port", "0"]) == 3
    assert "no model file" in capsys.readouterr().err


def test_it_serves_until_it_is_told_to_end(folder: Path) -> None:
    options = ("--precision", "bf16", "--memory", "64KiB", "--speculation", "off", "--threads", "1")
    with served(folder, *options, HANDBOOK_SERVE_KEY="sk-1") as (process, address, said):
        assert "Serving pocket at http://127.0.0.1:" in said
        assert "computes   torch, bfloat16: " in said
        assert "1 threads" in said
        assert "speculation off" in said
        assert "embeddings none: all-minilm-l6-v2 is not here" in said
        assert "64 pages of 16 positions, 1,024 in all; context 2,048" in said
        assert "longer than 1,024 tokens does not fit" in said
        assert "sk-1" not in said
        body = {"model": "pocket", "prompt": "hello", "max_tokens": 900, "ignore_eos": True, "stream": True}
        head = {"Authorization": "Bearer sk-1"}
        assert httpx.post(f"{address}/v1/completions", json=body, timeout=20).status_code == 401
        with httpx.stream("POST", f"{address}/v1/completions", json=body, headers=head, timeout=60) as reply:
            lines = reply.iter_lines()
            assert next(lines).startswith("data: ")
            process.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert "data: [DONE]" in rest
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()


def test_interrupting_twice_ends_at_once(folder: Path) -> None:
    with served(folder, "--drain", "600") as (process, address, _):
        body = {"model": "pocket", "prompt": "hello", "n": 20, "ignore_eos": True, "stream": True}
        body["max_tokens"] = 2000
        with httpx.stream("POST", f"{address}/v1/completions", json=body, timeout=60) as reply:
            lines = reply.iter_lines()
            next(lines)
            process.send_signal(signal.SIGINT)
            while httpx.get(f"{address}/health", timeout=30).status_code == 200:
                pass
            process.send_signal(signal.SIGINT)
            assert "shutting_down" in "".join(lines)
            assert process.wait(60) == 0
            assert "Traceback" not in process.stderr.read()


@pytest.mark.models
def test_vectors_are_whole_or_refused(model_settings: Settings, minilm_path: Path) -> None:
    vectors = TextVectors(model_settings)
    rows, tokens = vectors.embed(["a word", "two words more"])
    assert rows.shape == (2, 384)
    assert tokens == 4 + 5
    with pytest.raises(ValueError, match="256 tokens a text; input 1 has more"):
        vectors.embed(["short", "word " * 300])


def test_a_draft_model_guesses_ahead_and_changes_no_word(folder: Path) -> None:
    body = {"model": "pocket", "prompt": "hello", "max_tokens": 40, "ignore_eos": True, "temperature": 0}
    said = []
    for options in (("--speculation", "off"), ("--draft-model", str(folder))):
        with served(folder, "--precision", "fp32", "--threads", "1", *options) as (_, address, told):
            assert f"speculation {'draft' if 'draft' in options[0] else 'off'}" in told
            said.append(httpx.post(f"{address}/v1/completions", json=body, timeout=60).json())
    assert said[0]["choices"] == said[1]["choices"]
    guessed = [one["usage"]["completion_tokens_details"]["accepted_prediction_tokens"] for one in said]
    assert guessed[0] == 0
    assert guessed[1] > 10
