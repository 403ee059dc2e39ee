"""The hub's protocol against a server of our own: in a process of its own, because the client reads
HF_ENDPOINT when it is imported."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .conftest import CONFIG, FILES, WEIGHTS, left_in

FETCH = """
import json, sys
from pathlib import Path
from handbook.errors import HandbookError
from handbook.model.weights.catalog import Packaged, Piece
from handbook.model.weights.fetch import bring
from handbook.model.weights.sources import from_hub
from handbook.settings import Settings
pieces = tuple(Piece(*piece) for piece in json.loads(sys.argv[2]))
model = Packaged("tiny", "Tiny", "embed", "Apache-2.0", "p", "1", 0, "handbook/tiny", "main", pieces)
try:
    print(bring(model, Settings(data=Path(sys.argv[1])), origins=(from_hub,)))
except HandbookError as error:
    print(type(error).__name__, error)
"""


class Hub(ThreadingHTTPServer):
    """Serves `files` the way the hub does. `cut` drops connections after that many bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = dict(FILES)
        self.cut: int | None = None


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        name = self.path.removeprefix("/handbook/tiny/resolve/main/").partition("?")[0]
        data = self.server.files.get(name)
        if data is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data[: self.server.cut])
            self.close_connection = self.server.cut is not None

    def log_message(self, *said: object) -> None:
        """Tests stay quiet."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(hub: Hub | str, data: Path) -> str:
    pieces = [
        (name, f"x/{name}", hashlib.sha256(content).hexdigest(), len(content))
        for name, content in FILES.items()
    ]
    address = hub if isinstance(hub, str) else f"http://127.0.0.1:{hub.server_port}"
    dropped = ("HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    environment |= {"HF_ENDPOINT": address, "HF_HOME": str(data / "hf"), "HF_HUB_DISABLE_XET": "1"}
    run = subprocess.run(
        [sys.executable, "-c", FETCH, str(data), json.dumps(pieces)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    assert ask(hub, tmp_path) == str(tmp_path / "models" / "tiny" / "model.safetensors")
    assert (tmp_path / "models" / "tiny" / "model.safetensors").read_bytes() == WEIGHTS
    assert (tmp_path / "models" / "tiny" / "sub" / "config.json").read_bytes() == CONFIG
    assert left_in(tmp_path / "models" / "tiny") == set(FILES)


@pytest.mark.parametrize("data", [WEIGHTS[:-1] + b"\0", WEIGHTS + b"\0"], ids=["altered", "longer"])
def test_another_file_on_the_hub_is_refused(hub: Hub, tmp_path: Path, data: bytes) -> None:
    hub.files["model.safetensors"] = data
    assert ask(hub, tmp_path).startswith("ModelFileError")
    assert left_in(tmp_path / "models" / "tiny") == set()


def test_a_hub_without_the_model(hub: Hub, tmp_path: Path) -> None:
    hub.files.clear()
    assert ask(hub, tmp_path).startswith(
        "ModelUnavailable Tiny could not be brought here. The model hub did not"
    )


def test_a_download_that_was_cut_off_starts_clean(hub: Hub, tmp_path: Path) -> None:
    hub.cut = 300_000
    assert ask(hub, tmp_path).startswith("ModelUnavailable")
    assert left_in(tmp_path / "models" / "tiny") == set()
    hub.cut = None
    assert ask(hub, tmp_path).endswith("model.safetensors")
    assert (tmp_path / "models" / "tiny" / "model.safetensors").read_bytes() == WEIGHTS


def test_no_hub_at_all(tmp_path: Path) -> None:
    assert "The model hub did not give it" in ask("http://127.0.0.1:9", tmp_path)
