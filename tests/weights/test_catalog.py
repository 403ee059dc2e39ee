"""Finding models: in the data folder, in a package that is never imported, only when the hash is right."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from handbook.errors import ModelFileError, ModelUnavailable
from handbook.model.weights.catalog import CATALOG, Packaged, entry, find, locate, standings
from handbook.settings import Settings

from .conftest import BOMB, CONFIG, FILES, WEIGHTS, lay


def test_nothing_here_is_none(tiny: Packaged, settings: Settings) -> None:
    assert locate(tiny, settings) is None
    assert find("no-such-model", settings) is None
    assert not settings.models.exists(), "looking must not make folders"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelUnavailable, match=r"no-such-model.*smollm2-135m-instruct, all-minilm-l6-v2"):
        entry("no-such-model")


def test_data_folder(tiny: Packaged, settings: Settings) -> None:
    lay(settings.models / "tiny")
    assert locate(tiny, settings) == settings.models / "tiny" / "model.safetensors"


def test_a_missing_side_file_means_not_here(tiny: Packaged, settings: Settings) -> None:
    lay(settings.models / "tiny", {"model.safetensors": WEIGHTS})
    assert locate(tiny, settings) is None


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("model.safetensors", WEIGHTS[:-1] + b"\0", "SHA-256"),
        ("model.safetensors", WEIGHTS[:-1], "1048576 bytes and has 1048575"),
        ("sub/config.json", CONFIG.replace(b"tiny", b"tony"), "SHA-256"),
    ],
    ids=["altered", "truncated", "side file altered"],
)
def test_another_file_is_refused(
    tiny: Packaged, settings: Settings, name: str, data: bytes, said: str
) -> None:
    lay(settings.models / "tiny", FILES | {name: data})
    with pytest.raises(ModelFileError, match=said) as caught:
        locate(tiny, settings)
    assert "Remove the file" in caught.value.remedy


def test_a_checked_file_is_not_read_again_until_it_changes(tiny: Packaged, settings: Settings) -> None:
    folder = settings.models / "tiny"
    lay(folder)
    weights = folder / "model.safetensors"
    assert locate(tiny, settings)
    before = weights.stat()
    weights.write_bytes(b"\0" * len(WEIGHTS))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert locate(tiny, settings), "same size and time: known, not read"
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(ModelFileError, match="SHA-256"):
        locate(tiny, settings)


def test_a_damaged_ledger_costs_a_hash_and_nothing_else(tiny: Packaged, settings: Settings) -> None:
    lay(settings.models / "tiny")
    (settings.models / "tiny" / ".verified.json").write_text("[not json")
    assert locate(tiny, settings)


def install(site: Path) -> None:
    lay(site / "tiny_weights" / "model")
    (site / "tiny_weights" / "__init__.py").write_text(BOMB)
    info = site / "handbook_tiny_weights-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: handbook-tiny-weights\nVersion: 1.0\n")


def test_an_installed_package_is_read_and_not_imported(
    tiny: Packaged, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    install(site)
    monkeypatch.syspath_prepend(str(site))
    assert locate(tiny, settings) == site / "tiny_weights" / "model" / "model.safetensors"
    assert "tiny_weights" not in sys.modules
    lay(settings.models / "tiny")
    assert locate(tiny, settings) == settings.models / "tiny" / "model.safetensors", "the data folder wins"


def test_standings_tell_what_is_wrong(settings: Settings) -> None:
    model = CATALOG["smollm2-135m-instruct"]
    lay(settings.models / model.name, {model.weights.name: b"GGUF, cut off"})
    standing = {one.model.name: one for one in standings(settings)}[model.name]
    assert standing.path is None
    assert "98362432 bytes and has 13" in standing.fault


def test_the_table_is_whole() -> None:
    for name, model in CATALOG.items():
        assert model.name == name
        assert model.size == sum(one.size for one in model.pieces)
        for one in model.pieces:
            assert len(one.sha256) == 64
            assert not Path(one.name).is_absolute()
            assert ".." not in Path(one.name).parts
    assert CATALOG["smollm2-135m-instruct"].sha256.startswith("b179c9523d0e")
    assert CATALOG["all-minilm-l6-v2"].sha256.startswith("53aa51172d14")


def test_looking_up_a_model_loads_nothing_heavy() -> None:
    code = (
        "import sys; import handbook.model.weights.catalog, handbook.model.weights.fetch; "
        "print(sorted({'torch','transformers','tokenizers','huggingface_hub','openai'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.models
def test_the_real_ones_are_known_by_their_hash(minilm_path: Path, smollm2_path: Path) -> None:
    assert minilm_path.stat().st_size == CATALOG["all-minilm-l6-v2"].weights.size
    assert smollm2_path.stat().st_size == CATALOG["smollm2-135m-instruct"].weights.size
    assert (minilm_path.parent / "tokenizer.json").is_file()
