"""Visible tests: the example, the start, what trains, merging and back, bad ranks."""

import torch

from handbook.practice.checks import inside


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


def case(I=6, O=5, r=2, alpha=3.0, bias=True, seed=0, dtype=torch.float32, strength=1.0, rows=4):  # noqa: E741
    """A base's weight and bias, rank and alpha, factors as if they had trained; and an x."""
    generator = torch.Generator().manual_seed(seed)

    def even(*shape):
        return (2 * torch.rand(*shape, generator=generator) - 1) / I**0.5

    weight, shift, a = even(O, I).to(dtype), even(O).to(dtype) if bias else None, even(r, I)
    b = torch.randn(O, r, generator=generator) * strength
    return (weight, shift, r, alpha, a, b), torch.randn(rows, I, generator=generator).to(dtype)


def played(submission, given, x, script):
    """A driver: makes a layer on a base, sets its factors (None: as they are), and plays a script on it.

    A line is a word or (word, tensors ...); gives what each line has to say.
    """
    from torch import nn

    weight, bias, r, alpha, a, b = given
    base = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).to(weight.dtype)
    base.weight.data.copy_(weight)
    if bias is not None:
        base.bias.data.copy_(bias)
    layer = submission.LoRALinear(base, r, alpha)

    def put(name, value):
        if value is not None:
            getattr(layer, name).data.copy_(value)

    def slopes(g):
        leaf = x.clone().requires_grad_()
        (layer(leaf) * g).sum().backward()
        return layer.a.grad, layer.b.grad, leaf.grad, base.weight.grad

    does = {
        "out": lambda *other: layer(*(other or (x,))).detach(),
        "base": lambda: base(x).detach(),
        "weight": lambda: base.weight.detach().clone(),
        "merge": lambda: bool(layer.merge()),
        "unmerge": lambda: bool(layer.unmerge()),
        "put": put,
        "slopes": slopes,
        "factors": lambda: (layer.a.detach().clone(), layer.b.detach().clone()),
        "wanted": lambda: layer(x).requires_grad,
        "trains": lambda: sorted(name for name, p in layer.named_parameters() if p.requires_grad),
    }
    put("a", a)
    put("b", b)
    lines = [(line,) if isinstance(line, str) else line for line in script]
    return [does[word](*rest) for word, *rest in lines]


def test_worked_example(submission):
    weight = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]])
    given = weight, None, 1, 2.0, torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[1.0], [-1.0]])
    plain, _, merged, columns = inside(
        submission, played, given, torch.ones(3), ["out", "merge", "out", ("out", torch.eye(3))]
    )
    check(plain, [9.0, -6.0], "the example")
    check(merged, [9.0, -6.0], "the example, merged")
    check(columns.T, [[3.0, 4.0, 2.0], [-2.0, -3.0, -1.0]], "the merged weight, column by column")


def test_new_layer_computes_what_the_base_does(submission):
    (weight, bias, *_), x = case(I=7, O=4, r=3, seed=1)
    given = weight, bias, 3, 6.0, None, None
    new, base, (a, b) = inside(submission, played, given, x, ["out", "base", "factors"])
    assert torch.equal(new, base), f"a new layer: expected {base[0].tolist()}, got {new[0].tolist()}"
    shapes = tuple(a.shape), tuple(b.shape)
    assert shapes == ((3, 7), (4, 3)), f"shapes of a and b: expected (3, 7) and (4, 3), got {shapes}"
    assert a.any(), "a at the start: expected random numbers, got zeros"


def test_only_the_factors_train(submission):
    given, x = case()
    names, found = inside(submission, played, given, x, ["trains", ("slopes", torch.ones(4, 5))])
    assert names == ["a", "b"], f"parameters that train: expected a and b, got {names}"
    a, b, _, weight = found
    assert weight is None, "gradient of the base's weight: expected None, got one"
    for name, slope in (("a", a), ("b", b)):
        assert slope is not None, f"gradient of {name}: expected one, got None"


def test_merged_layer_computes_the_same(submission):
    for bias in (True, False):
        given, x = case(bias=bias)
        before, _, merged, _, after = inside(
            submission, played, given, x, ["out", "merge", "out", "unmerge", "out"]
        )
        check(merged, before, f"merged, bias {bias}")
        assert torch.equal(after, before), (
            f"unmerged: expected {before[0].tolist()} again, got {after[0].tolist()}"
        )


def test_bad_rank_is_refused(submission):
    (weight, bias, *_), x = case()
    for r in (0, -1):
        try:
            inside(submission, played, (weight, bias, r, 1.0, None, None), x, [])
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"r = {r}: expected ValueError, got {type(error).__name__}") from error
        raise AssertionError(f"r = {r}: expected ValueError, got a layer")
