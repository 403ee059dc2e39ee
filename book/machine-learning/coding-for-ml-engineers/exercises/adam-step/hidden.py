"""Hidden tests: the library, changing settings, gaps, no side effects, dtype, training."""

import numpy as np
import torch

from handbook.practice.checks import close, unchanged


def beside(params, rounds, settings):
    """The parameters after each round of torch's AdamW. grads: a list of dicts."""
    tensors = {name: torch.from_numpy(p.copy()).requires_grad_() for name, p in params.items()}
    optimizer = torch.optim.AdamW(tensors.values(), lr=1.0)
    for grads, (lr, betas, eps, decay) in zip(rounds, settings, strict=True):
        for group in optimizer.param_groups:
            group.update(lr=lr, betas=betas, eps=eps, weight_decay=decay)
        for name, g in grads.items():
            tensors[name].grad = None if g is None else torch.from_numpy(g.copy())
        optimizer.step()
        yield {name: t.detach().numpy().copy() for name, t in tensors.items()}


def made(seed, rounds, gaps=False):
    rng = np.random.default_rng(seed)
    params = {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    grads = [{name: rng.normal(size=p.shape) for name, p in params.items()} for _ in range(rounds)]
    for table in grads:
        for name in table:
            if gaps and rng.random() < 0.4:
                table[name] = None
    return params, grads


def follow(submission, params, grads, settings, what):
    state = None
    for step, (expected, table, chosen) in enumerate(
        zip(beside(params, grads, settings), grads, settings, strict=True), 1
    ):
        lr, betas, eps, decay = chosen
        params, state = submission.adamw_step(params, table, state, lr, betas, eps, decay)
        close(params, expected, f"{what}, step {step}", rtol=1e-8, atol=1e-12, peer="torch")


def test_parity_with_torch(submission):
    """Twenty steps beside torch.optim.AdamW."""
    params, grads = made(0, 20)
    follow(submission, params, grads, [(0.05, (0.9, 0.999), 1e-8, 0.01)] * 20, "defaults")
    follow(submission, params, grads, [(0.05, (0.8, 0.95), 0.1, 0.3)] * 20, "large eps and decay")


def test_settings_change_from_step_to_step(submission):
    """A schedule of lr, betas and decay takes effect in the step that it is given to."""
    params, grads = made(1, 6)
    settings = [(0.1 / t, (0.9, 1 - 0.1 / t), 1e-6, 0.02 * t) for t in range(1, 7)]
    follow(submission, params, grads, settings, "a schedule")


def test_each_parameter_counts_its_own_steps(submission):
    """Where gradients are missing now and then, the corrections are those of the parameter's own t."""
    params, grads = made(2, 12, gaps=True)
    follow(submission, params, grads, [(0.05, (0.9, 0.999), 1e-8, 0.1)] * 12, "gaps")


def test_a_step_can_be_taken_back(submission):
    """Neither params, grads nor state is changed: the same step twice gives the same."""
    params, grads = made(3, 2)
    before = [{name: a.copy() for name, a in table.items()} for table in (params, *grads)]
    once, state = submission.adamw_step(params, grads[0], None, 0.1)
    first = submission.adamw_step(once, grads[1], state, 0.1)[0]
    second = submission.adamw_step(once, grads[1], state, 0.1)[0]
    close(second, first, "the second step, taken twice from the same state", rtol=0, atol=0)
    for name, now, kept in zip(
        ("params", "first grads", "second grads"), (params, *grads), before, strict=True
    ):
        unchanged(now, kept, name)
    assert "w" in once, f"returned parameters: expected w and b, got {sorted(once)}"


def test_defaults(submission):
    """betas 0.9 and 0.999, eps 1e-8, decay 0.01."""
    params, grads = made(4, 3)
    grads = [{name: 1e-7 * g for name, g in table.items()} for table in grads]  # so small that eps shows
    mine, theirs = (params, None), (params, None)
    for table in grads:
        mine = submission.adamw_step(mine[0], table, mine[1], 0.1)
        theirs = submission.adamw_step(theirs[0], table, theirs[1], 0.1, (0.9, 0.999), 1e-8, 0.01)
    close(mine[0], theirs[0], "defaults", rtol=1e-12)


def test_float32_stays_float32(submission):
    """Parameters keep their dtype over several steps."""
    params, state = {"p": np.ones(3, np.float32)}, None
    for _ in range(3):
        params, state = submission.adamw_step(params, {"p": np.ones(3, np.float32)}, state, 0.1, decay=0.0)
    close(params["p"], np.full(3, 0.7, np.float32), "three steps", rtol=1e-5, dtype=np.float32)


def test_it_finds_a_minimum(submission):
    """300 steps on (p - 3)^2 with badly scaled axes end near 3."""
    params, state, scale = {"p": np.zeros(3)}, None, np.array([1e-3, 1.0, 1e3])
    for step in range(300):
        grads = {"p": scale * 2 * (params["p"] - 3)}
        params, state = submission.adamw_step(params, grads, state, 0.3 * 0.99**step, decay=0.0)
    close(params["p"], np.full(3, 3.0), "the minimum", rtol=1e-2)
