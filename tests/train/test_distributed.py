"""Two processes over gloo, as torchrun starts them: the losses of one, and a checkpoint that one can use."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from handbook.errors import DiskFull
from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer
from handbook.train import checkpoint, distributed
from handbook.train.adam8 import AdamW8
from handbook.train.characters import Windows
from handbook.train.loop import Losses, State, TrainConfig, begin, run
from handbook.train.mixture import language_loss
from handbook.train.tiny import initialise

CONFIG = TrainConfig(steps=6, rate=5e-3, warmup=2, clip=0.5)
SHAPE = ModelConfig(
    vocab_size=32,
    dim=32,
    layers=2,
    heads=2,
    kv_heads=2,
    head_dim=16,
    hidden_dim=48,
    context=16,
    tie_embeddings=True,
)


def batches(step: int) -> list[Windows]:
    """Three micro-batches of different sizes, so that two processes cannot share them evenly."""
    random = torch.Generator().manual_seed(step)
    starts = [torch.randint(32, (rows, 1), generator=random) for rows in (1, 4, 2)]
    made = [(each + torch.arange(13)) % 32 for each in starts]
    return [Windows(ids[:, :-1], ids[:, 1:]) for ids in made]


def in_parts(model: nn.Module, micro: Windows) -> Losses:
    """The loss without the model's own `forward`: its parts, and its embedding as the head's weight."""
    assert isinstance(model, Transformer)
    x = model.embed(micro.tokens)
    around = (model.mask(x.shape[1], x.shape[1], 0), model.rotation(torch.arange(x.shape[1])), None)
    for layer, block in enumerate(model.blocks):
        x = block(x, *around, layer, None)
    logits = model.norm(x) @ model.embed.weight.T
    text = nn.functional.cross_entropy(logits.flatten(0, 1), micro.targets.flatten())
    return {"total": text, "text": text}


def at_once(model: nn.Module, micro: Windows) -> Losses:
    return {"total": language_loss(model, micro.tokens, micro.targets)}


def poisoned(model: nn.Module, micro: Windows) -> Losses:
    return {"total": at_once(model, micro)["total"] * (float("nan") if len(micro.tokens) == 4 else 1.0)}


def evaluate(model: nn.Module) -> dict[str, float]:
    return {"held_out": language_loss(model, *batches(99)[1]).item()}


def start(model: nn.Module | None = None) -> State:
    torch.set_num_threads(1)
    made = Transformer(SHAPE)
    initialise(made, 0)
    return begin(distributed.shard(made), CONFIG)


def rows(state: State, objective=in_parts) -> list[list[float]]:
    made = run(state, CONFIG, batches, objective, evaluate=evaluate, every=3)
    return [[p.losses["total"], p.norm, p.losses.get("held_out", 0.0)] for p in made]


def child(folder: Path) -> None:
    """What each of the processes does; the first one says what came of it."""
    with distributed.started() as team:
        state = start()
        held = sum(p.to_local().numel() for p in state.model.parameters())
        found = {"size": team.size, "held": held, "at_once": rows(start(), at_once), "rows": []}
        first = run(state, CONFIG, batches, in_parts, evaluate=evaluate, every=3)
        found["rows"] = [
            [(p := next(first)).losses["total"], p.norm, p.losses.get("held_out", 0.0)] for _ in range(3)
        ]
        checkpoint.save(folder / "two.pt", state, {})
        restored = start()
        checkpoint.restore(checkpoint.read(folder / "two.pt"), restored)
        found["rows"] += rows(restored)
        try:
            checkpoint.save(folder / "two.pt" / "below", state, {})
        except DiskFull as error:
            found["full"] = team.gathered(str(error.what))
        try:
            next(run(start(), CONFIG, batches, poisoned))
        except Exception as error:
            found["diverged"] = str(error)
        try:
            AdamW8(state.model.parameters()).step()
            wide = nn.Parameter(state.model.embed.weight)
            wide.grad = torch.zeros_like(wide)
            AdamW8([wide]).step()
        except ValueError as error:
            found["refused"] = str(error)
        if team.rank == 0:
            (folder / "found.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where two processes left what they found. They are started with the variables that torchrun sets,
    without its third process, whose imports would take as long as they do."""
    made = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    command = [sys.executable, "-m", "tests.train.test_distributed", str(made)]
    root = Path(__file__).parents[2]
    children = [
        subprocess.Popen(
            command,
            cwd=root,
            env=common | {"RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    said = [child.communicate(timeout=120)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], "".join(said)[-6000:]
    return made


def test_two_processes_have_the_losses_of_one(folder: Path) -> None:
    found = json.loads((folder / "found.json").read_text())
    assert found["size"] == 2
    alone = start()
    weights = sum(p.numel() for p in alone.model.parameters())
    assert found["held"] == weights / 2
    wanted = torch.tensor(rows(alone))
    assert wanted[-1, 0] < wanted[0, 0] - 0.1, "something is learnt"
    assert torch.allclose(torch.tensor(found["rows"]), wanted, atol=1e-5, rtol=0)
    assert torch.allclose(torch.tensor(found["at_once"]), wanted, atol=1e-5, rtol=0)


def test_one_process_goes_on_from_a_checkpoint_of_two(folder: Path) -> None:
    state = start()
    checkpoint.restore(checkpoint.read(folder / "two.pt"), state)
    assert state.step == 3
    assert torch.allclose(torch.tensor(rows(state)), torch.tensor(rows(start()))[3:], atol=1e-5, rtol=0)


def test_all_processes_stop_where_one_comes_to_no_number(folder: Path) -> None:
    found = json.loads((folder / "found.json").read_text())
    assert "Step 1, micro-batch 2 of 3: the loss is nan" in found["diverged"]
    assert "use adamw" in found["refused"]
    assert [said.endswith("cannot be written: File exists.") for said in found["full"]] == [True, True]


def test_alone_nothing_is_needed() -> None:
    with distributed.started() as team:
        assert team == distributed.team() == distributed.Team(0, 1)
        model = nn.Linear(1, 1)
        assert distributed.shard(model) is model
        assert distributed.compute(model, lambda m: m) is model
        assert team.gathered(3) == [3]


if __name__ == "__main__":
    child(Path(sys.argv[1]))
