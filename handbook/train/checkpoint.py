"""Checkpoints: everything that a run needs to go on as if it had never stopped.

One file: the weights that train, optimizer, the curve so far, random state, and the settings of the run. The
order of the data needs no place in it, because batches are a function of the step. It is written beside the
old one and moved over it, so a kill at any moment leaves a whole checkpoint, the old or the new one. It is
read with `weights_only`: tensors and plain values, no code.

Sharded weights are stored in one piece, so a run of several processes goes on in one, and the other way.

Book: model-training/fine-tuning-strategies
"""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handbook.errors import CheckpointError, DiskFull
from handbook.train import distributed
from handbook.train.context import random_state, set_random_state
from handbook.train.loop import Point, State
from handbook.train.whole import written_whole

FORMAT = "handbook.checkpoint/2"
KEYS = {"format", "settings", "model", "optimizer", "curve", "random"}


def save(path: Path, state: State, settings: Mapping[str, Any]) -> None:
    """Write a checkpoint in one step. settings: plain values that say which run this is.

    Processes that train together all have to call it; the first one writes. Raises DiskFull where it can't be
    written; the checkpoint before it then stands.
    """
    optimizer = state.optimizer.state_dict()
    team = distributed.team()
    content = {
        "format": FORMAT,
        "settings": dict(settings),
        "model": {name: distributed.whole(tensor) for name, tensor in trained(state.model).items()},
        "optimizer": optimizer
        | {"state": {n: _each(distributed.whole, held) for n, held in optimizer["state"].items()}},
        "curve": [asdict(point) for point in state.curve],
        "random": team.gathered(random_state()),
    }
    fault = None
    if team.rank == 0:
        try:
            _write(path, content)
        except DiskFull as error:
            fault = error
    if fault := team.gathered(fault)[0]:  # nobody goes on before it is written, or stays behind if it isn't
        raise fault


def _write(path: Path, content: Mapping[str, Any]) -> None:
    for scrap in path.parent.glob(f".{path.name}.*"):  # of a writer that was killed
        scrap.unlink(missing_ok=True)
    with written_whole(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's own writer says so whatever the file said
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def trained(model: nn.Module) -> dict[str, Tensor]:
    """What training changes, by name: the whole model, or where weights are frozen those that are not, and
    the buffers of their modules (a router's bias). So a checkpoint of adapters holds the adapters alone."""
    everything = model.state_dict()
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    if not frozen:
        return everything
    learns = {name for name, weight in model.named_parameters() if weight.requires_grad}
    homes = {name.rpartition(".")[0] for name in learns}
    buffers = {name for name, _ in model.named_buffers() if name.rpartition(".")[0] in homes}
    return {name: tensor for name, tensor in everything.items() if name in learns | buffers}


def _each(function: Callable[[Any], Any], held: Mapping[str, Any]) -> dict[str, Any]:
    return {name: function(value) for name, value in held.items()}


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
    own = trained(state.model)
    if odd := own.keys() ^ content["model"].keys():
        raise CheckpointError(
            f"The checkpoint doesn't fit this model: {len(odd)} weights are on one side only, {min(odd)!r}.",
            ANEW,
        )
    weights = [weight for group in state.optimizer.param_groups for weight in group["params"]]
    held = content["optimizer"]["state"]
    team = distributed.team()
    try:
        tensors = {name: distributed.like(tensor, own[name]) for name, tensor in content["model"].items()}
        state.model.load_state_dict(tensors, strict=False)
        cut = {n: _each(partial(distributed.like, sample=weights[n]), each) for n, each in held.items()}
        state.optimizer.load_state_dict({**content["optimizer"], "state": cut})
        state.curve[:] = [Point(**point) for point in content["curve"]]
        set_random_state(content["random"][team.rank % len(content["random"])])
    except Exception as error:
        raise CheckpointError(f"The checkpoint doesn't fit this model: {error}", ANEW) from error
