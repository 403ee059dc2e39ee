"""Hidden tests: scale, gradients, what is made on the way, merges in any order, bfloat16, the start."""

import torch
import torch.nn.functional as F

from handbook.practice.checks import inside


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


def made(submission, given, x, backward, merged):
    """A driver: sizes of the tensors with memory of their own that the layer makes, and the names of its
    operations and of the base's.
    """
    import torch
    from torch import nn
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Made(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.sizes, self.names = [], []

        @classmethod
        def _should_skip_dynamo(cls):
            return False  # nothing is compiled here, and skipping would import the compiler, a second of time

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            tensors = (t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor))
            known = {t.untyped_storage()._cdata for t in tensors}
            out = func(*args, **(kwargs or {}))
            self.names.append(func.overloadpacket.__name__)
            tensors = (t for t in tree_leaves(out) if isinstance(t, torch.Tensor))
            self.sizes += [t.numel() for t in tensors if t.untyped_storage()._cdata not in known]
            return out

    weight, bias, r, alpha, _, b = given
    base = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer = submission.LoRALinear(base, r, alpha)
    layer.b.data.copy_(b)
    if merged:
        layer.merge()
    with Made() as ours:
        out = layer(x)
        if backward:
            out.sum().backward()
    with Made() as theirs:
        base(x)
    return ours.sizes, ours.names, theirs.names


def test_equals_the_definition(submission):
    cases = [(6, 5, 1, 1.0), (6, 5, 2, 3.0), (4, 9, 4, 32.0), (3, 3, 8, 0.5)]
    for seed, (I, O, r, alpha) in enumerate(cases):  # noqa: E741
        for bias in (True, False):
            given, x = case(I, O, r, alpha, bias, seed, rows=7)
            weight, shift, _, _, a, b = given
            right = x.double() @ (weight.double() + (alpha / r) * b.double() @ a.double()).T
            right = right + shift.double() if bias else right
            plain, _, merged = inside(submission, played, given, x, ["out", "merge", "out"])
            what = f"I = {I}, O = {O}, r = {r}, alpha = {alpha}, bias {bias}"
            check(plain, right, what)
            check(merged, right, f"{what}, merged")


def test_gradients_of_the_factors(submission):
    given, x = case()
    g, s, (*_, a, b) = torch.randn(4, 5, generator=torch.Generator().manual_seed(1)), 1.5, given
    ((to_a, to_b, _, _),) = inside(submission, played, given, x, [("slopes", g)])
    check(to_b, s * g.T @ (x @ a.T), "gradient of b: s gᵀ (x Aᵀ)")
    check(to_a, s * (g @ b).T @ x, "gradient of a: s (g B)ᵀ x")


def test_first_step_moves_b_alone(submission):
    (weight, bias, *_), x = case(seed=3)
    given = weight, bias, 2, 4.0, None, None
    ((to_a, to_b, _, _),) = inside(submission, played, given, x, [("slopes", torch.ones(4, 5))])
    assert to_b is not None, "gradient of b at the start: expected one, got None"
    assert to_b.any(), "gradient of b at the start: expected numbers, got zeros"
    none = to_a is None or not to_a.any()
    assert none, "gradient of a while b is zero: expected zeros, got others"


def test_gradient_reaches_what_is_below(submission):
    given, x = case()
    g, (weight, *_, a, b) = torch.randn(4, 5, generator=torch.Generator().manual_seed(2)), given
    for merged in (False, True):
        script = [*(["merge"] if merged else []), ("slopes", g)]
        *_, (_, _, found, _) = inside(submission, played, given, x, script)
        check(found, g @ (weight + 1.5 * b @ a), f"gradient of x, merged {merged}: g (W + s B A)")


def test_any_leading_shape(submission):
    given, _ = case()
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(6))
    for merged in (False, True):
        rows = [("out", row) for rows in x for row in rows]
        script = [*(["merge"] if merged else []), "out", ("out", x[:0]), *rows]
        out = inside(submission, played, given, x, script)[merged:]
        right = torch.stack(out[2:]).view(2, 3, 5)
        check(out[0], right, f"[2, 3, 6], merged {merged}, beside a row at a time")
        assert out[1].shape == (0, 3, 5), f"no rows: expected shape (0, 3, 5), got {tuple(out[1].shape)}"


def test_nothing_as_large_as_the_weight_is_made(submission):
    sizes, _, _ = inside(submission, made, *case(I=64, O=48, r=2, rows=3), True, False)
    largest = max(sizes)
    assert largest < 64 * 48, f"largest tensor made, W has {64 * 48} numbers: expected fewer, got {largest}"


def test_merged_layer_costs_what_the_base_costs(submission):
    for bias in (True, False):
        _, *both = inside(submission, made, *case(bias=bias, rows=3), False, True)
        ours, theirs = ([name for name in names if "mm" in name] for names in both)
        assert len(ours) == len(theirs), f"matrix products of a merged layer: expected {theirs}, got {ours}"


def test_merging_twice_is_merging_once(submission):
    script = ["out", "merge", "out", "merge", "out", "unmerge", "out"]
    before, _, once, _, twice, _, back = inside(submission, played, *case(), script)
    assert torch.equal(once, twice), f"merged twice: expected {once[0].tolist()}, got {twice[0].tolist()}"
    assert torch.equal(back, before), (
        f"merged twice, unmerged once: expected {before[0].tolist()}, got {back[0].tolist()}"
    )


def test_unmerging_what_is_not_merged_does_nothing(submission):
    script = ["out", "unmerge", "out", "unmerge", "out"]
    before, _, first, _, second = inside(submission, played, *case(), script)
    for turn, after in (("first", first), ("second", second)):
        assert torch.equal(after, before), (
            f"{turn} unmerge: expected {before[0].tolist()}, got {after[0].tolist()}"
        )


def test_base_comes_back_bit_for_bit(submission):
    """A change a thousand times as large as the weight: adding and subtracting it would leave little."""
    for dtype in (torch.float32, torch.bfloat16):
        script = ["weight", "out", *["merge", "unmerge"] * 3, "out", "weight"]
        weight, before, *_, after, now = inside(
            submission, played, *case(dtype=dtype, strength=1000.0), script
        )
        off = (after.float() - before.float()).abs().max().item()
        assert off == 0, (
            f"{dtype}, three merges and back: expected the same bits, got a difference of {off:.2e}"
        )
        assert torch.equal(now, weight), f"{dtype}, the base's weight: expected the same, got another"


def shared(submission, weight, bias, x, factors):
    """A driver: two layers on one base; weight, base and second layer before and after a merge."""
    from torch import nn

    base = nn.Linear(weight.shape[1], weight.shape[0])
    base.weight.data.copy_(weight)
    base.bias.data.copy_(bias)
    one, two = submission.LoRALinear(base, 2, 4.0), submission.LoRALinear(base, 3, 4.0)
    for layer, b in zip((one, two), factors, strict=True):
        layer.b.data.copy_(b)
    before = [base.weight.detach().clone(), base(x).detach(), two(x).detach()]
    one.merge()
    return before, [base.weight.detach().clone(), base(x).detach(), two(x).detach()]


def test_base_is_shared_and_never_written_to(submission):
    """Two adapters on one base, one of them merged."""
    (weight, bias, *_, b), x = case(seed=4)
    (kept, plain, other), after = inside(submission, shared, weight, bias, x, [b, b[:, :1].repeat(1, 3)])
    check(plain, F.linear(x, weight, bias), "the base itself, with two layers on it")
    same = torch.equal(after[0], kept)
    assert same, "the base's weight after a merge: expected unchanged, got another"
    check(after[1], plain, "the base itself while a layer on it is merged", 0.0)
    check(after[2], other, "the other layer on it", 0.0)


def test_what_trained_in_between_counts(submission):
    given, x = case()
    *_, a, b = given
    moves = [("put", "b", b + 1.0), ("put", "a", 2.0 * a)]
    out = inside(submission, played, given, x, ["merge", "unmerge", *moves, "out", "merge", "out"])
    check(out[-1], out[-3], "merged again after the factors have moved")


def test_factors_that_move_while_merged(submission):
    """Someone loads other factors into a merged layer: unmerged, it computes with those, on the old base."""
    given, x = case()
    weight, bias, _, _, a, b = given
    script = ["merge", "out", ("put", "b", b.flip(0)), "merge", "out", "unmerge", "out"]
    _, merged, _, _, again, _, after = inside(submission, played, given, x, script)
    check(again, merged, "b changed while merged, merged once more: nothing happens", 0.0)
    right = F.linear(x, weight, bias) + 1.5 * x @ a.T @ b.flip(0).T
    check(after, right, "b changed while merged, then unmerged")


def test_merged_layer_wants_no_gradient(submission):
    script = ["merge", "wanted", "unmerge", "wanted", "trains"]
    _, merged, _, after, names = inside(submission, played, *case(), script)
    assert not merged, "output of a merged layer: expected no gradient wanted, got one wanted"
    assert after, "output after unmerge: expected a gradient wanted, got none"
    assert names == ["a", "b"], f"parameters that train after it: expected a and b, got {names}"


def test_half_precision_base(submission):
    given, x = case(I=64, O=48, r=4, dtype=torch.bfloat16, strength=0.05)
    g = torch.ones(4, 48, dtype=torch.bfloat16)
    (a, b), out, found = inside(submission, played, given, x, ["factors", "out", ("slopes", g)])
    kinds = {"a": a.dtype, "b": b.dtype}
    assert set(kinds.values()) == {torch.float32}, (
        f"a and b on a bfloat16 base: expected float32, got {kinds}"
    )
    assert out.dtype == torch.bfloat16, f"bfloat16 x: expected bfloat16, got {out.dtype}"
    assert found[0] is not None, "gradient of a: expected one, got None"
    assert found[0].dtype == torch.float32, f"gradient of a: expected float32, got {found[0].dtype}"


def test_merged_weight_is_rounded_once(submission):
    """Rounding the change first, or the factors, gives another number in every twentieth place."""
    given, _ = case(I=64, O=48, r=4, bias=False, dtype=torch.bfloat16, strength=0.05)
    weight, *_, a, b = given
    exact = weight.double() + 0.75 * b.double() @ a.double()
    eye = torch.eye(64, dtype=torch.bfloat16)
    _, got = inside(submission, played, given, eye, ["merge", "out"])
    assert got.dtype == torch.bfloat16, f"merged bfloat16 layer: expected bfloat16, got {got.dtype}"
    share = float((exact.bfloat16() != got.T).float().mean())
    assert share < 0.005, f"numbers of the merged weight off by a rounding: expected none, got {share:.1%}"


def test_start_of_the_factors(submission):
    (weight, bias, *_), x = case(I=400, O=8)
    (one, b), (two, _) = (
        inside(submission, played, (weight, bias, 16, 16.0, None, None), x, ["factors"])[0] for _ in range(2)
    )
    assert not b.any(), "b at the start: expected zeros, got others"
    largest, spread = float(one.abs().max()), float(one.std())
    assert 0.048 < largest <= 0.05, f"largest of a, I = 400: expected just below 0.05, got {largest:.4f}"
    even = 0.05 / 3**0.5
    assert abs(spread - even) < 0.002, f"standard deviation of a: expected {even:.4f}, got {spread:.4f}"
    assert not torch.equal(one, two), "a of two layers: expected different numbers, got the same"
