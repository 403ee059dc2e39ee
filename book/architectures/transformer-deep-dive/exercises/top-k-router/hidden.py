"""Hidden tests: the definition in plain Python, gradients, float32, large logits, k = E, no side effects."""

import math

import torch

from handbook.practice.checks import inside


def rounded(tensor):
    """Nested lists with four decimals, for messages."""
    return torch.round(tensor.detach().double(), decimals=4).tolist()


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_hand(x, weight, k, bias):
    """A token at a time, in double precision: experts, weights, loss."""
    N, E = len(x), len(weight)
    experts, weights, counts, mean = [], [], [0] * E, [0.0] * E
    for row in x.double():
        logits = [float(row @ w) for w in weight.double()]
        top = max(logits)
        exps = [math.exp(value - top) for value in logits]
        probs = [value / sum(exps) for value in exps]
        chosen = sorted(range(E), key=lambda e: -(probs[e] + float(bias[e])))[:k]
        experts.append(chosen)
        weights.append([probs[e] / sum(probs[c] for c in chosen) for e in chosen])
        for e in chosen:
            counts[e] += 1
        mean = [m + p / N for m, p in zip(mean, probs, strict=True)]
    loss = E * sum(count / (N * k) * p for count, p in zip(counts, mean, strict=True))
    return torch.tensor(experts), torch.tensor(weights), torch.tensor(loss)


def test_equals_the_definition(submission):
    for seed, (N, C, E, k) in enumerate([(7, 5, 6, 3), (1, 3, 4, 1), (40, 8, 16, 4), (9, 2, 2, 1)]):
        x, weight = noise(N, C, seed=seed), noise(E, C, seed=seed + 50)
        bias = 0.2 * noise(E, seed=seed + 90)
        for given in (None, bias):
            expected = by_hand(x, weight, k, torch.zeros(E) if given is None else given)
            got = submission.route(x, weight, k, given)
            for name, mine, right in zip(("experts", "weights", "loss"), got, expected, strict=True):
                what = f"{name}, N = {N}, E = {E}, k = {k}, bias {'none' if given is None else 'given'}"
                assert mine.shape == right.shape, (
                    f"{what}: expected shape {tuple(right.shape)}, got {tuple(mine.shape)}"
                )
                off = (mine.double() - right.double()).abs().max().item()
                assert off < 1e-5, f"{what}: expected the definition, got a difference of {off:.2e}"


def test_all_experts_chosen_gives_the_softmax(submission):
    x, weight = noise(5, 4, seed=1), noise(3, 4, seed=2)
    experts, weights, loss = submission.route(x, weight, 3)
    got = torch.zeros(5, 3).scatter(1, experts, weights)
    expected = (x @ weight.T).softmax(dim=-1)
    assert torch.allclose(got, expected, atol=1e-5), (
        f"k = E: expected the softmax {rounded(expected)}, got {rounded(got)}"
    )
    assert abs(loss.item() - 1.0) < 1e-5, f"k = E, an even load: expected loss 1, got {loss.item():.4f}"


def slopes(submission, name, args, wants, pick=None):
    """A driver: what `name` gives, and the gradients of its sum by the arguments at the places `wants`.

    None where there is no gradient. pick: the place of the result that is summed, if there are several.
    """
    import torch

    leaves = [x.detach().clone().requires_grad_() if i in wants else x for i, x in enumerate(args)]
    got = getattr(submission, name)(*leaves)
    chosen = got if pick is None else got[pick]
    if not getattr(chosen, "requires_grad", False):
        return got, [None for _ in wants]
    by = [leaves[i] for i in wants]
    return got, list(torch.autograd.grad(chosen.sum(), by, allow_unused=True))


def test_loss_gradient_flows_through_the_probabilities(submission):
    """d loss / d logit(n, i) = E / N * p(n, i) * (f(i) - sum_j f(j) p(n, j)), with f held fixed."""
    logits = noise(6, 4, seed=3)
    (experts, _, _), (got,) = inside(submission, slopes, "route", (logits, torch.eye(4), 2), [0], 2)
    assert got is not None, "loss: expected a gradient to the router, got none"
    probs = logits.softmax(dim=-1)
    f = torch.bincount(experts.flatten(), minlength=4) / 12
    expected = 4 / 6 * probs * (f - (probs * f).sum(dim=-1, keepdim=True))
    assert torch.allclose(got, expected, atol=1e-6), (
        f"gradient of the loss: expected {rounded(expected)}, got {rounded(got)}"
    )


def slope_of_a_weight(submission, logits):
    """A driver: the gradient of the first token's first weight; None where there is none."""
    import torch

    leaf = logits.requires_grad_()
    _, weights, _ = submission.route(leaf, torch.eye(logits.shape[1]), logits.shape[1])
    return torch.autograd.grad(weights[0, 0], leaf)[0] if weights.requires_grad else None


def test_weights_carry_a_gradient(submission):
    """With two experts chosen of two, the first weight is a sigmoid of the difference of logits."""
    got = inside(submission, slope_of_a_weight, torch.tensor([[1.0, 0.0]]))
    assert got is not None, "weights: expected a gradient to the router, got none"
    slope = 0.7310586 * 0.2689414
    expected = torch.tensor([[slope, -slope]])
    assert torch.allclose(got, expected, atol=1e-5), (
        f"gradient of the first weight: expected {rounded(expected)}, got {rounded(got)}"
    )


def test_half_precision_routes_in_float32(submission):
    """Logits 257 and 256: bfloat16 cannot tell them apart."""
    x = torch.ones(1, 2, dtype=torch.bfloat16)
    weight = torch.tensor([[256.0, 0.0], [256.0, 1.0]], dtype=torch.bfloat16)
    experts, weights, loss = submission.route(x, weight, 2)
    assert weights.dtype == loss.dtype == torch.float32, (
        f"bfloat16 in: expected float32 weights and loss, got {weights.dtype} and {loss.dtype}"
    )
    assert experts.tolist() == [[1, 0]], (
        f"logits 256 and 257: expected experts [[1, 0]], got {experts.tolist()}"
    )
    expected = torch.tensor([[0.7311, 0.2689]])
    assert torch.allclose(weights, expected, atol=1e-4), (
        f"logits 256 and 257: expected weights {rounded(expected)}, got {rounded(weights)}"
    )


def test_large_logits_stay_finite(submission):
    experts, weights, loss = submission.route(torch.tensor([[1e4, -1e4, 9999.0]]), torch.eye(3), 2)
    assert experts.tolist() == [[0, 2]], f"logits of 1e4: expected experts [[0, 2]], got {experts.tolist()}"
    expected = torch.tensor([[0.7311, 0.2689]])
    assert torch.allclose(weights, expected, atol=1e-4), (
        f"logits of 1e4: expected weights {rounded(expected)}, got {rounded(weights)}"
    )
    assert torch.isfinite(loss), f"logits of 1e4: expected a finite loss, got {loss.item()}"


def test_arguments_stay_as_they_were(submission):
    given = noise(5, 4, seed=4), noise(3, 4, seed=5), noise(3, seed=6)
    kept = [tensor.clone() for tensor in given]
    x, weight, bias = given
    submission.route(x, weight, 2, bias)
    for name, now, before in zip(("x", "weight", "bias"), given, kept, strict=True):
        assert torch.equal(now, before), f"expected {name} unchanged after the call, got a changed tensor"
