"""Hidden tests: torch, scikit-learn, weights as copies, separable and badly scaled data, types."""

import numpy as np
import torch

from handbook.practice.checks import close, unchanged


def data(seed, n=80, d=4):
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(n, d)), 3)
    return x, (x @ np.arange(1, d + 1) - 1 + 2 * rng.normal(size=n) > 0).astype(np.int64)


def slope(w, b, x, y, l2, weights=None):
    """The largest entry of both gradients."""
    shares = np.full(len(y), 1 / len(y)) if weights is None else weights / weights.sum()
    z = x @ w + b
    residual = shares * (np.where(z >= 0, 1.0, np.exp(np.minimum(z, 0))) / (1 + np.exp(-np.abs(z))) - y)
    return float(np.abs(np.append(x.T @ residual + l2 * w, residual.sum())).max())


def test_torch_agrees(submission):
    """Loss and gradients against torch's binary cross-entropy with logits, and its backward pass."""
    for seed in range(4):
        x, y = data(seed)
        rng = np.random.default_rng(seed)
        w, b, weights = 3 * rng.normal(size=4), 0.7, rng.uniform(0, 3, 80)
        tw, tb = torch.tensor(w, requires_grad=True), torch.tensor(b, dtype=torch.float64, requires_grad=True)
        rows = torch.nn.functional.binary_cross_entropy_with_logits(
            torch.from_numpy(x) @ tw + tb, torch.from_numpy(y).double(), reduction="none"
        )
        expected = (rows * torch.from_numpy(weights / weights.sum())).sum() + 0.1 / 2 * tw @ tw
        expected.backward()
        loss, dw, db = submission.loss_and_gradients(w, b, x, y, 0.1, weights)
        close(loss, expected.item(), f"seed {seed}: loss", rtol=1e-10, peer="torch")
        close(dw, tw.grad.numpy(), f"seed {seed}: gradient by w", rtol=1e-9, atol=1e-12, peer="torch")
        close(db, tb.grad.item(), f"seed {seed}: gradient by b", rtol=1e-9, atol=1e-12, peer="torch")


SKLEARN = (
    [0.30732879606440255, 0.8165361449431499, 1.068596909059083, 1.2603840712057688],
    -0.30002775583061975,
)


def test_scikit_learn_agrees(submission):
    """scikit-learn 1.9.1, LogisticRegression(C=1 / (80 * 0.05), tol=1e-12) on data(0)."""
    x, y = data(0)
    w, b = submission.fit(x, y, 0.05)
    close(w, np.array(SKLEARN[0]), "w", rtol=1e-5, peer="scikit-learn 1.9.1")
    close(b, SKLEARN[1], "b", rtol=1e-5, peer="scikit-learn 1.9.1")


def test_weights_are_copies(submission):
    """A row of weight 3 is a row three times; one of weight 0 is not there; scaling all changes nothing."""
    x, y = data(5, 30)
    weights = np.arange(30) % 4
    x3, y3 = np.repeat(x, weights, axis=0), np.repeat(y, weights)
    point = np.array([0.3, -0.2, 0.5, 0.1]), 0.2
    expected = submission.loss_and_gradients(*point, x3, y3, 0.2)
    for scale in (1.0, 2.0, 0.001):
        got = submission.loss_and_gradients(*point, x, y, 0.2, scale * weights)
        close(got, expected, f"loss and gradients with weights times {scale}")
        close(submission.fit(x, y, 0.2, scale * weights), submission.fit(x3, y3, 0.2), "fit with weights")


def test_separable_data(submission):
    """Classes that a line separates: the penalty alone keeps the weights finite."""
    x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    y = np.array([0, 0, 1, 1])
    for l2 in (1.0, 1e-3, 1e-6):
        w, b = submission.fit(x, y, l2)
        got = slope(w, b, x, y, l2)
        assert got <= 1.1e-8, f"l2 = {l2}: expected gradients of at most 1e-8, got {got:.3g}"


def test_badly_scaled_features(submission):
    """One column in thousands, one in thousandths, one constant."""
    x, y = data(6, 150, 3)
    x = x * np.array([1000.0, 1.0, 0.001]) + np.array([0.0, 5.0, 0.0])
    x = np.concatenate((x, np.ones((150, 1))), axis=1)
    w, b = submission.fit(x, y, 1e-4)
    got = slope(w, b, x, y, 1e-4)
    assert got <= 1.1e-8, f"columns of different scale: expected gradients of at most 1e-8, got {got:.3g}"


def test_outliers_do_not_diverge(submission):
    """Data on which full Newton steps from 0 run away: they have to be damped."""
    for seed in (5942, 7952):
        rng = np.random.default_rng(seed)
        n, d = rng.integers(6, 40), rng.integers(1, 3)
        x = rng.normal(size=(n, d))
        y = (rng.random(n) < rng.uniform(0.02, 0.5)).astype(int)
        y[0], y[-1] = 1, 0
        k = rng.integers(1, 5)
        x[:k] += rng.uniform(20, 200) * rng.choice([-1, 1], size=(k, 1))
        x = np.round(x, 2)
        w, b = submission.fit(x, y, 1e-3)
        got = slope(w, b, x, y, 1e-3)
        assert got <= 1.1e-8, f"seed {seed}: expected gradients of at most 1e-8, got {got:.3g}"


def test_tolerance_is_asked_for(submission):
    """A looser tolerance is met, and so is a tight one."""
    x, y = data(8)
    for tolerance in (1e-2, 1e-5, 1e-10):
        w, b = submission.fit(x, y, 0.01, None, tolerance)
        got = slope(w, b, x, y, 0.01)
        assert got <= 1.1 * tolerance, f"expected gradients of at most {tolerance}, got {got:.3g}"


def test_types_and_arguments_unchanged(submission):
    """float32 features, boolean-like int8 labels; float64 out; nothing changed."""
    x, y = data(9)
    x, y, w = x.astype(np.float32), y.astype(np.int8), np.array([0.1, 0.2, 0.3, 0.4])
    weights = np.arange(1, 81)
    kept = x.copy(), y.copy(), w.copy(), weights.copy()
    loss, dw, db = submission.loss_and_gradients(w, 0.5, x, y, 0.1, weights)
    expected = submission.loss_and_gradients(w, 0.5, x.astype(np.float64), y.astype(np.int64), 0.1, weights)
    close((loss, dw, db), expected, "float32 features", rtol=1e-9)
    assert isinstance(db, float), f"gradient by b: expected a float, got {type(db).__name__}"
    fitted, bias = submission.fit(x, y, 0.1, weights)
    assert isinstance(bias, float), f"bias: expected a float, got {type(bias).__name__}"
    assert fitted.dtype == np.float64, f"w: expected dtype float64, got {fitted.dtype}"
    for now, before, name in zip((x, y, w, weights), kept, ("x", "y", "w", "weights"), strict=True):
        unchanged(now, before, name)
