"""Hidden tests: memory at any moment, gradients as they are used, who wants one, large logits, precision."""

import torch
import torch.nn.functional as F

from handbook.practice.checks import inside


def check(got, expected, what, tolerance=1e-5):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.double(), expected.double(), rtol=1e-4, atol=tolerance), (
        f"{what}: expected {[round(x, 5) for x in expected.flatten().tolist()[:8]]}, "
        f"got {[round(x, 5) for x in got.flatten().tolist()[:8]]}"
    )


def case(N, C, V, seed=0, ignored=0.3):
    generator = torch.Generator().manual_seed(seed)
    hidden, weight = torch.randn(N, C, generator=generator), torch.randn(V, C, generator=generator)
    targets = torch.randint(V, (N,), generator=generator)
    targets[torch.rand(N, generator=generator) < ignored] = -100
    return hidden, weight, targets


def exact(hidden, weight, targets, factor=1.0):
    """Loss, and its gradients times factor, from all logits in double precision."""
    leaves = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    loss = F.cross_entropy(leaves[0] @ leaves[1].T, targets, reduction="sum") / (targets != -100).sum().clamp(
        min=1
    )
    return loss.detach(), *torch.autograd.grad(factor * loss, leaves)


def loss_and_slopes(submission, hidden, weight, targets, chunk, wants=(True, True), factor=1.0):
    """A driver: the loss; the gradients of `factor` times the loss by hidden and weight, None where none is;
    and whether the loss has one. wants: which of the two want one.
    """
    leaves = [x.clone().requires_grad_(want) for x, want in zip((hidden, weight), wants, strict=True)]
    rest = () if chunk is None else (chunk,)
    loss = submission.chunked_cross_entropy(*leaves, targets, *rest)
    if loss.requires_grad:
        (factor * loss).backward()
    return loss.detach(), [x.grad for x in leaves], loss.requires_grad


def memory(submission, hidden, weight, targets, chunk):
    """A driver: bytes of new tensors, the most at once, and those left between forward and backward."""
    import weakref

    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Memory(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.alive, self.now, self.most = {}, 0, 0

        @classmethod
        def _should_skip_dynamo(cls):
            return False  # nothing is compiled here, and skipping would import the compiler, a second of time

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            tensors = (x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor))
            given = {x.untyped_storage()._cdata for x in tensors}
            out = func(*args, **(kwargs or {}))
            for tensor in tree_leaves(out):
                if isinstance(tensor, torch.Tensor):
                    self.take(tensor.untyped_storage(), given)
            return out

        def take(self, storage, given):
            key = storage._cdata
            if key in given or key in self.alive:
                return
            size = storage.nbytes()
            self.alive[key] = weakref.ref(storage, lambda _: self.gone(key, size))
            self.now += size
            self.most = max(self.most, self.now)

        def gone(self, key, size):
            del self.alive[key]
            self.now -= size

    leaves = hidden.requires_grad_(), weight.requires_grad_()
    with Memory() as held:
        loss = submission.chunked_cross_entropy(*leaves, targets, chunk)
        between = held.now
        loss.backward()
    return held.most, between


def test_memory_at_any_moment(submission):
    N, C, V, chunk = 256, 4, 512, 16
    limit = 4 * (5 * chunk * V + 4 * V * C + 6 * N * C)
    for dtype in (torch.float32, torch.bfloat16):
        hidden, weight, targets = case(N, C, V)
        most, between = inside(submission, memory, hidden.to(dtype), weight.to(dtype), targets, chunk)
        what = f"bytes of new tensors, N = {N}, V = {V}, chunks of {chunk}, {dtype}"
        assert most >= 4 * chunk, f"{what}: expected some, got {most}"
        assert most <= limit, f"{what}: expected at most {limit} at once, got {most}"
        kept = 4 * (4 * V * C + 6 * N * C)
        assert between <= kept, f"{what}: expected at most {kept} kept after forward, got {between}"


def test_equals_the_definition(submission):
    for seed, (N, C, V, chunk) in enumerate(
        [(10, 3, 5, 4), (1, 2, 3, 8), (12, 4, 1, 5), (33, 8, 20, 32), (8, 3, 5, 4)]
    ):
        hidden, weight, targets = case(N, C, V, seed=seed, ignored=0.4)
        targets[0] = 0
        loss, *slopes = exact(hidden, weight, targets)
        got, found, _ = inside(submission, loss_and_slopes, hidden, weight, targets, chunk)
        what = f"N = {N}, V = {V}, chunks of {chunk}"
        assert got.dtype == torch.float32, f"{what}: expected a float32 loss, got {got.dtype}"
        check(got, loss, f"loss, {what}")
        for name, mine, right in zip(("hidden", "weight"), found, slopes, strict=True):
            check(mine, right, f"gradient of {name}, {what}")


def test_mean_is_over_what_counts_in_all_chunks(submission):
    """One place counts in the first chunk and two in the second: three thirds, not a mean of means."""
    hidden, weight, _ = case(4, 3, 5, seed=10)
    targets = torch.tensor([1, -100, 2, 3])
    check(
        submission.chunked_cross_entropy(hidden, weight, targets, 2),
        exact(hidden, weight, targets)[0],
        "1 and 2 places that count",
    )


def test_chunk_in_which_none_counts(submission):
    hidden, weight, targets = case(9, 3, 5, seed=11)
    targets[:] = 2
    targets[3:6] = -100
    loss, *slopes = exact(hidden, weight, targets)
    got, found, _ = inside(submission, loss_and_slopes, hidden, weight, targets, 3)
    check(got, loss, "loss, the second of three chunks doesn't count")
    for mine, right in zip(found, slopes, strict=True):
        check(mine, right, "a gradient, the second of three chunks doesn't count")


def test_gradient_is_that_of_the_loss_as_it_is_used(submission):
    hidden, weight, targets = case(10, 3, 6, seed=12)
    for factor in (3.0, -0.5, 0.0):
        _, *slopes = exact(hidden, weight, targets, factor)
        given = hidden, weight, targets, 4, (True, True), factor
        _, found, _ = inside(submission, loss_and_slopes, *given)
        for name, mine, right in zip(("hidden", "weight"), found, slopes, strict=True):
            check(mine, right, f"gradient of {name}, {factor} times the loss")


def two_losses(submission, below, x, weight, targets):
    """A driver: hidden comes from a layer and is used twice; the gradients by the layer and by weight."""
    import torch

    leaves = below.requires_grad_(), weight.requires_grad_()
    hidden = x @ below
    twice = submission.chunked_cross_entropy(hidden, weight, targets, 4)
    twice = twice + submission.chunked_cross_entropy(2 * hidden, weight, targets, 4)
    return list(torch.autograd.grad(twice, leaves, allow_unused=True))


def test_gradients_reach_what_is_below(submission):
    """hidden comes from a layer, and is used twice."""
    _, weight, targets = case(10, 3, 6, seed=13)
    below, x = torch.eye(3), torch.randn(10, 3, generator=torch.Generator().manual_seed(1))
    got = inside(submission, two_losses, below.clone(), x, weight.clone(), targets)
    leaves = below.requires_grad_(), weight.requires_grad_()
    hidden = x @ below
    right = F.cross_entropy(hidden @ weight.T, targets) + F.cross_entropy(2 * hidden @ weight.T, targets)
    for name, mine, theirs in zip(
        ("the layer below", "weight"), got, torch.autograd.grad(right, leaves), strict=True
    ):
        check(mine, theirs, f"gradient of {name}, two losses")


def test_who_wants_a_gradient(submission):
    hidden, weight, targets = case(7, 3, 5, seed=14)
    loss, *slopes = exact(hidden, weight, targets)
    for wants in ((True, False), (False, True)):
        given = hidden.clone(), weight.clone(), targets, 3, wants
        _, found, _ = inside(submission, loss_and_slopes, *given)
        for name, slope, want, right in zip(("hidden", "weight"), found, wants, slopes, strict=True):
            assert (slope is not None) == want, f"gradient of {name}: expected one: {want}, got {slope}"
            if want:
                check(slope, right, f"gradient of {name} alone")
    given = hidden.clone(), weight.clone(), targets, 3, (False, False)
    got, _, wanted = inside(submission, loss_and_slopes, *given)
    check(got, loss, "loss, nobody wants a gradient")
    assert not wanted, "nobody wants a gradient: expected a loss without one, got one that requires it"


def test_large_logits_stay_finite(submission):
    hidden = torch.tensor([[100.0, 0.0], [0.0, 100.0], [100.0, -100.0]])
    weight = torch.tensor([[100.0, 0.0], [-100.0, 0.0], [0.0, 100.0]])
    targets = torch.tensor([1, 2, 0])
    loss, *slopes = exact(hidden, weight, targets)
    got, found, _ = inside(submission, loss_and_slopes, hidden, weight, targets, 2)
    check(got, loss, "logits of 10,000 and -10,000")
    for mine, right in zip(found, slopes, strict=True):
        check(mine, right, "a gradient, logits of 10,000 and -10,000", 1e-3)


def test_half_precision(submission):
    """The loss is summed in float32 over 2,000 places; 256 terms would be as far as bfloat16 counts."""
    hidden, weight, targets = case(2000, 16, 64, seed=15, ignored=0.1)
    given = [(x / 2).to(torch.bfloat16) for x in (hidden, weight)]
    loss, *slopes = exact(*given, targets)
    got, found, _ = inside(submission, loss_and_slopes, *given, targets, 20)
    assert got.dtype == torch.float32, f"bfloat16 inputs: expected a float32 loss, got {got.dtype}"
    check(got, loss, "loss of 2,000 bfloat16 places", 3e-3)
    for name, mine, right in zip(("hidden", "weight"), found, slopes, strict=True):
        assert mine is not None, f"gradient of {name}: expected one, got None"
        assert mine.dtype == torch.bfloat16, f"gradient of {name}: expected bfloat16, got {mine.dtype}"
        off = float((mine.double() - right).norm() / right.norm())
        assert off < 0.01, f"gradient of {name}, bfloat16: expected within 1 %, got {off:.1%}"


def test_softmax_in_single_precision(submission):
    """Unit vectors, so that the logits are numbers of the weight and bfloat16 holds them as they are."""
    weight = (torch.randn(40, 4, generator=torch.Generator().manual_seed(17)) * 3).to(torch.bfloat16)
    hidden, targets = torch.eye(4, dtype=torch.bfloat16), torch.tensor([3, 39, 0, 7])
    for place in range(4):
        loss, slope, _ = exact(hidden[place : place + 1], weight, targets[place : place + 1])
        given = hidden[place : place + 1].clone(), weight, targets[place : place + 1], 4, (True, False)
        got, (found, _), _ = inside(submission, loss_and_slopes, *given)
        check(got, loss, f"loss of one place with exact bfloat16 logits, target {int(targets[place])}")
        check(found, slope, "its gradient", 0.02)


def test_where_no_chunk_is_said(submission):
    hidden, weight, targets = case(300, 3, 5, seed=18)
    got = submission.chunked_cross_entropy(hidden, weight, targets)
    check(got, exact(hidden, weight, targets)[0], "300 places, chunk not given")


def test_arguments_stay_as_they_were(submission):
    given = case(7, 3, 5, seed=16)
    kept = [tensor.clone() for tensor in given]
    submission.chunked_cross_entropy(*given, 3)
    inside(submission, loss_and_slopes, *given, 3)
    for name, now, before in zip(("hidden", "weight", "targets"), given, kept, strict=True):
        assert torch.equal(now, before), f"expected {name} unchanged, got a changed tensor"
