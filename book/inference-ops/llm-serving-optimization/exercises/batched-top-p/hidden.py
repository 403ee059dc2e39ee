"""Hidden tests: row by row, the edges of p, who shares the batch, operations counted, precisions."""

import torch

from handbook.practice.checks import inside


def noise(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def rounded(tensor):
    return [[round(value, 4) for value in row[:6]] for row in tensor.tolist()[:4]]


def check(got, expected, what, tolerance=1e-5):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert got.dtype == torch.float32, f"{what}: expected float32, got {got.dtype}"
    assert torch.allclose(got, expected.float(), rtol=0, atol=tolerance), (
        f"{what}: expected {rounded(expected)}, got {rounded(got)}"
    )


def by_hand(row, p):
    """Token by token, in double precision."""
    probs = row.double().softmax(dim=-1).tolist()
    total, out = 0.0, [0.0] * len(probs)
    for token in sorted(range(len(probs)), key=lambda i: (-probs[i], i)):
        if total >= p and total > 0:
            break
        out[token] = probs[token]
        total += probs[token]
    return [value / sum(out) for value in out]


def test_equals_the_definition_row_by_row(submission):
    for seed in range(8):
        logits = noise(20, 12, seed=seed, scale=2.0)
        p = torch.rand(20, generator=torch.Generator().manual_seed(seed + 50)) * 0.98
        expected = torch.tensor([by_hand(row, float(q)) for row, q in zip(logits, p, strict=True)])
        check(submission.batched_top_p(logits, p), expected, f"20 random rows, seed {seed}")


def test_sum_that_meets_p_exactly_is_enough(submission):
    got = submission.batched_top_p(torch.zeros(3, 4), torch.tensor([0.25, 0.5, 0.75]))
    kept = (got > 0).sum(dim=-1).tolist()
    assert kept == [1, 2, 3], f"quarters, p = 0.25, 0.5, 0.75: expected 1, 2, 3 tokens kept, got {kept}"


def test_p_zero_is_greedy(submission):
    logits = noise(6, 9, seed=1)
    expected = torch.zeros(6, 9).scatter(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    check(submission.batched_top_p(logits, torch.zeros(6)), expected, "p = 0")
    got = submission.batched_top_p(torch.tensor([[0.0, 3.0, 3.0]]), torch.zeros(1))
    check(got, [[0.0, 1.0, 0.0]], "p = 0 and two best tokens")


def test_p_one_keeps_the_whole_tail(submission):
    """Probabilities of 1e-29 behind a sum that has reached 1; the row beside it is cut as ever."""
    row = torch.cat((torch.zeros(1000), torch.full((1000,), -60.0)))
    got = submission.batched_top_p(torch.stack((row, row)), torch.tensor([1.0, 0.5]))
    kept = (got > 0).sum(dim=-1).tolist()
    assert kept[0] == 2000, f"p = 1, 1,000 tokens of probability 1e-29: expected 2000 kept, got {kept[0]}"
    assert 498 <= kept[1] <= 502, (
        f"p = 0.5 beside it: expected 500 kept, give or take rounding, got {kept[1]}"
    )


def test_row_does_not_depend_on_the_batch(submission):
    """Alone, last of three and first of forty: the same numbers, bit for bit in what is kept."""
    logits, p = noise(40, 25, seed=2, scale=2.0), torch.linspace(0, 1, 40)
    everybody = submission.batched_top_p(logits, p)
    for n in (0, 7, 20, 39):
        alone = submission.batched_top_p(logits[n : n + 1], p[n : n + 1])
        check(alone, everybody[n : n + 1], f"row {n} alone, beside the same row of 40", 1e-7)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    check(submission.batched_top_p(logits[order], p[order]), everybody[order], "rows in another order", 1e-7)
    for sharp in (0.0, 1.0):
        two = submission.batched_top_p(logits[[5, 6]], torch.tensor([0.5, sharp]))
        alone = submission.batched_top_p(logits[[5]], torch.tensor([0.5]))
        check(two[:1], alone, f"p = 0.5 beside a row of p = {sharp}", 1e-7)


def test_order_of_the_vocabulary_is_kept(submission):
    logits, p = noise(4, 15, seed=4), torch.tensor([0.3, 0.6, 0.9, 1.0])
    order = torch.randperm(15, generator=torch.Generator().manual_seed(5))
    straight = submission.batched_top_p(logits, p)
    check(
        submission.batched_top_p(logits[:, order], p),
        straight[:, order],
        "shuffled logits, the same shuffled",
    )


def operations(submission, logits, p):
    """A driver: how many of torch's functions one call goes through."""
    from torch.overrides import TorchFunctionMode

    class Count(TorchFunctionMode):
        seen = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.seen += 1
            return func(*args, **(kwargs or {}))

    with Count() as count:
        submission.batched_top_p(logits, p)
    return count.seen


def test_operations_do_not_grow_with_the_batch(submission):
    counts = []
    for times in (1, 32):
        logits, p = noise(3, 10, seed=6).repeat(times, 1), torch.tensor([0.0, 0.7, 1.0]).repeat(times)
        counts.append(inside(submission, operations, logits, p))
    assert counts[1] <= counts[0] + 8, (
        f"torch operations for 96 rows: expected as many as for 3 rows ({counts[0]}), got {counts[1]}"
    )


def test_forbidden_tokens_stay_forbidden(submission):
    row = [-torch.inf, 1.0, -torch.inf, 1.0]
    got = submission.batched_top_p(torch.tensor([row] * 3), torch.tensor([0.0, 0.9, 1.0]))
    expected = [[0.0, 1.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5], [0.0, 0.5, 0.0, 0.5]]
    check(got, expected, "two tokens at minus infinity, p = 0, 0.9, 1")


def test_large_logits_stay_finite(submission):
    logits = torch.tensor([[10000.0, 9999.0, -10000.0], [-10000.0, -9999.0, -9998.0]])
    expected = torch.tensor([by_hand(row, 0.8) for row in logits])
    check(
        submission.batched_top_p(logits, torch.tensor([0.8, 0.8])), expected, "logits of 10,000 and -10,000"
    )


def test_half_precision_is_computed_in_single(submission):
    for dtype in (torch.bfloat16, torch.float16):
        logits = noise(5, 4000, seed=7).to(dtype)
        p = torch.tensor([0.2, 0.5, 0.9, 0.99, 1.0])
        got, right = submission.batched_top_p(logits, p), submission.batched_top_p(logits.float(), p)
        check(got, right, f"{dtype} logits, beside the same numbers in float32", 1e-9)
        mass = [float(row.float().softmax(-1)[kept > 0].sum()) for row, kept in zip(logits, got, strict=True)]
        assert all(m >= float(q) - 1e-5 and m < float(q) + 0.002 for m, q in zip(mass, p, strict=True)), (
            f"{dtype}, mass of the nuclei: expected just over {p.tolist()}, got {[round(m, 4) for m in mass]}"
        )


def test_p_of_another_precision(submission):
    logits = noise(3, 6, seed=8)
    p = torch.tensor([0.25, 0.5, 0.75])
    right = submission.batched_top_p(logits, p)
    for dtype in (torch.float64, torch.float16):
        check(submission.batched_top_p(logits, p.to(dtype)), right, f"p in {dtype}")


def test_smallest_shapes(submission):
    check(submission.batched_top_p(torch.empty(0, 5), torch.empty(0)), torch.empty(0, 5), "no rows")
    got = submission.batched_top_p(torch.tensor([[3.0], [-9.0]]), torch.tensor([0.0, 1.0]))
    check(got, [[1.0], [1.0]], "a vocabulary of one")


def test_arguments_stay_as_they_were(submission):
    logits, p = noise(4, 6, seed=9), torch.tensor([0.0, 0.4, 0.8, 1.0])
    kept = logits.clone(), p.clone()
    submission.batched_top_p(logits, p)
    assert torch.equal(logits, kept[0]), f"expected logits unchanged, got {rounded(logits)}"
    assert torch.equal(p, kept[1]), f"expected p unchanged, got {p.tolist()}"
