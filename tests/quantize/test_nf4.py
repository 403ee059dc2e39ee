"""NF4: the bits are those of bitsandbytes on a processor, and the fast way is the plain one."""

import pytest
import torch
from torch import nn

from handbook.quantize.layers import NF4Linear, quantize_model
from handbook.quantize.nf4 import NF4, dequantize, dequantize_plain, normal_code, quantize_nf4

EVEN = [(96, 192), (64, 64), (33, 50), (7, 14), (1, 6), (512, 640)]
SHAPES = [*EVEN, (7, 13), (1, 3)]  # for odd rows bitsandbytes compiles something, which takes ten seconds


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """What a test draws without a seed of its own is the same, whatever ran before it in this process."""
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def peer():
    """bitsandbytes, imported once."""
    return pytest.importorskip("bitsandbytes.functional")


def weights(shape: tuple[int, int], dtype: torch.dtype) -> list[torch.Tensor]:
    """Normal, rows of different sizes, half of it zero, heavy-tailed."""
    random = torch.Generator().manual_seed(shape[0])
    normal = torch.randn(shape, generator=random) * 0.05
    rows = normal * 3 * torch.rand(shape[0], 1, generator=random)
    half = normal.clone()
    half[: shape[0] // 2] = 0
    return [w.to(dtype) for w in (normal, rows, half, normal**5)]


@pytest.mark.parametrize("size", [64, 30])
def test_numbers_on_the_borders_fall_as_in_bitsandbytes(peer, size: int) -> None:
    """There the last bit decides: a whole block is multiplied by the inverse, a rest divided."""
    values = torch.tensor(NF4)
    for k in range(300):
        largest = 0.01 + k / 300
        borders = ((values[1:] + values[:-1]) / 2 * largest).repeat(5)[: size - 1]
        weight = torch.cat((torch.tensor([largest]), borders))[None]
        packed, _ = peer.quantize_4bit(weight, blocksize=64, quant_type="nf4")
        assert torch.equal(quantize_nf4(weight).packed, packed.view(-1))


def test_the_codebook_is_the_papers_definition() -> None:
    assert torch.tensor(NF4).dtype == torch.float32
    torch.testing.assert_close(normal_code().float(), torch.tensor(NF4), rtol=0, atol=2e-7)


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", EVEN)
def test_bits_are_those_of_bitsandbytes(
    peer, shape: tuple[int, int], dtype: torch.dtype, double: bool
) -> None:
    for weight in weights(shape, dtype):
        packed, state = peer.quantize_4bit(weight, blocksize=64, compress_statistics=double, quant_type="nf4")
        ours = quantize_nf4(weight, double=double)
        assert torch.equal(ours.packed, packed.view(-1))
        for out in (torch.float32, torch.bfloat16):
            state.dtype = out
            assert torch.equal(dequantize_plain(ours, out), peer.dequantize_4bit(packed, state))


@pytest.mark.parametrize("block", [64, 32, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_fast_way_is_the_plain_one(shape: tuple[int, int], block: int) -> None:
    for weight in weights(shape, torch.float32):
        for double in (True, False):
            quantized = quantize_nf4(weight, block, double)
            for out in (torch.float32, torch.bfloat16):
                assert torch.equal(dequantize(quantized, out), dequantize_plain(quantized, out))


def test_by_hand() -> None:
    """The largest magnitude, 2, is exact; half of it becomes 0.4407 or 0.5626 of it, whichever is nearer."""
    whole = dequantize(quantize_nf4(torch.tensor([[2.0, 1.0], [0.0, -2.0]]), double=False))
    assert whole.tolist() == [[2.0, pytest.approx(2 * 0.4407098)], [0.0, -2.0]]


def test_bits_a_weight() -> None:
    quantized = quantize_nf4(torch.randn(512, 512))
    assert quantized.nbytes * 8 / 512**2 == pytest.approx(4 + 8 / 64 + 32 / (64 * 256), abs=0.001)
    assert quantize_nf4(torch.randn(512, 512), double=False).nbytes * 8 / 512**2 == 4.5


@pytest.mark.parametrize("weight", [torch.ones(3), torch.full((2, 2), torch.inf), torch.ones(0, 4)])
def test_what_cannot_be_quantized(weight: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="matrix of finite numbers"):
        quantize_nf4(weight)
    with pytest.raises(ValueError, match="block from 2"):
        quantize_nf4(torch.ones(2, 2), block=1)


@pytest.mark.parametrize("double", [True, False])
def test_a_layer_computes_with_the_whole_weight(double: bool) -> None:
    linear = nn.Linear(48, 20)
    layer = NF4Linear.of(linear, double=double)
    whole = nn.Linear(48, 20)
    whole.weight.data = dequantize_plain(quantize_nf4(linear.weight, double=double))
    whole.bias = linear.bias
    x = torch.randn(2, 5, 48, requires_grad=True)
    y = torch.randn(2, 5, 48)
    y.data = x.data
    y.requires_grad_()
    assert torch.equal(layer(x), whole(y))
    layer(x).square().sum().backward()
    whole(y).square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    assert not any(p.requires_grad for p in layer.parameters())
    assert layer(x.detach().bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16


def test_a_layer_keeps_no_whole_weight_for_backward() -> None:
    layer, kept = NF4Linear.of(nn.Linear(64, 64)), []
    x = torch.randn(3, 64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape), lambda t: t):
        y = layer(x)
        assert y.requires_grad
        assert kept == []
        nn.functional.linear(x, layer.weight)  # torch's own product would
        assert kept == [(64, 64)]


def test_a_model_in_another_type_keeps_its_statistics() -> None:
    model = nn.Sequential(nn.Linear(32, 48), nn.Linear(48, 8)).train()
    before = [layer.weight for layer in map(NF4Linear.of, model)]
    assert quantize_model(model) == ["0", "1"]
    model.to(torch.bfloat16)
    assert all(torch.equal(layer.weight, weight) for layer, weight in zip(model, before, strict=True))
    again = nn.Sequential(nn.Linear(32, 48), nn.Linear(48, 8))
    quantize_model(again)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again[1].weight, before[1])


def test_a_layer_that_cannot_be_quantized_is_named() -> None:
    model = nn.ModuleDict({"one": nn.Linear(4, 4), "two": nn.Linear(4, 4), "head": nn.Linear(4, 4)})
    model["two"].weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="two: NF4 takes"):
        quantize_model(model)
    assert isinstance(model["head"], nn.Linear)
