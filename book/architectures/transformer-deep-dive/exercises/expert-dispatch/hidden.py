"""Hidden tests: the definition, every contribution, dropped weights, gradients, dtype, no side effects."""

import torch

from handbook.practice.checks import inside


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def case(N, C, E, k, seed, dropped=0.0):
    """Random tokens, choices without repetition, weights, one matrix for each expert."""
    generator = torch.Generator().manual_seed(seed)
    experts = torch.rand(N, E, generator=generator).topk(k, dim=-1).indices
    experts = experts.masked_fill(torch.rand(N, k, generator=generator) < dropped, -1)
    x, weights, matrices = noise(N, C, seed=seed), noise(N, k, seed=seed + 1), noise(E, C, C, seed=seed + 2)
    return x, experts, weights, matrices


def by_hand(x, experts, weights, matrices):
    """A token and a choice at a time."""
    rows = []
    for n in range(len(x)):
        row = torch.zeros_like(x[n])
        for j in range(experts.shape[1]):
            if experts[n, j] >= 0:
                row = row + weights[n, j] * torch.tanh(x[n] @ matrices[experts[n, j]])
        rows.append(row)
    return torch.stack(rows)


def through(submission, x, experts, weights, matrices):
    return submission.dispatch(x, experts, weights, lambda e, rows: torch.tanh(rows @ matrices[e]))


def test_equals_the_definition(submission):
    for seed, (N, C, E, k) in enumerate([(9, 4, 5, 2), (1, 3, 8, 3), (30, 2, 4, 4), (6, 5, 40, 1)]):
        for dropped in (0.0, 0.3):
            given = case(N, C, E, k, seed, dropped)
            off = (through(submission, *given) - by_hand(*given)).abs().max().item()
            assert off < 1e-5, (
                f"N = {N}, E = {E}, k = {k}, {dropped:.0%} dropped: expected the definition, "
                f"got a difference of {off:.2e}"
            )


def test_every_contribution_is_added(submission):
    """Each of 4 experts returns its input, with weight 1/4: the sum is the input."""
    x = noise(50, 3, seed=7)
    experts = torch.stack([torch.randperm(4, generator=torch.Generator().manual_seed(n)) for n in range(50)])
    got = submission.dispatch(x, experts, torch.full((50, 4), 0.25), lambda _expert, rows: rows)
    off = (got - x).abs().max().item()
    assert off < 1e-5, f"4 times a quarter of x: expected x, got a difference of {off:.2e}"


def test_dropped_weight_is_not_read(submission):
    x, experts, weights, matrices = case(12, 4, 3, 2, seed=8, dropped=0.5)
    expected = by_hand(x, experts, weights, matrices)
    poisoned = weights.masked_fill(experts < 0, float("nan"))
    got = through(submission, x, experts, poisoned, matrices)
    assert torch.isfinite(got).all(), "NaN as the weight of dropped assignments: expected finite, got NaN"
    off = (got - expected).abs().max().item()
    assert off < 1e-5, f"NaN weights of dropped ones: expected no influence, got a difference of {off:.2e}"


def test_calls_are_in_order_and_never_empty(submission):
    """Row n holds the number n, so what run gets names the tokens."""
    x = torch.arange(64.0)[:, None]
    experts = noise(64, 9, seed=9).topk(3, dim=-1).indices * 3  # experts 0, 3, ..., 24; others idle
    calls = []

    def run(expert, rows):
        calls.append((int(expert), rows.flatten().long().tolist()))
        return rows

    submission.dispatch(x, experts, torch.ones(64, 3), run)
    expected = [(e, (experts == e).any(dim=-1).nonzero().flatten().tolist()) for e in range(0, 27, 3)]
    named = [e for e, _ in calls]
    assert named == [e for e, _ in expected], (
        f"experts that run: expected {[e for e, _ in expected]}, got {named}"
    )
    assert calls == expected, (
        f"tokens of expert 0: expected {expected[0][1]}, got {calls[0][1]}; or those of a later expert"
    )


def dispatched_slopes(submission, x, experts, weights, matrices, direction):
    """A driver: gradients of the result along a direction, by x, weights and matrices."""
    import torch

    leaves = [tensor.requires_grad_() for tensor in (x, weights, matrices)]
    out = submission.dispatch(x, experts, weights, lambda e, rows: torch.tanh(rows @ matrices[e]))
    if not out.requires_grad:
        return None
    return list(torch.autograd.grad((out * direction).sum(), leaves, allow_unused=True))


def test_gradients(submission):
    given, direction = case(8, 4, 5, 2, seed=10, dropped=0.2), noise(8, 4, seed=11)
    got = inside(submission, dispatched_slopes, *(x.clone() for x in given), direction)
    leaves = [given[i].requires_grad_() for i in (0, 2, 3)]
    expected = torch.autograd.grad((by_hand(*given) * direction).sum(), leaves)
    assert got is not None, "expected a result with a gradient, got one without"
    for name, mine, right in zip(("x", "weights", "the experts"), got, expected, strict=True):
        assert mine is not None, f"gradient of {name}: expected one, got None"
        off = (mine - right).abs().max().item()
        assert off < 1e-5, f"gradient of {name}: expected the definition's, got a difference of {off:.2e}"


def test_no_tokens_at_all(submission):
    calls = []
    none = torch.zeros(0, 4), torch.zeros(0, 2, dtype=torch.long), torch.zeros(0, 2)
    got = submission.dispatch(*none, lambda expert, rows: calls.append(expert))
    assert got.shape == (0, 4), f"no tokens: expected shape (0, 4), got {tuple(got.shape)}"
    assert calls == [], f"no tokens: expected no call of run, got {calls}"


def test_half_precision_stays(submission):
    x = noise(6, 4, seed=12).to(torch.bfloat16)
    experts = torch.tensor([[0, 1]] * 6)
    got = submission.dispatch(x, experts, torch.full((6, 2), 0.5), lambda _expert, rows: rows)
    assert got.dtype == torch.bfloat16, f"bfloat16 x, float32 weights: expected bfloat16 out, got {got.dtype}"
    off = (got - x).abs().max().item()
    assert off < 0.02, f"twice a half of x: expected x, got a difference of {off:.3f}"


def test_arguments_stay_as_they_were(submission):
    given = case(7, 3, 4, 2, seed=13, dropped=0.3)
    kept = [tensor.clone() for tensor in given]
    through(submission, *given)
    for name, now, before in zip(("x", "experts", "weights"), given, kept, strict=False):
        assert torch.equal(now, before), f"expected {name} unchanged after the call, got a changed tensor"
