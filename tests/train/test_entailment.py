"""The losses by hand, and a small model that learns to tell three kinds of pairs apart."""

import math
import random

import pytest
import torch

from handbook.model.encoder import Encoder, EncoderConfig
from handbook.model.entails import DENIES, SAYS, SILENT, new_entailer
from handbook.train import loop
from handbook.train.config import TrainConfig
from handbook.train.entailment import NOT_SAID, Objective, Pairs, class_loss, contrast_loss, packed

CONFIG = EncoderConfig(vocab_size=30, dim=24, layers=2, heads=3, hidden_dim=40, positions=20)


def test_class_loss_by_hand() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]])
    whole = [sum(map(math.exp, row)) for row in logits.tolist()]
    by_class = [-math.log(math.exp(2.0) / whole[0]), -math.log(math.exp(3.0) / whole[1])]
    assert class_loss(logits, torch.tensor([SILENT, DENIES]), 0.0).item() == pytest.approx(
        sum(by_class) / 2, rel=1e-5
    )


def test_not_said_is_either_of_two() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    whole = sum(map(math.exp, logits[0].tolist()))
    wanted = -math.log((math.exp(2.0) + math.exp(0.5)) / whole)
    assert class_loss(logits, torch.tensor([NOT_SAID]), 0.02).item() == pytest.approx(wanted, rel=1e-5)


def test_contrast_is_among_texts_of_one_statement() -> None:
    logits = torch.tensor([[2.0, 0.0, -9.0], [1.0, 0.0, -9.0], [5.0, 0.0, -9.0], [0.0, 0.0, -9.0]])
    labels = torch.tensor([SAYS, DENIES, SILENT, SAYS])
    score = [a - math.log(math.exp(b) + math.exp(c)) for a, b, c in logits.tolist()]
    alone = contrast_loss(logits, labels, torch.tensor([0, 0, 1, 2]))
    assert alone.item() == pytest.approx(math.log(1 + math.exp(score[1] - score[0])), rel=1e-5)
    assert contrast_loss(logits, labels, torch.tensor([-1, -1, -1, -1])).item() == 0.0
    assert contrast_loss(logits, labels, torch.tensor([0, 1, 2, 3])).item() == 0.0
    assert contrast_loss(logits, labels, torch.tensor([0, 0, 0, 2])) > alone


def test_packed_keeps_labels_with_their_pairs() -> None:
    pairs = packed([([1, 9, 9, 2], [8, 8, 2], SAYS, 5), ([1, 2], [7, 2], DENIES, 6)])
    assert pairs.lengths == (4, 7)
    assert (pairs.labels, pairs.statements, pairs.firsts) == ((DENIES, SAYS), (6, 5), (2, 4))
    assert pairs.tokens.tolist() == [1, 2, 7, 2, 1, 9, 9, 2, 8, 8, 2]
    assert pairs.types.tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1]
    assert pairs.weight == 2


def batch(step: int) -> list[Pairs]:
    """A statement is one word; a text says it by the word, denies it by the word after 'not' (4)."""
    random_ = random.Random(step)
    pairs = []
    for name in range(6):
        word, other = random_.sample(range(8, 28), 2)
        for label, text in ((SAYS, [5, word]), (DENIES, [4, word]), (SILENT, [5, other])):
            pairs.append(([1, *text, 2], [word, 2], label, name))
    return [packed(pairs)]


def test_a_small_model_learns_to_tell_them_apart() -> None:
    torch.manual_seed(0)
    model = new_entailer(Encoder(CONFIG))
    model.requires_grad_(True)
    config = TrainConfig(steps=150, rate=4e-3, warmup=10, decay=0.0, floor=0.1)
    points = list(loop.run(loop.begin(model, config), config, batch, Objective()))
    assert points[0].losses["classes"] > 0.9
    assert sum(point.losses["right"] for point in points[-10:]) / 10 > 0.95
    (pairs,) = batch(10_000)
    model.eval()
    with torch.no_grad():
        x = model.alone(pairs.tokens, pairs.lengths, pairs.types)
        logits = model.together(x, pairs.lengths, pairs.firsts)
    assert (logits.argmax(1) == torch.tensor(pairs.labels)).float().mean() > 0.9
