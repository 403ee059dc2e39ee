"""Hidden tests: equality with torch, broadcasting, stability, precision, no shortcuts."""

import torch
import torch.nn.functional as F

from handbook.practice.checks import inside

REFERENCE = F.scaled_dot_product_attention


def rounded(tensor):
    """Nested lists with four decimals, for messages."""
    return torch.round(tensor.detach().double(), decimals=4).tolist()


def tensors(B=2, H=3, T=5, S=7, D=16, seed=1, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((B, H, T, D), (B, H, S, D), (B, H, S, D))
    return tuple(scale * torch.randn(*shape, generator=generator) for shape in shapes)


def furthest(got, expected):
    return (got.float() - expected.float()).abs().max().item()


def test_equals_torch(submission):
    q, k, v = tensors()
    off = furthest(submission.attention(q, k, v), REFERENCE(q, k, v))
    assert off < 1e-5, f"random tensors: expected torch's result within 1e-5, got a difference of {off:.2e}"


def test_equals_torch_under_causal_mask(submission):
    q, k, v = tensors(T=6, S=6)
    mask = torch.ones(6, 6, dtype=torch.bool).tril()
    off = furthest(submission.attention(q, k, v, mask), REFERENCE(q, k, v, attn_mask=mask))
    assert off < 1e-5, f"causal mask: expected torch's result within 1e-5, got a difference of {off:.2e}"


def test_padding_mask_broadcasts_over_heads_and_queries(submission):
    q, k, v = tensors(B=2, T=4, S=6)
    mask = torch.ones(2, 1, 1, 6, dtype=torch.bool)
    mask[1, ..., 4:] = False
    off = furthest(submission.attention(q, k, v, mask), REFERENCE(q, k, v, attn_mask=mask))
    assert off < 1e-5, (
        f"padding mask [B, 1, 1, S]: expected torch's result within 1e-5, got a difference of {off:.2e}"
    )


def test_masked_value_has_no_influence(submission):
    q, k, v = tensors(T=3, S=4)
    mask = torch.tensor([True, True, True, False]).expand(3, 4)
    before = submission.attention(q, k, v, mask)
    k[..., 3, :], v[..., 3, :] = 50.0, 1e6
    off = furthest(submission.attention(q, k, v, mask), before)
    assert off == 0.0, (
        f"a masked key and value changed: expected the same output, got a difference of {off:.2e}"
    )


def test_large_scores_stay_finite(submission):
    q, k, v = tensors(scale=300.0)
    got = submission.attention(q, k, v)
    assert torch.isfinite(got).all(), "entries around 300: expected finite numbers, got NaN or infinity"
    off = furthest(got, REFERENCE(q, k, v))
    assert off < 0.1, f"entries around 300: expected torch's result within 0.1, got a difference of {off:.2e}"


def test_half_precision_keeps_dtype_and_does_not_overflow(submission):
    for dtype in (torch.float16, torch.bfloat16):
        q = torch.full((1, 1, 2, 64), 100.0, dtype=dtype)
        k = torch.full((1, 1, 3, 64), 100.0, dtype=dtype)
        v = torch.arange(3, dtype=dtype)[None, None, :, None].expand(1, 1, 3, 64)
        got = submission.attention(q, k, v)
        assert got.dtype == dtype, f"{dtype} in: expected {dtype} out, got {got.dtype}"
        assert torch.isfinite(got).all(), (
            f"{dtype}, raw scores of 640000: expected finite numbers, got NaN or infinity"
        )
        assert furthest(got, torch.ones_like(got)) < 0.02, (
            f"{dtype}, three equal scores: expected 1, got {got[0, 0, 0, 0]}"
        )


def test_empty_row_in_a_batch_leaves_its_neighbours_alone(submission):
    q, k, v = tensors(B=2, H=2, T=3, S=3)
    mask = torch.ones(2, 1, 3, 3, dtype=torch.bool)
    mask[0, 0, 1] = False
    got = submission.attention(q, k, v, mask)
    assert (got[0, :, 1] == 0).all(), f"the row without keys: expected zeros, got {rounded(got[0, :, 1])}"
    off = max(
        furthest(got[1], REFERENCE(q, k, v)[1]), furthest(got[0, :, ::2], REFERENCE(q, k, v)[0, :, ::2])
    )
    assert off < 1e-5, f"the other rows: expected torch's result within 1e-5, got a difference of {off:.2e}"


def library(submission, *args):
    """A driver: names under which the module has the library's function, and calls that go to it."""
    import torch.nn.functional as F

    real, calls = F.scaled_dot_product_attention, []

    def counted(*given, **named):
        calls.append(len(given))
        return real(*given, **named)

    names = [name for name, value in vars(submission).items() if value is real]
    F.scaled_dot_product_attention = counted
    try:
        submission.attention(*args)
    finally:
        F.scaled_dot_product_attention = real
    return names, len(calls)


def test_does_not_change_arguments_or_call_the_library(submission):
    q, k, v = tensors()
    mask = torch.ones(5, 7, dtype=torch.bool).tril()
    kept = [t.clone() for t in (q, k, v, mask)]
    names, calls = inside(submission, library, q, k, v, mask)
    assert not names, f"expected your own computation, got scaled_dot_product_attention imported as {names}"
    assert not calls, "expected your own computation, got a call to scaled_dot_product_attention"
    submission.attention(q, k, v, mask)
    same = all(torch.equal(a, b) for a, b in zip((q, k, v, mask), kept, strict=True))
    assert same, "expected q, k, v and mask unchanged after the call, got changed tensors"
