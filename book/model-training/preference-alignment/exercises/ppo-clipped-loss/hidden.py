"""Hidden tests: definitions, means over the batch, gradients, what is masked, far ratios, precision."""

import math

import torch

from handbook.practice.checks import gradients, inside


def noise(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def batch(seed, B=4, T=6, scale=0.4):
    """Two log-probabilities some way apart, advantages, and answers of several lengths, one of them empty."""
    old = -noise(B, T, seed=seed).abs()
    ends = torch.randint(1, T + 1, (B, 1), generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(T) < ends
    mask[0] = False
    return old + noise(B, T, seed=seed + 1, scale=scale), old, noise(B, T, seed=seed + 2), mask


def check(got, expected, what, tolerance=1e-6):
    expected = torch.as_tensor(expected, dtype=torch.float64)
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == expected.shape, (
        f"{what}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    )
    assert torch.allclose(got.double(), expected, rtol=tolerance, atol=tolerance), (
        f"{what}: expected {[float(f'{x:.5g}') for x in expected.flatten().tolist()[:8]]}, "
        f"got {[float(f'{x:.5g}') for x in got.flatten().tolist()[:8]]}"
    )


def policy_by_hand(logprobs, old, advantages, mask, clip):
    """A token at a time: loss and share of clipped tokens."""
    terms, clipped = [], 0
    for new, before, gain, kept in zip(
        *(x.flatten().tolist() for x in (logprobs, old, advantages, mask)), strict=True
    ):
        if kept:
            r = math.exp(new - before)
            free, bound = r * gain, min(max(r, 1 - clip), 1 + clip) * gain
            terms.append(-min(free, bound))
            clipped += bound < free
    return sum(terms) / len(terms), clipped / len(terms)


def value_by_hand(values, old, returns, mask, clip):
    terms = []
    for v, before, target, kept in zip(
        *(x.flatten().tolist() for x in (values, old, returns, mask)), strict=True
    ):
        if kept:
            bound = min(max(v, before - clip), before + clip)
            terms.append(max((v - target) ** 2, (bound - target) ** 2) / 2)
    return sum(terms) / len(terms)


def test_policy_loss_equals_the_definition(submission):
    for seed in range(8):
        given = batch(seed)
        for clip in (0.05, 0.2, 0.5):
            loss, clipped = submission.ppo_policy_loss(*given, clip)
            right = policy_by_hand(*given, clip)
            check(loss, right[0], f"policy loss, seed {seed}, clip {clip}")
            check(clipped, right[1], f"share of clipped tokens, seed {seed}, clip {clip}")


def test_value_loss_equals_the_definition(submission):
    for seed in range(8):
        given = batch(seed + 20)
        for clip in (0.05, 0.2, 0.5):
            check(
                submission.ppo_value_loss(*given, clip),
                value_by_hand(*given, clip),
                f"value loss, clip {clip}",
            )


def test_mean_is_over_the_tokens_of_the_batch(submission):
    """An answer of one token and one of three: each token weighs a quarter, whichever answer it is in."""
    old, mask = torch.zeros(2, 3), torch.tensor([[True, False, False], [True, True, True]])
    advantages = torch.tensor([[4.0, 0.0, 0.0], [8.0, 8.0, 8.0]])
    loss, _ = submission.ppo_policy_loss(old, old, advantages, mask)
    check(loss, -7.0, "advantages 4 | 8, 8, 8")
    error = submission.ppo_value_loss(old, old, torch.tensor([[2.0, 0, 0], [0, 0, 0]]), mask)
    check(error, 0.5, "errors 2 | 0, 0, 0: half of 4 / 4")


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


LOSSES = {"ppo_policy_loss": 0, "ppo_value_loss": None}  # the place of the loss in what comes back


def loss_of(submission, name, given, wants):
    """The loss alone, and its gradients by the arguments at the places `wants`."""
    got, found = inside(submission, slopes, name, given, wants, LOSSES[name])
    return got[0] if isinstance(got, tuple) else got, found


def test_each_side_of_the_clip(submission):
    """Beyond the bound in the good direction, and in the bad one, for both signs: loss and slope."""
    one, zero = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1)
    for ratio, gain, loss, slope in (
        (1.3, 1.0, -1.2, 0.0),
        (1.3, -1.0, 1.3, 1.3),
        (0.7, 1.0, -0.7, -0.7),
        (0.7, -1.0, 0.8, 0.0),
        (1.1, 1.0, -1.1, -1.1),
        (0.9, -1.0, 0.9, 0.9),
    ):
        given = torch.tensor([[math.log(ratio)]]), zero, torch.tensor([[gain]]), one
        (got, clipped), (found,) = inside(submission, slopes, "ppo_policy_loss", given, [0], 0)
        what = f"r = {ratio}, A = {gain}"
        check(got, loss, f"loss, {what}")
        check(found, [[slope]], f"slope, {what}")
        check(clipped, float(slope == 0), f"clipped, {what}")


def test_each_side_of_the_value_clip(submission):
    """Far from old and past the target, short of it, and near old."""
    one = torch.ones(1, 1, dtype=torch.bool)
    for value, old, target, loss, slope in (
        (1.0, 0.0, 2.0, 0.5 * 1.8**2, 0.0),
        (1.0, 0.0, -1.0, 0.5 * 2.0**2, 2.0),
        (-1.0, 0.0, -2.0, 0.5 * 1.8**2, 0.0),
        (0.1, 0.0, 1.0, 0.5 * 0.9**2, -0.9),
    ):
        given = torch.tensor([[value]]), torch.tensor([[old]]), torch.tensor([[target]]), one
        got, (found,) = loss_of(submission, "ppo_value_loss", given, [0])
        what = f"V = {value}, old = {old}, R = {target}"
        check(got, loss, f"loss, {what}")
        check(found, [[slope]], f"slope, {what}")


def test_no_advantage_is_not_clipped(submission):
    logprobs, old = torch.tensor([[1.0, -1.0]]), torch.zeros(1, 2)
    _, clipped = submission.ppo_policy_loss(
        logprobs, old, torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    )
    check(clipped, 0.0, "advantages of 0, ratios far outside: share of clipped tokens")


def test_gradients(submission):
    """Against central differences of the submission's own values."""
    logprobs, *rest = batch(40)
    for name in LOSSES:
        _, (slope,) = loss_of(submission, name, (logprobs, *rest), [0])

        def total(x, name=name):
            got = getattr(submission, name)(torch.from_numpy(x), *rest)
            return float(got[0] if isinstance(got, tuple) else got)

        assert slope is not None, f"gradient of {name}: expected one, got None"
        gradients(total, [logprobs.numpy()], [slope.numpy()], f"gradient of {name}")


def test_what_is_masked_may_be_anything(submission):
    given = batch(50)
    mask = given[3]
    right = policy_by_hand(*given, 0.2)[0], value_by_hand(*given, 0.2)
    for poison in (math.nan, math.inf, -math.inf, 1e30):
        dirty = [x.masked_fill(~mask, poison) for x in given[:3]]
        for name, expected in zip(LOSSES, right, strict=True):
            got, (slope,) = loss_of(submission, name, (*dirty, mask), [0])
            check(got, expected, f"{name}, {poison} where the mask is False")
            assert slope is not None, f"gradient of {name}: expected one, got None"
            assert torch.isfinite(slope).all(), (
                f"{name}, gradient with {poison} masked: expected finite, got NaN"
            )
            assert not slope[~mask].any(), f"gradient where {poison} stood: expected 0, got another"


def test_no_token_has_no_gradient(submission):
    for name in LOSSES:
        given = *(noise(2, 3, seed=seed) for seed in range(3)), torch.zeros(2, 3, dtype=torch.bool)
        got, (slope,) = loss_of(submission, name, given, [0])
        check(got, 0.0, f"{name} of no token")
        none = slope is None or not slope.any()
        assert none, f"its gradient: expected 0, got {slope}"


def test_constants_take_no_gradient(submission):
    mask = torch.ones(2, 9, dtype=torch.bool)
    for name in LOSSES:
        given = [noise(2, 9, seed=seed, scale=0.4) for seed in (60, 61, 62)]
        _, found = loss_of(submission, name, (*given, mask), [0, 1, 2])
        assert found[0] is not None, f"{name}: expected a gradient of what is trained, got None"
        for which, slope in zip(("old", "advantages or returns"), found[1:], strict=True):
            moved = slope is not None and bool(slope.any())
            assert not moved, f"{name}, {which}: expected no gradient, got {slope}"


def test_far_ratios_stay_finite(submission):
    logprobs = torch.tensor([[0.0, -60.0, 0.0, -60.0]])
    old, gains = torch.tensor([[-60.0, 0.0, -60.0, 0.0]]), torch.tensor([[1.0, 1.0, -1.0, -1.0]])
    expected = (-1.2, 0.0, math.exp(60), 0.8)
    slopes = (0.0, 0.0, math.exp(60), 0.0)
    for place in range(4):
        mask = torch.arange(4)[None] == place
        loss, (slope,) = loss_of(submission, "ppo_policy_loss", (logprobs, old, gains, mask), [0])
        what = f"differences of 60 and -60, A of 1 and -1, place {place}"
        check(loss, expected[place], f"loss, {what}", 1e-5)
        assert slope is not None, f"slope, {what}: expected one, got None"
        check(slope[0, place], slopes[place], f"slope, {what}", 1e-5)


def test_half_precision_is_computed_in_single(submission):
    given = [x.to(torch.bfloat16) for x in batch(70, B=3, T=300)[:3]]
    mask = torch.ones(3, 300, dtype=torch.bool)
    loss, clipped = submission.ppo_policy_loss(*given, mask)
    right = policy_by_hand(*given, mask, 0.2)
    check(loss, right[0], "policy loss of 900 bfloat16 tokens", 1e-4)
    check(clipped, right[1], "share of clipped tokens, bfloat16", 1e-4)
    error = submission.ppo_value_loss(*given, mask)
    check(error, value_by_hand(*given, mask, 0.2), "value loss of 900 bfloat16 tokens", 1e-4)
    for name, got in (("policy loss", loss), ("value loss", error)):
        assert got.dtype == torch.float32, f"{name} of bfloat16: expected float32, got {got.dtype}"
    wide = submission.ppo_policy_loss(*(x.double() for x in given), mask)[0]
    assert wide.dtype == torch.float64, f"policy loss of float64: expected float64, got {wide.dtype}"


def test_arguments_stay_as_they_were(submission):
    given = batch(80)
    kept = [tensor.clone() for tensor in given]
    submission.ppo_policy_loss(*given)
    submission.ppo_value_loss(*given)
    for name, now, before in zip(("logprobs", "old", "advantages", "mask"), given, kept, strict=True):
        assert torch.equal(now, before), f"expected {name} unchanged, got a changed tensor"
