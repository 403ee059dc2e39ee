"""Hidden tests: scale, gradients, what is made on the way, merges in any order, bfloat16, the start."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def check(got, expected, what, tolerance=1e-5):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.double(), expected.double(), rtol=1e-5, atol=tolerance), (
        f"{what}: expected {[round(x, 4) for x in expected.flatten().tolist()[:6]]}, "
        f"got {[round(x, 4) for x in got.flatten().tolist()[:6]]}"
    )


def trained(submission, I=6, O=5, r=2, alpha=3.0, bias=True, seed=0, dtype=torch.float32, strength=1.0):  # noqa: E741
    torch.manual_seed(seed)
    layer = submission.LoRALinear(nn.Linear(I, O, bias=bias).to(dtype), r, alpha)
    layer.b.data.normal_(std=strength)
    return layer


class Made(TorchDispatchMode):
    """Sizes of tensors with memory of their own that operations made, and the operations' names."""

    def __init__(self):
        super().__init__()
        self.sizes, self.names = [], []

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # nothing is compiled here, and skipping would import the compiler, a second of time

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {
            x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)
        }
        out = func(*args, **(kwargs or {}))
        self.names.append(func.overloadpacket.__name__)
        self.sizes += [
            x.numel()
            for x in tree_leaves(out)
            if isinstance(x, torch.Tensor) and x.untyped_storage()._cdata not in given
        ]
        return out


def test_equals_the_definition(submission):
    cases = [(6, 5, 1, 1.0), (6, 5, 2, 3.0), (4, 9, 4, 32.0), (3, 3, 8, 0.5)]
    for seed, (I, O, r, alpha) in enumerate(cases):  # noqa: E741
        for bias in (True, False):
            layer, x = trained(submission, I, O, r, alpha, bias, seed), torch.randn(7, I)
            change = (alpha / r) * layer.b.double() @ layer.a.double()
            right = x.double() @ (layer.base.weight.double() + change).T
            right = (right + layer.base.bias.double() if bias else right).detach()
            what = f"I = {I}, O = {O}, r = {r}, alpha = {alpha}, bias {bias}"
            check(layer(x).detach(), right, what)
            layer.merge()
            check(layer(x).detach(), right, f"{what}, merged")


def test_gradients_of_the_factors(submission):
    layer, x = trained(submission), torch.randn(4, 6)
    g = torch.randn(4, 5)
    (layer(x) * g).sum().backward()
    s, a, b = 1.5, layer.a.detach(), layer.b.detach()
    check(layer.b.grad, s * g.T @ (x @ a.T), "gradient of b: s gᵀ (x Aᵀ)")
    check(layer.a.grad, s * (g @ b).T @ x, "gradient of a: s (g B)ᵀ x")


def test_first_step_moves_b_alone(submission):
    torch.manual_seed(3)
    layer = submission.LoRALinear(nn.Linear(6, 5), 2, 4.0)
    layer(torch.randn(4, 6)).square().sum().backward()
    assert layer.b.grad is not None, "gradient of b at the start: expected one, got None"
    assert layer.b.grad.any(), "gradient of b at the start: expected numbers, got zeros"
    assert not layer.a.grad.any(), "gradient of a while b is zero: expected zeros, got others"


def test_gradient_reaches_what_is_below(submission):
    for merged in (False, True):
        layer, x, g = trained(submission), torch.randn(4, 6, requires_grad=True), torch.randn(4, 5)
        weight = layer.base.weight.detach() + 1.5 * (layer.b @ layer.a).detach()
        if merged:
            layer.merge()
        (layer(x) * g).sum().backward()
        check(x.grad, g @ weight, f"gradient of x, merged {merged}: g (W + s B A)")


def test_any_leading_shape(submission):
    layer = trained(submission)
    for merged in (False, True):
        if merged:
            layer.merge()
        x = torch.randn(2, 3, 6)
        right = torch.stack([torch.stack([layer(row) for row in rows]) for rows in x])
        check(layer(x).detach(), right.detach(), f"[2, 3, 6], merged {merged}, beside a row at a time")
        assert layer(x[:0]).shape == (0, 3, 5), (
            f"no rows: expected shape (0, 3, 5), got {tuple(layer(x[:0]).shape)}"
        )


def test_nothing_as_large_as_the_weight_is_made(submission):
    layer, x = trained(submission, I=64, O=48, r=2), torch.randn(3, 64)
    with Made() as made:
        layer(x).sum().backward()
    largest = max(made.sizes)
    assert largest < 64 * 48, f"largest tensor made, W has {64 * 48} numbers: expected fewer, got {largest}"


def test_merged_layer_costs_what_the_base_costs(submission):
    for bias in (True, False):
        layer, x = trained(submission, bias=bias), torch.randn(3, 6)
        layer.merge()
        with Made() as ours:
            layer(x)
        with Made() as theirs:
            layer.base(x)
        products = [[name for name in made.names if "mm" in name] for made in (ours, theirs)]
        assert len(products[0]) == len(products[1]), (
            f"matrix products of a merged layer: expected {products[1]}, got {products[0]}"
        )


def test_merging_twice_is_merging_once(submission):
    layer, x = trained(submission), torch.randn(3, 6)
    before = layer(x).detach()
    layer.merge()
    once = layer(x).detach()
    layer.merge()
    twice = layer(x).detach()
    assert torch.equal(once, twice), f"merged twice: expected {once[0].tolist()}, got {twice[0].tolist()}"
    layer.unmerge()
    back = layer(x).detach()
    assert torch.equal(back, before), (
        f"merged twice, unmerged once: expected {before[0].tolist()}, got {back[0].tolist()}"
    )


def test_unmerging_what_is_not_merged_does_nothing(submission):
    layer, x = trained(submission), torch.randn(3, 6)
    before = layer(x).detach()
    for turn in ("first", "second"):
        layer.unmerge()
        after = layer(x).detach()
        assert torch.equal(after, before), (
            f"{turn} unmerge: expected {before[0].tolist()}, got {after[0].tolist()}"
        )


def test_base_comes_back_bit_for_bit(submission):
    """A change a thousand times as large as the weight: adding and subtracting it would leave little."""
    for dtype in (torch.float32, torch.bfloat16):
        layer = trained(submission, dtype=dtype, strength=1000.0)
        x = torch.randn(4, 6).to(dtype)
        weight, before = layer.base.weight.detach().clone(), layer(x).detach()
        for _ in range(3):
            layer.merge()
            layer.unmerge()
        off = (layer(x).detach().float() - before.float()).abs().max().item()
        assert off == 0, (
            f"{dtype}, three merges and back: expected the same bits, got a difference of {off:.2e}"
        )
        assert torch.equal(layer.base.weight, weight), (
            f"{dtype}, the base's weight: expected the same, got another"
        )


def test_base_is_shared_and_never_written_to(submission):
    """Two adapters on one base, one of them merged."""
    torch.manual_seed(4)
    base = nn.Linear(6, 5)
    kept, x = base.weight.detach().clone(), torch.randn(3, 6)
    one, two = submission.LoRALinear(base, 2, 4.0), submission.LoRALinear(base, 3, 4.0)
    for layer in (one, two):
        layer.b.data.normal_()
    plain, other = F.linear(x, kept, base.bias.detach()), two(x).detach()
    one.merge()
    assert torch.equal(base.weight, kept), "the base's weight after a merge: expected unchanged, got another"
    check(base(x).detach(), plain, "the base itself while a layer on it is merged", 0.0)
    check(two(x).detach(), other, "the other layer on it", 0.0)


def test_what_trained_in_between_counts(submission):
    layer, x = trained(submission), torch.randn(3, 6)
    layer.merge()
    layer.unmerge()
    layer.b.data += 1.0
    layer.a.data *= 2.0
    fresh = layer(x).detach()
    layer.merge()
    check(layer(x).detach(), fresh, "merged again after the factors have moved")


def test_factors_that_move_while_merged(submission):
    """Someone loads other factors into a merged layer: unmerged, it computes with those, on the old base."""
    layer, x = trained(submission), torch.randn(3, 6)
    weight = layer.base.weight.detach().clone()
    layer.merge()
    merged = layer(x).detach()
    layer.b.data.normal_()
    layer.merge()
    check(layer(x).detach(), merged, "b changed while merged, merged once more: nothing happens", 0.0)
    layer.unmerge()
    right = F.linear(x, weight, layer.base.bias) + 1.5 * x @ layer.a.T @ layer.b.T
    check(layer(x).detach(), right.detach(), "b changed while merged, then unmerged")


def test_merged_layer_wants_no_gradient(submission):
    layer, x = trained(submission), torch.randn(3, 6)
    layer.merge()
    assert not layer(x).requires_grad, "output of a merged layer: expected no gradient wanted, got one wanted"
    layer.unmerge()
    assert layer(x).requires_grad, "output after unmerge: expected a gradient wanted, got none"
    names = sorted(name for name, parameter in layer.named_parameters() if parameter.requires_grad)
    assert names == ["a", "b"], f"parameters that train after it: expected a and b, got {names}"


def test_half_precision_base(submission):
    layer, x = trained(submission, I=64, O=48, r=4, dtype=torch.bfloat16, strength=0.05), torch.randn(5, 64)
    kinds = {name: getattr(layer, name).dtype for name in ("a", "b")}
    assert set(kinds.values()) == {torch.float32}, (
        f"a and b on a bfloat16 base: expected float32, got {kinds}"
    )
    out = layer(x.bfloat16())
    assert out.dtype == torch.bfloat16, f"bfloat16 x: expected bfloat16, got {out.dtype}"
    out.sum().backward()
    assert layer.a.grad.dtype == torch.float32, f"gradient of a: expected float32, got {layer.a.grad.dtype}"


def test_merged_weight_is_rounded_once(submission):
    """Rounding the change first, or the factors, gives another number in every twentieth place."""
    layer = trained(submission, I=64, O=48, r=4, bias=False, dtype=torch.bfloat16, strength=0.05)
    exact = layer.base.weight.double() + 0.75 * layer.b.double() @ layer.a.double()
    layer.merge()
    got = layer(torch.eye(64, dtype=torch.bfloat16)).detach().T
    assert got.dtype == torch.bfloat16, f"merged bfloat16 layer: expected bfloat16, got {got.dtype}"
    share = float((got != exact.bfloat16()).float().mean())
    assert share < 0.005, f"numbers of the merged weight off by a rounding: expected none, got {share:.1%}"


def test_start_of_the_factors(submission):
    torch.manual_seed(5)
    one, two = (submission.LoRALinear(nn.Linear(400, 8), 16, 16.0) for _ in range(2))
    assert not one.b.any(), "b at the start: expected zeros, got others"
    largest, spread = float(one.a.detach().abs().max()), float(one.a.detach().std())
    assert 0.048 < largest <= 0.05, f"largest of a, I = 400: expected just below 0.05, got {largest:.4f}"
    even = 0.05 / 3**0.5
    assert abs(spread - even) < 0.002, f"standard deviation of a: expected {even:.4f}, got {spread:.4f}"
    assert not torch.equal(one.a, two.a), "a of two layers: expected different numbers, got the same"
