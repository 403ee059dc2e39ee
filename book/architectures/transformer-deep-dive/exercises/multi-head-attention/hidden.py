"""Hidden tests: equality with torch's module, head order, permutation, memory layout, gradients."""

import torch
from torch import nn

from handbook.practice.checks import inside


def weights(C, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(C, C, generator=generator) / C**0.5 for _ in range(4)]


def noise(*shape, seed=5):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reference(x, wq, wk, wv, wo, heads, causal):
    C, T = x.shape[-1], x.shape[1]
    module = nn.MultiheadAttention(C, heads, bias=False, batch_first=True)
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([wq, wk, wv]))
        module.out_proj.weight.copy_(wo)
        hidden = torch.ones(T, T, dtype=torch.bool).triu(1) if causal else None
        return module(x, x, x, attn_mask=hidden, need_weights=False)[0]


def difference(got, expected):
    return (got - expected).abs().max().item()


def test_equals_torch(submission):
    x = noise(3, 7, 24)
    for heads in (1, 2, 4, 8):
        got = submission.multi_head_attention(x, *weights(24), heads=heads)
        off = difference(got, reference(x, *weights(24), heads, causal=False))
        assert off < 1e-5, (
            f"{heads} heads: expected nn.MultiheadAttention's result, got a difference of {off:.2e}"
        )


def test_equals_torch_causal(submission):
    x = noise(2, 9, 16)
    got = submission.multi_head_attention(x, *weights(16), heads=4, causal=True)
    off = difference(got, reference(x, *weights(16), 4, causal=True))
    assert off < 1e-5, (
        f"causal, 4 heads: expected nn.MultiheadAttention's result, got a difference of {off:.2e}"
    )


def test_each_head_owns_a_contiguous_slice(submission):
    """With the second head's values zeroed, its half of the result is zero and the first half is not."""
    wq, wk, wv, _ = weights(8)
    wv = wv.clone()
    wv[4:] = 0.0
    got = submission.multi_head_attention(noise(1, 5, 8), wq, wk, wv, torch.eye(8), heads=2)
    first, second = got[..., :4].abs().max().item(), got[..., 4:].abs().max().item()
    assert second == 0.0, (
        f"values of head 1 are zero: expected channels 4 to 7 to be zero, got up to {second:.3f}"
    )
    assert first > 0.0, "values of head 0 are not zero: expected channels 0 to 3 not all zero, got zeros"


def test_permuting_positions_permutes_the_result(submission):
    x, order = noise(1, 6, 8), torch.tensor([3, 0, 5, 1, 4, 2])
    straight = submission.multi_head_attention(x, *weights(8), heads=2)
    shuffled = submission.multi_head_attention(x[:, order], *weights(8), heads=2)
    off = difference(shuffled, straight[:, order])
    assert off < 1e-5, (
        f"shuffled positions, no mask: expected the same rows shuffled, got a difference of {off:.2e}"
    )


def test_examples_of_a_batch_do_not_mix(submission):
    x = noise(3, 5, 8)
    together = submission.multi_head_attention(x, *weights(8), heads=2)
    alone = submission.multi_head_attention(x[1:2], *weights(8), heads=2)
    off = difference(together[1:2], alone)
    assert off < 1e-5, (
        f"one example alone and in a batch: expected the same rows, got a difference of {off:.2e}"
    )


def of_a_view(submission, x, *rest):
    """A driver: the result for x as a transposed view, not contiguous in memory."""
    return submission.multi_head_attention(x.transpose(1, 2), *rest)


def test_memory_layout_does_not_matter(submission):
    x = noise(2, 8, 6)
    plain = submission.multi_head_attention(x.transpose(1, 2).contiguous(), *weights(8), heads=2)
    off = difference(inside(submission, of_a_view, x, *weights(8), 2), plain)
    assert off < 1e-5, (
        f"a transposed view as x: expected the result of its copy, got a difference of {off:.2e}"
    )


def slopes(submission, x, weights, heads):
    """A driver: the gradients of the result's squares by the four weights."""
    leaves = [w.requires_grad_() for w in weights]
    submission.multi_head_attention(x, *leaves, heads=heads, causal=True).square().sum().backward()
    return [w.grad for w in leaves]


def test_gradients_reach_every_weight(submission):
    got = inside(submission, slopes, noise(2, 5, 8), weights(8), 2)
    for name, slope in zip(("wq", "wk", "wv", "wo"), got, strict=True):
        assert slope is not None, f"{name}: expected a gradient, got none"
        assert slope.abs().max() > 0, f"{name}: expected a gradient other than zero, got zeros"


def test_large_activations_stay_finite(submission):
    got = submission.multi_head_attention(noise(1, 4, 8) * 1e4, *weights(8), heads=2, causal=True)
    assert torch.isfinite(got).all(), "activations around 10000: expected finite numbers, got NaN or infinity"
