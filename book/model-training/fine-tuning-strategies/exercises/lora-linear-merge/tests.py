"""Visible tests: the example, the start, what trains, merging and back, bad ranks."""

import torch
from torch import nn


def check(got, expected, what, tolerance=1e-5):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.double(), expected.double(), rtol=1e-5, atol=tolerance), (
        f"{what}: expected {[round(x, 4) for x in expected.flatten().tolist()[:8]]}, "
        f"got {[round(x, 4) for x in got.flatten().tolist()[:8]]}"
    )


def example(submission):
    base = nn.Linear(3, 2, bias=False)
    base.weight.data = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]])
    layer = submission.LoRALinear(base, 1, 2.0)
    layer.a.data.copy_(torch.tensor([[1.0, 2.0, 0.0]]))
    layer.b.data.copy_(torch.tensor([[1.0], [-1.0]]))
    return layer


def trained(submission, I=6, O=5, r=2, alpha=3.0, bias=True, seed=0):  # noqa: E741
    torch.manual_seed(seed)
    layer = submission.LoRALinear(nn.Linear(I, O, bias=bias), r, alpha)
    layer.b.data.normal_()
    return layer


def test_worked_example(submission):
    layer = example(submission)
    check(layer(torch.ones(3)).detach(), [9.0, -6.0], "the example")
    layer.merge()
    check(layer(torch.ones(3)).detach(), [9.0, -6.0], "the example, merged")
    check(
        layer(torch.eye(3)).detach().T,
        [[3.0, 4.0, 2.0], [-2.0, -3.0, -1.0]],
        "the merged weight, column by column",
    )


def test_new_layer_computes_what_the_base_does(submission):
    torch.manual_seed(1)
    base = nn.Linear(7, 4)
    layer = submission.LoRALinear(base, 3, 6.0)
    x = torch.randn(5, 7)
    assert torch.equal(layer(x), base(x)), (
        f"a new layer: expected {base(x)[0].tolist()}, got {layer(x)[0].tolist()}"
    )
    shapes = tuple(layer.a.shape), tuple(layer.b.shape)
    assert shapes == ((3, 7), (4, 3)), f"shapes of a and b: expected (3, 7) and (4, 3), got {shapes}"
    assert layer.a.any(), "a at the start: expected random numbers, got zeros"


def test_only_the_factors_train(submission):
    layer = trained(submission)
    names = sorted(name for name, parameter in layer.named_parameters() if parameter.requires_grad)
    assert names == ["a", "b"], f"parameters that train: expected a and b, got {names}"
    layer(torch.randn(3, 6)).sum().backward()
    assert layer.base.weight.grad is None, "gradient of the base's weight: expected None, got one"
    for name in names:
        assert getattr(layer, name).grad is not None, f"gradient of {name}: expected one, got None"


def test_merged_layer_computes_the_same(submission):
    for bias in (True, False):
        layer, x = trained(submission, bias=bias), torch.randn(4, 6)
        before = layer(x).detach()
        layer.merge()
        check(layer(x).detach(), before, f"merged, bias {bias}")
        layer.unmerge()
        after = layer(x).detach()
        assert torch.equal(after, before), (
            f"unmerged: expected {before[0].tolist()} again, got {after[0].tolist()}"
        )


def test_bad_rank_is_refused(submission):
    for r in (0, -1):
        try:
            submission.LoRALinear(nn.Linear(3, 2), r, 1.0)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"r = {r}: expected ValueError, got {type(error).__name__}") from error
        raise AssertionError(f"r = {r}: expected ValueError, got a layer")
