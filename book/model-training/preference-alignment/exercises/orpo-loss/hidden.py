"""Hidden tests: odds near 0 and far from it with their gradients, masks, lengths, precision."""

import math

import torch

from handbook.practice.checks import gradients, inside

FAR = [
    -1e-30,
    -1e-20,
    -1e-9,
    -1e-7,
    -1e-4,
    -0.01,
    -0.5,
    -0.693,
    -0.6932,
    -1.0,
    -5.0,
    -20.0,
    -104.0,
    -1e3,
    -1e4,
]


def noise(*shape, seed=0):
    return -torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3 - 0.01


def lengths(B, T, seed):
    ends = torch.randint(1, T + 1, (B, 1), generator=torch.Generator().manual_seed(seed))
    return torch.arange(T) < ends


def check(got, expected, what, tolerance=1e-5):
    expected = torch.as_tensor(expected)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.double(), expected.double(), rtol=tolerance, atol=1e-6), (
        f"{what}: expected {[float(f'{x:.6g}') for x in expected.flatten().tolist()[:8]]}, "
        f"got {[float(f'{x:.6g}') for x in got.flatten().tolist()[:8]]}"
    )


def odds_by_hand(x):
    """Python's own functions, in double precision."""
    return x - (math.log(-math.expm1(x)) if x > -0.5 else math.log1p(-math.exp(x)))


def by_hand(chosen, chosen_mask, rejected, rejected_mask, weight):
    out = []
    for c, cm, r, rm in zip(chosen, chosen_mask, rejected, rejected_mask, strict=True):
        means = [float(row[kept].double().mean()) for row, kept in ((c, cm), (r, rm))]
        apart = odds_by_hand(means[0]) - odds_by_hand(means[1])
        out.append(-means[0] + weight * (math.log1p(math.exp(-apart)) if apart > -30 else -apart))
    return torch.tensor(out, dtype=torch.float64)


def test_odds_near_zero_and_far_from_it(submission):
    for dtype in (torch.float32, torch.float64):
        for number in FAR:
            x = torch.tensor([number], dtype=dtype)
            check(submission.log_odds(x), [odds_by_hand(float(x))], f"log odds at {number}, {dtype}")


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


def test_gradient_of_the_odds(submission):
    for number in FAR:
        x = torch.tensor([number])
        _, (slope,) = inside(submission, slopes, "log_odds", (x,), [0])
        check(slope, [-1 / math.expm1(float(x))], f"slope of log odds at {number}")


def test_gradient_where_near_and_far_stand_side_by_side(submission):
    """torch.where hands the branch that was not taken a gradient of 0, and 0 times infinity is NaN."""
    x = torch.tensor(FAR)
    _, (slope,) = inside(submission, slopes, "log_odds", (x,), [0])
    check(slope, [-1 / math.expm1(number) for number in x.tolist()], "slopes of all at once")


def test_equals_the_definition(submission):
    for seed, (B, T, S) in enumerate([(4, 6, 6), (3, 5, 9), (1, 1, 1), (6, 8, 2)]):
        given = (
            noise(B, T, seed=seed),
            lengths(B, T, seed),
            noise(B, S, seed=seed + 9),
            lengths(B, S, seed + 9),
        )
        for weight in (0.0, 0.1, 1.0, 7.0):
            check(submission.orpo_loss(*given, weight), by_hand(*given, weight), f"B = {B}, weight {weight}")


def test_mean_not_sum(submission):
    """Twice as long at the same probability a token: the same loss."""
    short, long = torch.full((1, 3), -0.7), torch.full((1, 60), -0.7)
    other, one = torch.full((1, 2), -1.1), torch.ones(1, 2, dtype=torch.bool)
    a = submission.orpo_loss(short, short < 0, other, one, 1.0)
    b = submission.orpo_loss(long, long < 0, other, one, 1.0)
    check(b, a.tolist(), "60 tokens of -0.7 as 3 of them", 1e-5)


def test_mask_need_not_stand_at_the_left(submission):
    mask = torch.tensor([[False, True, False, True]])
    x = torch.tensor([[-9.0, -1.0, -9.0, -2.0]])
    got = submission.orpo_loss(x, mask, x, ~mask, 0.3)
    check(got, by_hand(x, mask, x, ~mask, 0.3), "tokens 1 and 3 against tokens 0 and 2")


def test_what_is_masked_may_be_anything(submission):
    chosen, rejected = noise(3, 5, seed=20).float(), noise(3, 4, seed=21).float()
    masks = lengths(3, 5, 22), lengths(3, 4, 23)
    masks[0][0, 2:] = masks[1][1, 1:] = False
    expected = by_hand(chosen, masks[0], rejected, masks[1], 0.5)
    for poison in (math.nan, math.inf, -math.inf, 0.0):
        one, other = (x.masked_fill(~mask, poison) for x, mask in zip((chosen, rejected), masks, strict=True))
        given = one, masks[0], other, masks[1], 0.5
        got, found = inside(submission, slopes, "orpo_loss", given, [0, 2])
        check(got, expected, f"{poison} where the masks are False")
        for slope, mask in zip(found, masks, strict=True):
            assert slope is not None, "gradient of the loss: expected one, got None"
            assert torch.isfinite(slope).all(), f"gradient with {poison} masked: expected finite, got NaN"
            assert not slope[~mask].any(), f"gradient where {poison} stood: expected 0, got another"


def test_gradient(submission):
    """Against central differences of the submission's own values."""
    chosen, rejected = (noise(3, 4, seed=seed) for seed in (30, 31))
    masks = lengths(3, 4, 32), lengths(3, 4, 33)
    _, got = inside(submission, slopes, "orpo_loss", (chosen, masks[0], rejected, masks[1], 0.8), [0, 2])

    def total(a, b):
        return float(
            submission.orpo_loss(torch.from_numpy(a), masks[0], torch.from_numpy(b), masks[1], 0.8).sum()
        )

    assert None not in got, f"gradient of the loss: expected two, got {got}"
    analytic = [slope.numpy() for slope in got]
    gradients(total, [chosen.numpy(), rejected.numpy()], analytic, "gradient of the loss")


def test_extremes_stay_finite(submission):
    """A sure chosen answer, a hopeless one, and both the wrong way round."""
    sure, hopeless, one = torch.tensor([[-1e-9]]), torch.tensor([[-5e3]]), torch.ones(1, 1, dtype=torch.bool)
    for name, (a, b) in {"right": (sure, hopeless), "wrong": (hopeless, sure)}.items():
        got, found = inside(submission, slopes, "orpo_loss", (a, one, b, one, 0.1), [0, 2])
        check(got, by_hand(a, one, b, one, 0.1), f"-1e-9 and -5,000, the {name} way round")
        for slope in found:
            assert slope is not None, "its gradient: expected one, got None"
            assert torch.isfinite(slope).all(), f"its gradient: expected finite, got {slope.tolist()}"


def test_half_precision_is_computed_in_single(submission):
    chosen, rejected = (noise(2, 300, seed=seed).to(torch.bfloat16) for seed in (40, 41))
    mask = torch.ones(2, 300, dtype=torch.bool)
    got = submission.orpo_loss(chosen, mask, rejected, mask, 0.5)
    assert got.dtype == torch.float32, f"bfloat16: expected a float32 loss, got {got.dtype}"
    check(got, by_hand(chosen, mask, rejected, mask, 0.5), "300 bfloat16 tokens", 1e-4)
    odds = submission.log_odds(torch.tensor([-0.001], dtype=torch.bfloat16))
    assert odds.dtype == torch.float32, f"odds of bfloat16: expected float32, got {odds.dtype}"
    wide = submission.orpo_loss(chosen.double(), mask, rejected.double(), mask, 0.5)
    assert wide.dtype == torch.float64, f"float64: expected a float64 loss, got {wide.dtype}"


def test_arguments_stay_as_they_were(submission):
    given = [noise(2, 3, seed=50), lengths(2, 3, 51), noise(2, 3, seed=52), lengths(2, 3, 53)]
    given[0][0, 2] = given[2][0, 2] = -70.0
    kept = [tensor.clone() for tensor in given]
    submission.orpo_loss(*given, 0.5)
    submission.log_odds(given[0])
    for name, now, before in zip(
        ("chosen", "chosen_mask", "rejected", "rejected_mask"), given, kept, strict=True
    ):
        assert torch.equal(now, before), f"expected {name} unchanged, got a changed tensor"
