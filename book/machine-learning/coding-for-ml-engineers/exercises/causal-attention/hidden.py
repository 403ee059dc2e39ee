"""Hidden tests: the definition by loops, the library, hostile padding, dtype, a size that forbids loops."""

import numpy as np
import torch

from handbook.practice.checks import close, equal, unchanged


def made(B, H, T, D, E, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(B, H, T, width)).astype(dtype) for width in (D, D, E)]


def by_loops(q, k, v, real):
    B, H, T, D = q.shape
    out = np.zeros((*q.shape[:3], v.shape[-1]))
    for b, h, t in np.ndindex(B, H, T):
        keys = [s for s in range(t + 1) if real[b, s]] if real[b, t] else []
        if keys:
            scores = np.array([q[b, h, t] @ k[b, h, s] for s in keys]) / D**0.5
            weights = np.exp(scores - scores.max())
            out[b, h, t] = sum(w * v[b, h, s] for w, s in zip(weights, keys, strict=True)) / weights.sum()
    return out


def test_definition_by_loops(submission):
    """Random masks over 20 small batches, against the definition one position at a time."""
    for seed in range(20):
        q, k, v = made(3, 2, 5, 3, 4, seed)
        real = np.random.default_rng(100 + seed).random((3, 5)) < 0.6
        got = submission.causal_attention(3 * q, k, v, real)
        close(got, by_loops(3 * q, k, v, real), f"random batch {seed}", rtol=1e-9, atol=1e-12)


def test_parity_with_torch(submission):
    """Equals torch's scaled_dot_product_attention where nothing is padded, and with padding on the right."""
    q, k, v = made(2, 4, 9, 8, 8, 3)
    real = np.ones((2, 9), dtype=bool)
    real[1, 6:] = False
    mask = torch.from_numpy(np.tri(9, dtype=bool) & real[:, None, None, :])
    tensors = [torch.from_numpy(array) for array in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=mask).numpy()
    expected[1, :, 6:] = 0
    close(submission.causal_attention(q, k, v, real), expected, "beside torch", peer="torch", rtol=1e-9)


def test_padding_may_hold_anything(submission):
    """NaN and infinity in padded rows of q, k and v change no number."""
    q, k, v = made(2, 2, 6, 4, 4, 4)
    real = np.array([[True, False, True, True, False, True], [False, True, True, True, True, False]])
    expected = by_loops(q, k, v, real)
    for junk in (np.nan, np.inf, -np.inf, 1e300):
        for name in "qkv":
            arrays = {"q": q.copy(), "k": k.copy(), "v": v.copy()}
            for b in range(2):
                arrays[name][b][:, ~real[b]] = junk
            got = submission.causal_attention(arrays["q"], arrays["k"], arrays["v"], real)
            close(got, expected, f"padding of {name} full of {junk}", rtol=1e-9)


def test_nothing_real_gives_zeros(submission):
    """A sequence of padding alone is all zeros, beside one that is whole."""
    q, k, v = made(2, 1, 4, 2, 2, 5)
    real = np.array([[False] * 4, [True] * 4])
    got = submission.causal_attention(q, k, v, real)
    close(got[0], np.zeros((1, 4, 2)), "a sequence of padding alone")
    close(got, by_loops(q, k, v, real), "the batch of it and a whole sequence", rtol=1e-9)


def test_dtype_is_kept_and_arguments_unchanged(submission):
    """float32 in, float32 out; the four arguments are as they were."""
    q, k, v = made(2, 2, 4, 3, 3, 6, np.float32)
    real = np.array([[True, True, False, False], [False, True, True, True]])
    before = [q.copy(), k.copy(), v.copy(), real.copy()]
    got = submission.causal_attention(q, k, v, real)
    close(got, by_loops(q, k, v, real).astype(np.float32), "float32", rtol=1e-4, atol=1e-5, dtype=np.float32)
    for name, now, kept in zip(("q", "k", "v", "real"), (q, k, v, real), before, strict=True):
        unchanged(now, kept, name)


def test_one_position(submission):
    """A single real position returns its own value, whatever its score."""
    q, k, v = made(1, 3, 1, 2, 4, 7)
    got = submission.causal_attention(q, k, v, np.array([[True]]))
    close(got, v, "one position")
    equal(got.shape, (1, 3, 1, 4), "shape")


def test_a_batch_of_real_size(submission):
    """8 sequences, 8 heads, 256 positions: every row of v = 1 comes out as 1."""
    q, k, v = made(8, 8, 256, 16, 2, 8, np.float32)
    lengths = np.arange(32, 257, 32)
    real = np.arange(256) < lengths[:, None]
    v[:] = 1
    expected = np.broadcast_to(real[:, None, :, None], v.shape).astype(np.float32)
    close(submission.causal_attention(q, k, v, real), expected, "values of 1", rtol=1e-4, atol=1e-5)
