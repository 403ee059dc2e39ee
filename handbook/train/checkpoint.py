"""Checkpoints: everything that a run needs to go on as if it had never stopped.

One file: weights, optimizer, the curve so far, random state, and the settings of the run. It is written
beside the old one and moved over it, so a kill at any moment leaves a whole checkpoint, the old or the new
one. It is read with `weights_only`: tensors and plain values, no code.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from handbook.errors import CheckpointError
from handbook.train.loop import Point, State
from handbook.train.whole import written_whole

FORMAT = "handbook.checkpoint/2"
KEYS = {"format", "settings", "model", "optimizer", "curve", "random"}


def save(path: Path, state: State, settings: Mapping[str, Any]) -> None:
    """Write a checkpoint in one step. settings: plain values that say which run this is.

    Raises DiskFull where it can't be written; the checkpoint before it then stands.
    """
    content = {
        "format": FORMAT,
        "settings": dict(settings),
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "curve": [asdict(point) for point in state.curve],
        "random": torch.get_rng_state(),
    }
    archive = io.BytesIO()  # torch's own writer says RuntimeError for a full disk
    torch.save(content, archive)
    with written_whole(path) as file:
        file.write(archive.getbuffer())


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds. Raises CheckpointError where it is damaged or no checkpoint of ours."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load itself compares no checksums
            if broken := archive.testzip():
                raise CheckpointError(f"The checkpoint {path} is damaged: {broken} fails its checksum.", ANEW)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # zip, pickle, torch and the file system each have their own
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise CheckpointError(f"The checkpoint {path} can't be read: {reason}.", ANEW) from error
    ours = isinstance(content, dict) and content.get("format") == FORMAT and content.keys() == KEYS
    if not ours or not isinstance(content["settings"], dict):
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path} should be a {FORMAT}, and is {found!r}.", ANEW)
    return dict(content)


ANEW = "It was left as it is. Choose another folder, or start anew with --fresh, which replaces it."


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Where two runs' settings differ, a line each."""
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    return [f"{name}: there {found.get(name)!r}, now {wanted.get(name)!r}" for name in names]


def restore(content: Mapping[str, Any], state: State) -> None:
    """Put a checkpoint's content into a state made with the same settings.

    Raises CheckpointError where it doesn't fit; the state is then not to be used.
    """
    try:
        state.model.load_state_dict(content["model"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.curve[:] = [Point(**point) for point in content["curve"]]
        torch.set_rng_state(content["random"])
    except Exception as error:
        raise CheckpointError(f"The checkpoint doesn't fit this model: {error}", ANEW) from error
