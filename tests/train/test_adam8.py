"""AdamW in 8 bits: it steps as bitsandbytes' does, learns as AdamW does, and keeps a quarter of its state."""

import copy

import pytest
import torch
from torch import nn

from handbook.quantize import dynamic
from handbook.quantize.dynamic import nearest_plain
from handbook.train.adam8 import PIECE, AdamW8, state_bytes
from handbook.train.optimizers import optimizer_of

RATE, BETAS = 1e-2, (0.9, 0.95)


def step_all(optimizers: list[torch.optim.Optimizer], weights: list[nn.Parameter], steps: int, seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        gradient = torch.randn(weights[0].shape, generator=random) ** 3
        for optimizer, weight in zip(optimizers, weights, strict=True):
            weight.grad = gradient.to(weight.dtype)
            optimizer.step()


def ours(weight: nn.Parameter, decay: float = 0.1) -> AdamW8:
    return AdamW8([weight], lr=RATE, betas=BETAS, weight_decay=decay)


def its_table(numbers: torch.Tensor, signed: bool) -> torch.Tensor:
    """Codes as bitsandbytes finds them on a processor: the numbers rounded to 65,536 steps first."""
    step = ((numbers + 1) * 32767.5 + 0.5).floor()
    return nearest_plain(step / 32767.5 - 1, signed)


@pytest.mark.parametrize("size", [64 * 256, 65 * 100])
def test_steps_are_those_of_bitsandbytes(size: int, monkeypatch) -> None:
    """With codes found as its processor kernel finds them, all is equal bit for bit."""
    peer = pytest.importorskip("bitsandbytes").optim
    monkeypatch.setattr(dynamic, "nearest", its_table)
    a, b = (nn.Parameter(torch.linspace(-1, 1, size).view(-1, 4)) for _ in range(2))
    theirs = peer.AdamW8bit([b], lr=RATE, betas=BETAS, weight_decay=0.1)
    mine = ours(a)
    step_all([mine, theirs], [a, b], 10)
    assert torch.equal(a, b)
    own, its = mine.state[a], theirs.state[b]
    assert torch.equal(own["first"], its["state1"].flatten())
    assert torch.equal(own["second"], its["state2"].flatten())
    assert torch.equal(own["first_scales"], its["absmax1"])
    assert torch.equal(own["second_scales"], its["absmax2"])


def test_the_first_step_is_adamw() -> None:
    """Nothing has been rounded yet: to fp32's precision; later steps differ, but by little."""
    a, b = (nn.Parameter(torch.linspace(-1, 1, 8192)) for _ in range(2))
    exact = torch.optim.AdamW([b], lr=RATE, betas=BETAS, weight_decay=0.1)
    optimizer = ours(a)
    step_all([optimizer, exact], [a, b], 1)
    assert torch.allclose(a, b, atol=1e-6, rtol=0)
    step_all([optimizer, exact], [a, b], 9, seed=1)
    assert 0 < (a - b).abs().mean() < 0.02 * 10 * RATE
    assert (a - b).abs().max() < 10 * RATE


def test_small_weights_are_stepped_as_adamw() -> None:
    a, b = (nn.Parameter(torch.linspace(-1, 1, 4095)) for _ in range(2))
    exact = torch.optim.AdamW([b], lr=RATE, betas=BETAS, weight_decay=0.1)
    step_all([ours(a), exact], [a, b], 10)
    assert torch.allclose(a, b, atol=1e-5, rtol=0)


def test_pieces_make_no_difference(monkeypatch) -> None:
    assert PIECE % dynamic.BLOCK == 0
    a, b = (nn.Parameter(torch.linspace(-1, 1, 9000)) for _ in range(2))
    step_all([ours(a)], [a], 3)
    monkeypatch.setattr("handbook.train.adam8.PIECE", 1024)
    step_all([ours(b)], [b], 3)
    assert torch.equal(a, b)


def test_a_weight_does_not_leap_when_its_gradient_ends() -> None:
    """Its second moment, small beside its block's largest, would round to zero, and the first does not."""
    weight = nn.Parameter(torch.zeros(4096))
    optimizer = ours(weight, decay=0.0)
    weight.grad = torch.full((4096,), 1e-4)
    weight.grad[::256] = 1.0
    optimizer.step()
    weight.grad = torch.zeros(4096)
    for _ in range(3):
        optimizer.step()
    assert weight.abs().max() < 10 * RATE


def test_other_layouts_and_types_are_stepped_too() -> None:
    plain = nn.Parameter(torch.linspace(-1, 1, 8192).view(64, 128))
    turned = nn.Parameter(torch.linspace(-1, 1, 8192).view(64, 128).T.contiguous().T)
    rough = nn.Parameter(torch.linspace(-1, 1, 8192).view(64, 128).bfloat16())
    assert not turned.is_contiguous()
    step_all([ours(plain), ours(turned), ours(rough)], [plain, turned, rough], 3)
    assert torch.equal(plain, turned)
    assert torch.allclose(plain, rough.float(), atol=0.03)


def test_state_is_a_quarter() -> None:
    """Two codes a number and two scales of four bytes a block, over two numbers of four bytes."""
    a, b = (nn.Parameter(torch.zeros(1 << 16)) for _ in range(2))
    small, large = ours(a), torch.optim.AdamW([b])
    step_all([small, large], [a, b], 1)
    assert state_bytes(small) == (1 << 16) * (2 + 8 / 256)
    assert state_bytes(small) / state_bytes(large) == pytest.approx(0.2539, abs=1e-4)


def test_state_goes_through_a_dictionary_bit_for_bit() -> None:
    a, b = (nn.Parameter(torch.linspace(-1, 1, 8192)) for _ in range(2))
    first, second = ours(a), ours(b)
    step_all([first], [a], 3)
    b.data.copy_(a.data)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.state[b]["first"].dtype == torch.uint8
    step_all([first, second], [a, b], 3, seed=2)
    assert torch.equal(a, b)
    assert all(torch.equal(first.state[a][n], second.state[b][n]) for n in ("first", "second_scales"))


def test_it_learns_as_adamw_does() -> None:
    """A small network on one task: the loss ends as low, to a tenth of what it fell."""
    inputs = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))
    wanted = torch.tanh(inputs @ torch.randn(64, 64, generator=torch.Generator().manual_seed(1)))

    def after(name: str) -> float:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 128), nn.Tanh(), nn.Linear(128, 64))
        optimizer = optimizer_of(name, model, 3e-3, 0.0, BETAS)
        for _ in range(60):
            loss = (model(inputs) - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    exact, coded = after("adamw"), after("adamw8bit")
    assert exact < 0.2
    assert coded == pytest.approx(exact, abs=0.02)


def test_a_closure_and_an_unknown_name_are_refused() -> None:
    weight = nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match="closure"):
        ours(weight).step(lambda: 0.0)
    with pytest.raises(ValueError, match="adamw8bit, got 'sgd'"):
        optimizer_of("sgd", nn.Linear(1, 1), 0.1, 0.0, BETAS)
