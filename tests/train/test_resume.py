"""Resuming bit for bit whatever trains: dropout, 8-bit moments, adapters; and disks that are full."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from handbook.errors import CheckpointError, DiskFull
from handbook.train import checkpoint
from handbook.train.characters import Windows
from handbook.train.loop import State, TrainConfig, begin, run

STEPS = 6


class Adapted(nn.Module):
    """A frozen matrix with a low-rank addition that trains, dropout before it, and a count as its buffer."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.base = nn.Linear(size, size).requires_grad_(False)
        self.base.register_buffer("table", torch.arange(256.0))
        self.down, self.up = nn.Parameter(torch.randn(64, size) / 8), nn.Parameter(torch.zeros(size, 64))
        self.dropout = nn.Dropout(0.2)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        if self.training:
            self.seen += len(x)
        return self.base(x) + self.dropout(x) @ self.down.T @ self.up.T


def state_of(kind: str, optimizer: str, seed: int = 0) -> tuple[State, TrainConfig]:
    torch.manual_seed(seed)
    plain = nn.Sequential(nn.Linear(64, 128), nn.Dropout(0.2), nn.BatchNorm1d(128), nn.Linear(128, 64))
    model = plain if kind == "whole" else nn.Sequential(Adapted(64), nn.Tanh(), Adapted(64))
    config = TrainConfig(steps=STEPS, rate=1e-2, warmup=2, optimizer=optimizer, schedule="wsd")
    return begin(model, config), config


def batches(step: int) -> list[Windows]:
    drawn = torch.randn(2, 12, 64, generator=torch.Generator().manual_seed(step))
    return [Windows(*drawn[:, :8]), Windows(*drawn[:, 8:])]


def mean_square(model: nn.Module, micro: Windows) -> dict[str, torch.Tensor]:
    return {"total": (model(micro.tokens) - micro.targets).square().mean()}


def train(state: State, config: TrainConfig, steps: int = STEPS) -> None:
    for point in run(state, config, batches, mean_square):
        if point.step == steps:
            break


def tensors(value: object) -> list[object]:
    """All that is in a state, tensors as they are."""
    if isinstance(value, dict):
        return [each for key in value for each in tensors(value[key])]
    return [each for part in value for each in tensors(part)] if isinstance(value, list) else [value]


def assert_equal(a: State, b: State) -> None:
    for first, second in zip(
        tensors([a.model.state_dict(), a.optimizer.state_dict()]),
        tensors([b.model.state_dict(), b.optimizer.state_dict()]),
        strict=True,
    ):
        assert torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
    assert [(p.losses, p.norm, p.rate, p.tokens) for p in a.curve] == [
        (p.losses, p.norm, p.rate, p.tokens) for p in b.curve
    ]


@pytest.mark.parametrize("optimizer", ["adamw", "adamw8bit"])
@pytest.mark.parametrize("kind", ["whole", "adapters"])
@pytest.mark.parametrize("at", [1, 4])
def test_stopped_and_gone_on_is_straight_through(at: int, kind: str, optimizer: str, tmp_path: Path) -> None:
    straight, config = state_of(kind, optimizer)
    train(straight, config)
    assert len({p.losses["total"] for p in straight.curve}) == STEPS
    stopped, config = state_of(kind, optimizer)
    train(stopped, config, at)
    checkpoint.save(tmp_path / "a.pt", stopped, {})
    torch.manual_seed(12345)
    resumed, config = state_of(kind, optimizer, seed=0)
    torch.rand(7)  # another process is elsewhere in its random numbers
    checkpoint.restore(checkpoint.read(tmp_path / "a.pt"), resumed)
    assert resumed.step == at
    train(resumed, config)
    assert_equal(resumed, straight)
    if optimizer == "adamw8bit":
        kinds = {
            value.dtype
            for value in tensors(resumed.optimizer.state_dict()["state"])
            if torch.is_tensor(value)
        }
        assert torch.uint8 in kinds


def test_of_adapters_nothing_else_is_stored(tmp_path: Path) -> None:
    state, config = state_of("adapters", "adamw8bit")
    train(state, config, 2)
    checkpoint.save(tmp_path / "a.pt", state, {})
    stored = checkpoint.read(tmp_path / "a.pt")
    assert stored["model"].keys() == {f"{n}.{name}" for n in (0, 2) for name in ("down", "up", "seen")}
    assert stored["model"]["0.seen"] == 24
    frozen = sum(p.numel() for p in state.model.parameters() if not p.requires_grad)
    learns = sum(p.numel() for p in state.model.parameters() if p.requires_grad)
    assert (tmp_path / "a.pt").stat().st_size < 4 * learns + 2.1 * learns + 2 * frozen


def test_a_checkpoint_of_adapters_is_none_of_the_whole(tmp_path: Path) -> None:
    state, _ = state_of("adapters", "adamw")
    checkpoint.save(tmp_path / "a.pt", state, {})
    state.model.requires_grad_(True)
    with pytest.raises(CheckpointError, match=r"weights are on one side only, '0\.base\.bias'"):
        checkpoint.restore(checkpoint.read(tmp_path / "a.pt"), state)


def test_a_disk_that_is_full_halfway_leaves_the_old_one(tmp_path: Path) -> None:
    """The system itself ends the writing, after 64 KB of a checkpoint that is larger."""
    state, config = state_of("whole", "adamw")
    train(state, config, 1)
    path = tmp_path / "a.pt"
    checkpoint.save(path, state, {"n": 1})
    stands = path.read_bytes()
    assert len(stands) > 1 << 17
    train(state, config, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(DiskFull, match="File too large") as caught:
            checkpoint.save(path, state, {"n": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "what stood there before is untouched" in caught.value.remedy
    assert path.read_bytes() == stands
    assert [each.name for each in tmp_path.iterdir()] == ["a.pt"]
    checkpoint.save(path, state, {"n": 2})
    assert checkpoint.read(path)["settings"] == {"n": 2}


CHILD = """
import os, signal, sys
from pathlib import Path
from handbook.train import checkpoint
from tests.train.test_resume import state_of, train
state, config = state_of("whole", "adamw")
train(state, config, 2)
import handbook.train.whole as whole
real, written = os.fdopen, 0
def counting(descriptor, mode):
    file = real(descriptor, mode, buffering=0)
    write = file.write
    class Dying:
        def __getattr__(self, name): return getattr(file, name)
        def __enter__(self): return self
        def __exit__(self, *said): file.close()
        def write(self, data):
            global written
            written += len(data)
            if written > 70_000: os.kill(os.getpid(), signal.SIGKILL)
            return write(data)
    return Dying()
os.fdopen = counting
checkpoint.save(Path(sys.argv[1]), state, {"n": 2})
"""


def test_killed_in_the_middle_of_writing_the_old_one_stands(tmp_path: Path) -> None:
    state, config = state_of("whole", "adamw")
    train(state, config, 1)
    path = tmp_path / "a.pt"
    checkpoint.save(path, state, {"n": 1})
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], env=environment, check=False)
    assert done.returncode == -9
    half = [each for each in tmp_path.iterdir() if each != path]
    assert len(half) == 1
    assert half[0].stat().st_size > 10_000
    resumed, _ = state_of("whole", "adamw")
    checkpoint.restore(checkpoint.read(path), resumed)
    assert_equal(resumed, state)
    checkpoint.save(path, state, {"n": 3})
    assert list(tmp_path.iterdir()) == [path], "what the killed one left is swept away"
