"""Hidden tests: definitions, gradients, what is masked, the frozen reference, far margins, precision."""

import math

import torch

from handbook.practice.checks import gradients, inside


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def check(got, expected, what, tolerance=1e-5):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.double(), expected.double(), rtol=tolerance, atol=tolerance), (
        f"{what}: expected {[round(x, 5) for x in expected.flatten().tolist()[:8]]}, "
        f"got {[round(x, 5) for x in got.flatten().tolist()[:8]]}"
    )


def case(seed, B=4, T=7, V=11):
    """Rows of different prompts and answers, one without an answer."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, T, V, generator=generator) * 2
    tokens = torch.randint(V, (B, T), generator=generator)
    start = torch.randint(1, T, (B, 1), generator=generator)
    end = start + torch.randint(0, T, (B, 1), generator=generator)
    places = torch.arange(T)
    mask = (places >= start) & (places < end)
    mask[-1] = False
    return logits, tokens, mask


def by_hand(logits, tokens, mask):
    """A token at a time."""
    out = []
    for row, ids, kept in zip(logits.double(), tokens, mask, strict=True):
        total = 0.0
        for t in range(1, len(ids)):
            if kept[t]:
                total += float(row[t - 1].log_softmax(-1)[ids[t]])
        out.append(total)
    return torch.tensor(out, dtype=torch.float64)


def test_logprobs_equal_the_definition(submission):
    for seed in range(10):
        given = case(seed)
        check(submission.answer_logprobs(*given), by_hand(*given), f"four rows, seed {seed}")


def test_long_answers_are_summed_not_averaged(submission):
    got = submission.answer_logprobs(
        torch.zeros(1, 101, 4), torch.zeros(1, 101).long(), torch.arange(101)[None] > 0
    )
    check(got, [-100 * math.log(4)], "100 tokens of probability 1/4")


def test_answer_may_end_before_the_row(submission):
    """Padding behind a short answer, beside a long one: as if it were alone."""
    logits, tokens, _ = case(3, B=2)
    mask = torch.tensor([[False, False, True, True, False, False, False], [False] * 2 + [True] * 5])
    whole = submission.answer_logprobs(logits, tokens, mask)
    alone = submission.answer_logprobs(logits[:1, :4], tokens[:1, :4], mask[:1, :4])
    check(whole[:1], alone, "an answer of 2 in a row of 7, beside the same cut off behind it")


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


def test_what_is_masked_may_be_anything(submission):
    logits, tokens, mask = case(4)
    expected = submission.answer_logprobs(logits, tokens, mask)
    free = torch.ones_like(mask)
    free[:, :-1] = ~mask[:, 1:]  # places whose logits predict nothing that counts
    for poison in (math.nan, math.inf, -math.inf):
        dirty = logits.masked_fill(free[..., None], poison)
        for token in (-100, 10**6):
            given = dirty, tokens.masked_fill(~mask, token), mask
            try:
                got, (slope,) = inside(submission, slopes, "answer_logprobs", given, [0])
            except (IndexError, RuntimeError) as error:
                raise AssertionError(
                    f"id {token} where the mask is False: expected none to look, got {error}"
                ) from error
            check(got, expected, f"{poison} and id {token} where the mask is False", 1e-6)
            assert slope is not None, "gradient of answer_logprobs: expected one, got None"
            assert torch.isfinite(slope).all(), f"gradient with {poison} masked: expected finite, got NaN"
            assert not slope[free].any(), f"gradient where {poison} stood: expected 0, got another"


def test_row_without_an_answer(submission):
    logits, tokens, mask = case(5, B=1)
    given = logits, tokens, torch.zeros_like(mask)
    got, (slope,) = inside(submission, slopes, "answer_logprobs", given, [0])
    check(got, [0.0], "no token of the row counts")
    assert slope is None or not slope.any(), (
        f"gradient of a row that doesn't count: expected 0, got {float(slope.abs().max())}"
    )


def test_vocabulary_of_one(submission):
    """Id 0 is the only one there is, also as what stands in for an id that is masked."""
    tokens, mask = torch.tensor([[-100, 0, 0]]), torch.tensor([[False, False, True]])
    got = submission.answer_logprobs(torch.ones(1, 3, 1), tokens, mask)
    check(got, [0.0], "the only token there is, probability 1")


def test_gradient_of_logprobs(submission):
    """Against central differences of the submission's own values."""
    logits, tokens, mask = case(6, B=3, T=4, V=3)
    mask[0] = torch.tensor([False, True, True, False])
    logits = logits.double()
    _, (slope,) = inside(submission, slopes, "answer_logprobs", (logits, tokens, mask), [0])

    def total(x):
        return float(submission.answer_logprobs(torch.from_numpy(x), tokens, mask).sum())

    assert slope is not None, "gradient of answer_logprobs: expected one, got None"
    gradients(total, [logits.numpy()], [slope.numpy()], "gradient of answer_logprobs")


def test_large_logits_stay_finite(submission):
    logits = torch.tensor([[[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]]])
    mask = torch.tensor([[False, True]])
    for token, expected in ((0, 0.0), (1, -2e4), (2, -1e4)):
        given = logits, torch.tensor([[0, token]]), mask
        got, (slope,) = inside(submission, slopes, "answer_logprobs", given, [0])
        check(got, [expected], f"logits 10,000, -10,000, 0; token {token}")
        assert slope is not None, "its gradient: expected one, got None"
        assert torch.isfinite(slope).all(), f"its gradient: expected finite numbers, got {slope.tolist()}"


def test_half_precision_is_computed_in_single(submission):
    logits, tokens, _ = case(7, B=2, T=200)
    mask = torch.arange(200).repeat(2, 1) > 0
    narrow = logits.to(torch.bfloat16)
    got = submission.answer_logprobs(narrow, tokens, mask)
    assert got.dtype == torch.float32, f"bfloat16 logits: expected float32, got {got.dtype}"
    check(got, by_hand(narrow, tokens, mask), "199 tokens from bfloat16 logits", 1e-4)
    four = [(-200 + noise(16, seed=seed)).to(torch.bfloat16) for seed in range(4)]
    loss = submission.dpo_loss(*four, 0.1)
    assert loss.dtype == torch.float32, f"loss of bfloat16 numbers: expected float32, got {loss.dtype}"
    a, b, c, d = (x.double() for x in four)
    check(loss, torch.log1p(torch.exp(-0.1 * ((a - b) - (c - d)))), "loss of bfloat16 log-probabilities")


def test_loss_equals_the_definition(submission):
    a, b, c, d = (noise(20, seed=seed + 20) * 6 for seed in range(4))
    for beta, s in ((0.1, 0.0), (1.0, 0.0), (0.5, 0.2), (0.01, 0.49)):
        h = beta * ((a - b) - (c - d)).double()
        expected = (1 - s) * torch.log1p(torch.exp(-h)) + s * torch.log1p(torch.exp(h))
        got = submission.dpo_loss(a, b, c, d, beta, s)
        check(got, expected, f"20 pairs, beta = {beta}, s = {s}")


def test_gradient_of_the_loss(submission):
    """Against central differences of the submission's own values."""
    policy = [noise(5, seed=seed + 30, dtype=torch.float64) for seed in range(2)]
    reference = [noise(5, seed=seed + 40, dtype=torch.float64) for seed in range(2)]
    for s in (0.0, 0.3):
        _, got = inside(submission, slopes, "dpo_loss", (*policy, *reference, 0.7, s), [0, 1])

        def total(a, b, s=s):
            both = torch.from_numpy(a), torch.from_numpy(b)
            return float(submission.dpo_loss(*both, *reference, 0.7, s).sum())

        assert None not in got, f"gradient of the loss, s = {s}: expected two, got {got}"
        analytic = [slope.numpy() for slope in got]
        gradients(total, [x.numpy() for x in policy], analytic, f"gradient of the loss, s = {s}")


def test_far_margins(submission):
    """Differences of 100,000: the loss grows in a straight line and its slope is beta."""
    far, near = torch.tensor([-1e5, 0.0]), torch.tensor([0.0, -1e5])
    zero = torch.zeros(2)
    loss, (chosen, rejected) = inside(submission, slopes, "dpo_loss", (far, near, zero, zero, 0.5), [0, 1])
    check(loss, [5e4, 0.0], "margins of -100,000 and 100,000, beta = 0.5")
    check(chosen, [-0.5, 0.0], "slopes at the chosen answers")
    check(rejected, [0.5, 0.0], "slopes at the rejected answers")
    loss = submission.dpo_loss(far, near, zero, zero, 0.5, 0.25)
    check(loss, [0.75 * 5e4, 0.25 * 5e4], "the same, s = 0.25")


def test_reference_takes_no_gradient(submission):
    numbers = [noise(3, seed=seed + 50) for seed in range(4)]
    _, got = inside(submission, slopes, "dpo_loss", (*numbers, 0.3), [0, 1, 2, 3])
    assert got[0] is not None, "the policy's chosen answers: expected a gradient, got None"
    for name, slope in zip(("chosen", "rejected"), got[2:], strict=True):
        moved = slope is not None and bool(slope.any())
        assert not moved, f"the reference's {name} answers: expected no gradient, got {slope}"


def test_smoothing_has_its_least_at_a_finite_margin(submission):
    """Share s of wrong labels: sigmoid(beta m) = 1 - s is best, and no more is gained beyond."""
    best = math.log(0.8 / 0.2) / 0.5
    margins = torch.tensor([best - 0.5, best, best + 0.5, best + 50])
    zero = torch.zeros(4)
    loss = submission.dpo_loss(margins, zero, zero, zero, 0.5, 0.2)
    assert int(loss.argmin()) == 1, (
        f"s = 0.2, beta = 0.5: expected the least at {best:.2f}, got {loss.tolist()}"
    )


def test_arguments_stay_as_they_were(submission):
    given = [*case(8), *(noise(3, seed=seed + 60) for seed in range(4))]
    kept = [tensor.clone() for tensor in given]
    submission.answer_logprobs(*given[:3])
    submission.dpo_loss(*given[3:], 0.1, 0.1)
    names = (
        "logits",
        "tokens",
        "mask",
        "policy_chosen",
        "policy_rejected",
        "reference_chosen",
        "reference_rejected",
    )
    for name, now, before in zip(names, given, kept, strict=True):
        assert torch.equal(now, before), f"expected {name} unchanged, got a changed tensor"
