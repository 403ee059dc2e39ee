"""The exercises of the two training chapters that have a solution of their own, beside the package's code."""

import importlib.util
from types import ModuleType

import numpy as np
import pytest
import torch

from handbook.book.load import open_book
from handbook.quantize import nf4
from handbook.train import ppo
from handbook.train.examples import Example
from handbook.train.logprobs import token_logprobs
from handbook.train.packing import IGNORE, document_mask, pack

BOOK = open_book()


def solution(exercise: str) -> ModuleType:
    path = BOOK.exercises[exercise].file("solution.py")
    spec = importlib.util.spec_from_file_location(f"solution_{exercise.replace('-', '_')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(10))
def test_documents_are_packed_as_training_packs_them(seed: int) -> None:
    chance, module = np.random.default_rng(seed), solution("packed-attention-mask")
    examples = [
        Example(tuple(chance.integers(0, 99, n).tolist()), tuple((chance.random(n) < 0.5).tolist()))
        for n in chance.integers(1, 9, chance.integers(1, 6)).tolist()
    ]
    packed = pack(examples)
    counted = np.array([c for example in examples for c in example.counted])
    N = len(packed.tokens)
    assert np.array_equal(module.packed_mask(packed.bounds, N), document_mask(packed.bounds).numpy())
    assert np.array_equal(module.positions(packed.bounds, N), packed.positions.numpy())
    assert np.array_equal(
        module.targets(packed.tokens.numpy(), counted, packed.bounds), packed.targets.numpy()
    )


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_advantages_are_those_of_training(gamma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(2, 8, 30, generator=generator)
    mask = torch.arange(30) < torch.randint(0, 31, (8, 1), generator=generator)
    expected = ppo.gae(rewards * mask, values, mask, gamma, 0.95)
    got = solution("gae").gae(rewards.numpy(), values.numpy(), mask.numpy(), gamma, 0.95)
    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(mine), theirs)


def test_codes_are_those_of_the_package() -> None:
    """The package multiplies by 1 / scale, which may round over a border: a few codes in 60,000 at most."""
    weight, module = (
        torch.randn(241, 255, generator=torch.Generator().manual_seed(0)),
        solution("nf4-quantize"),
    )
    expected = nf4.quantize_nf4(weight, double=False)
    packed, scales = module.quantize(weight.numpy())
    assert np.array_equal(module.NF4, np.array(nf4.NF4, dtype=np.float32))
    assert np.array_equal(scales, expected.scales.numpy())
    assert (packed != expected.packed.numpy()).sum() <= 3
    back = module.dequantize(expected.packed.numpy(), scales, (241, 255))
    assert np.array_equal(back, nf4.dequantize_plain(expected).numpy())


def test_chunks_give_the_loss_that_training_lowers() -> None:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(50, 8, generator=generator, requires_grad=True)
    weight = torch.randn(31, 8, generator=generator, requires_grad=True)
    targets = torch.randint(31, (50,), generator=generator)
    targets[::3] = IGNORE
    expected = -token_logprobs(hidden, weight, targets).sum() / (targets != IGNORE).sum()
    got = solution("chunked-cross-entropy").chunked_cross_entropy(hidden, weight, targets, 7)
    torch.testing.assert_close(got, expected)
    slopes = (torch.autograd.grad(loss, (hidden, weight)) for loss in (got, expected))
    for mine, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, theirs)
