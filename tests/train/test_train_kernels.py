"""What training's kernels compute is what the twin computes: the same bf16 in, fp32 inside, rounded once."""

import pytest
import torch
from torch import Tensor

from handbook.train.kernels import native
from handbook.train.kernels.twin import Heads, Stretch, Twin

BF16 = torch.bfloat16
TWIN = Twin()
N = 37


@pytest.fixture(scope="module")
def kernels() -> native.Native:
    found = native.load()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def random(*shape: int, dtype: torch.dtype = BF16, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def near(ours: Tensor, theirs: Tensor, rounds: float = 1) -> None:
    """Within `rounds` roundings of bf16, of the largest value."""
    most = theirs.float().abs().max().item()
    assert (ours.float() - theirs.float()).abs().max().item() <= rounds * 2**-8 * most


def test_norm_forward_and_back(kernels: native.Native) -> None:
    weight, y = random(48, dtype=torch.float32), random(N, 64)[:, :48]
    found = []
    for parts in (TWIN, kernels):
        x, wide = random(N, 48, dtype=torch.float32), torch.zeros(N, 64, dtype=BF16)
        root = parts.norm(x, y, weight, 1e-5, wide[:, :48])
        grad, narrow = random(N, 48, dtype=torch.float32, seed=1), torch.zeros(N, 56, dtype=BF16)
        parts.norm_back(grad, random(N, 64, seed=2)[:, :48], x, weight, root, narrow[:, :48])
        found.append((x, root, grad, wide, narrow))
    for theirs, ours in zip(*found, strict=True):
        if ours.dtype == BF16:
            near(ours, theirs)
        else:
            assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_norm_back_is_the_gradient() -> None:
    x, weight = random(N, 48, dtype=torch.float32), random(48, dtype=torch.float32)
    slope = random(N, 48, dtype=torch.float32, seed=3)
    leaf = x.clone().requires_grad_()
    root = torch.rsqrt(leaf.square().mean(dim=1, keepdim=True) + 1e-5)
    (leaf * root * weight * slope).sum().backward()
    grad, out = torch.zeros(N, 48), torch.empty(N, 48)
    TWIN.norm_back(grad, slope, x, weight, TWIN.norm(x.clone(), None, weight, 1e-5, out), out)
    assert torch.allclose(grad, leaf.grad, atol=1e-5)
    assert torch.equal(out, grad)


def test_gate_forward_and_back(kernels: native.Native) -> None:
    both, slope = random(N, 96) * 3, random(N, 48)
    found = []
    for parts in (TWIN, kernels):
        out, back, again = (
            torch.zeros(N, 64, dtype=BF16),
            torch.zeros(N, 96, dtype=BF16),
            torch.zeros(N, 48, dtype=BF16),
        )
        parts.gate(both, out[:, :48])
        parts.gate_back(both, slope, back, again)
        assert torch.equal(again, out[:, :48])
        found.append((out, back))
    for theirs, ours in zip(*found, strict=True):
        near(ours, theirs)


def test_gate_back_is_the_gradient() -> None:
    both, slope = random(N, 96, dtype=torch.float32), random(N, 48, dtype=torch.float32)
    leaf = both.clone().requires_grad_()
    (torch.nn.functional.silu(leaf[:, :48]) * leaf[:, 48:] * slope).sum().backward()
    out, again = torch.empty(N, 96), torch.empty(N, 48)
    TWIN.gate_back(both, slope, out, again)
    assert torch.allclose(out, leaf.grad, atol=1e-6)


def test_turn(kernels: native.Native) -> None:
    angles = random(N, 16, dtype=torch.float32)
    found = []
    for parts in (TWIN, kernels):
        x = random(N, 4 * 32)
        parts.turn(x, angles.cos(), angles.sin(), 3, 32, 1.0)
        assert torch.equal(x[:, 96:], random(N, 4 * 32)[:, 96:])
        found.append(x.clone())
        parts.turn(x, angles.cos(), angles.sin(), 3, 32, -1.0)
        near(x, random(N, 4 * 32), 2)
    near(found[1], found[0])


ROWS = {
    "documents": (Stretch(0, 5), Stretch(5, 70), Stretch(70, 71), Stretch(71, 271)),
    "shared": (
        Stretch(0, 70),
        Stretch(70, 171, 0),
        Stretch(171, 180, 0),
        Stretch(180, 200),
        Stretch(200, 271, 3),
    ),
}


@pytest.mark.parametrize("size", [32, 64, 96])
@pytest.mark.parametrize("rows", ROWS)
def test_attention_forward_and_back(kernels: native.Native, rows: str, size: int) -> None:
    heads, stretches = Heads(4, 2, size, size**-0.5), ROWS[rows]
    qkv = random(271, 8 * size + 32)[:, : 8 * size]
    slope = random(271, 4 * size + 32, seed=5)[:, : 4 * size]
    y = torch.zeros(271, 4 * size, dtype=BF16)
    sums = kernels.attend(heads, stretches, qkv, y)
    exact = torch.zeros(271, 4 * size)
    wanted = TWIN.attend(heads, stretches, qkv.float(), exact)
    assert torch.allclose(sums, wanted, atol=1e-4)
    near(y, exact)
    back = torch.zeros(271, 8 * size + 16, dtype=BF16)
    kernels.attend_back(heads, stretches, qkv, y, slope, sums, back[:, : 8 * size])
    wanted = torch.zeros(271, 8 * size)
    TWIN.attend_back(heads, stretches, qkv.float(), exact, slope.float(), sums, wanted)
    assert not back[:, 8 * size :].any()
    near(back[:, : 8 * size], wanted, 2)


@pytest.mark.parametrize("rows", ROWS)
def test_attend_back_is_the_gradient(rows: str) -> None:
    heads, stretches = Heads(4, 2, 16, 0.3), ROWS[rows]
    qkv = random(271, 128, dtype=torch.float32).requires_grad_()
    slope = random(271, 64, dtype=torch.float32, seed=5)
    mask = torch.zeros(271, 271, dtype=torch.bool)
    for stretch in stretches:
        own = slice(stretch.begin, stretch.end)
        mask[own, own] = torch.ones(stretch.end - stretch.begin, stretch.end - stretch.begin).tril().bool()
        if stretch.prefix is not None:
            mask[own, stretches[stretch.prefix].begin : stretches[stretch.prefix].end] = True
    q, k, v = (qkv[:, a:b].view(271, -1, 16).transpose(0, 1) for a, b in ((0, 64), (64, 96), (96, 128)))
    k, v = k.repeat_interleave(2, dim=0), v.repeat_interleave(2, dim=0)
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3)
    wanted = wanted.transpose(0, 1).flatten(1)
    (wanted * slope).sum().backward()
    y, back = torch.empty(271, 64), torch.empty(271, 128)
    sums = TWIN.attend(heads, stretches, qkv.detach(), y)
    assert torch.allclose(y, wanted, atol=1e-5)
    TWIN.attend_back(heads, stretches, qkv.detach(), y, slope, sums, back)
    assert torch.allclose(back, qkv.grad, atol=1e-5)


def test_pick(kernels: native.Native) -> None:
    logits, targets = random(9, 208) * 4, torch.arange(0, 208, 24)
    exact = logits.float()
    wanted = TWIN.pick(exact, targets, True)
    found = kernels.pick(logits.clone(), targets, False)
    assert torch.allclose(found, wanted, atol=1e-5)
    ours = logits.clone()
    assert torch.equal(kernels.pick(ours, targets, True), found)
    near(ours, exact)
