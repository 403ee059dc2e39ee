"""Training a cross-encoder: the loss by hand, what is kept, and that a step learns."""

import math
from itertools import pairwise

import pytest
import torch

from handbook.model.cross import CrossEncoder, Likeness
from handbook.model.encoder import Encoder, EncoderConfig
from handbook.train import loop
from handbook.train.config import TrainConfig
from handbook.train.lora import add_lora
from handbook.train.lora_config import LoRAConfig
from handbook.train.ranking import Groups, Kept, grouped, objective, ranking_loss

QUESTIONS = [[1, 5, 6, 2], [1, 7, 2]]
PASSAGES = [[1, 8, 9, 2], [1, 10, 2], [1, 11, 12, 13, 2], [1, 14, 2]]


def tiny() -> CrossEncoder:
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(20, 16, 2, 2, 24, 12))
    add_lora(encoder, LoRAConfig(r=4, alpha=8, targets="blocks.1"), 0)
    return CrossEncoder(encoder, Likeness(16), joined=1)


def test_the_loss_by_hand() -> None:
    """Two questions: scores 1 and 0, the right one's first, and equal ones."""
    expected = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert ranking_loss(torch.tensor([[1.0, 0.0], [3.0, 3.0]])).item() == pytest.approx(expected)


def batch(model: CrossEncoder) -> Groups:
    kept = Kept(model, QUESTIONS, "fp32"), Kept(model, PASSAGES, "fp32")
    return grouped(*kept, [(0, [0, 1, 3]), (1, [2, 1, 0])])


def test_groups_say_what_they_are() -> None:
    groups = batch(tiny())
    assert groups.each == 3
    assert groups.weight == 2
    assert groups.firsts == (4, 4, 4, 3, 3, 3)
    assert groups.lengths == (8, 7, 7, 8, 6, 7)
    assert groups.tokens.shape == (sum(groups.lengths), 16)
    assert not groups.tokens.requires_grad


def test_a_text_is_read_once_and_as_the_model_reads_it() -> None:
    model = tiny()
    kept = Kept(model, PASSAGES, "fp32")
    first = kept([2, 0])
    assert [len(part) for part in first] == [5, 4]
    assert kept([0])[0] is first[1]
    alone = model.alone(torch.tensor(PASSAGES[2]), [5])
    assert torch.allclose(first[0].float(), alone, atol=2e-2)  # bf16


def test_it_learns_and_the_lower_blocks_stay() -> None:
    model = tiny()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    groups = batch(model)
    config = TrainConfig(steps=30, rate=1e-2, warmup=0, decay=0.0)
    points = list(loop.run(loop.begin(model, config), config, lambda _: [groups], objective))
    assert points[-1].losses["total"] < 0.2 * points[0].losses["total"]
    assert points[-1].losses["first"] == 1
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert all("blocks.1" in name or name.startswith("head.") for name in changed)
    assert {"head.gains", "head.first"} < changed


def test_two_runs_are_equal() -> None:
    ends = []
    for _ in range(2):
        model = tiny()
        config = TrainConfig(steps=3, rate=1e-2, warmup=0)
        for _ in loop.run(loop.begin(model, config), config, lambda _, m=model: [batch(m)], objective):
            pass
        ends.append(model.state_dict())
    assert all(torch.equal(a[name], b[name]) for a, b in pairwise(ends) for name in a)
