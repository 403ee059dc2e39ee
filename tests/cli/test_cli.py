import os
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
from pathlib import Path

import pytest

from handbook.app.cli.main import VERBS, run
from handbook.app.cli.open import listen
from handbook.errors import PortBusy, SettingsError
from handbook.settings import Settings, load


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in VERBS)
    assert "Exit codes" in shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    assert len(capsys.readouterr().out) > 80


def test_wrong_use_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["nonsense"]) == 2
    assert run(["verify", "no-such-chapter"]) == 2
    assert "transformer-deep-dive" in capsys.readouterr().err
    assert run(["exercise", "show", "none"]) == 2
    assert run(["bench", "none"]) == 2
    assert run(["ask", "  "]) == 2


def test_expected_errors_are_3_with_the_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path))
    monkeypatch.setenv("HANDBOOK_COLOUR", "blue")
    assert run(["models", "list"]) == 3
    shown = capsys.readouterr().err
    assert "colour" in shown
    assert "Known settings" in shown
    assert "Traceback" not in shown


def test_verbs_load_nothing_heavy() -> None:
    code = (
        "import sys; from handbook.app.cli.main import run; run(['--help']); "
        "heavy = {'torch', 'lancedb', 'marimo', 'sqlalchemy', 'fastapi'} & set(sys.modules); "
        "sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_busy_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortBusy, match=str(port)) as caught:
            listen(Settings(port=port))
    assert "--port" in caught.value.remedy


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.com", ""])
def test_only_loopback(host: str) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        listen(Settings(host=host, port=0))


def test_settings_file_and_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 9000\nmodel = "mine"\n')
    monkeypatch.setenv("HANDBOOK_SETTINGS", str(file))
    monkeypatch.setenv("HANDBOOK_PORT", "9001")
    settings = load(embedder="other", port=None)
    assert (settings.port, settings.model, settings.embedder) == (9001, "mine", "other")


@pytest.mark.parametrize("text", ["port = ", 'colour = "blue"\n', "port = 99999999\n", "port = true_\n"])
def test_faulty_settings_file(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    monkeypatch.setenv("HANDBOOK_SETTINGS", str(file))
    with pytest.raises(SettingsError) as caught:
        load()
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["CHAT_KEYS", "DATABASE_URLS", "HOST_PASSWORD"])
def test_a_misspelt_secret_is_not_repeated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"HANDBOOK_{name}", "hunter2")
    with pytest.raises(SettingsError, match=name.lower()) as caught:
        load()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_secret_of_the_wrong_type_is_not_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('chat_key = ["hunter2"]\nport = "far"\n')
    monkeypatch.setenv("HANDBOOK_SETTINGS", str(file))
    with pytest.raises(SettingsError, match=r"got 'far'") as caught:
        load()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Settings(database_url="postgresql://me:hunter2@h/x", chat_key="hunter2"))


def test_open_prints_its_address_and_serves(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HANDBOOK_DATA": str(tmp_path),
        "HANDBOOK_FETCH": "false",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "handbook", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("The handbook is open at http://127.0.0.1:")
        address = line.split()[-1]
        with urllib.request.urlopen(address, timeout=20) as page:
            assert page.status == 200
            assert b"<html" in page.read()
    finally:
        process.terminate()
        deadline = time.monotonic() + 15
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        process.wait()
        process.stdout.close()
