"""Hidden tests: steps against a full pass, MHA and MQA, what may change, precision, size of the scores."""

import torch
import torch.nn.functional as F

from handbook.practice.checks import inside


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def full_pass(q, k, v):
    """Causal attention over the whole sequence at once: q [B, H, T, D], k and v [B, J, T, D]."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def decode(submission, q, k, v, capacity):
    B, J, T, D = k.shape
    cache_k, cache_v = torch.full((2, B, J, capacity, D), float("nan"))
    steps = []
    for t in range(T):
        now = slice(t, t + 1)
        steps.append(submission.decode_step(q[:, :, now], k[:, :, now], v[:, :, now], cache_k, cache_v, t))
    return torch.cat(steps, dim=2)


def compare(submission, B, H, J, T, D, what):
    q, k, v = noise(B, H, T, D, seed=1), noise(B, J, T, D, seed=2), noise(B, J, T, D, seed=3)
    off = (decode(submission, q, k, v, capacity=T) - full_pass(q, k, v)).abs().max().item()
    assert off < 1e-5, f"{what}: expected the full causal pass, got a difference of {off:.2e}"


def test_steps_equal_full_pass(submission):
    compare(submission, B=2, H=6, J=2, T=9, D=8, what="9 steps, 6 query heads, 2 key and value heads")


def test_multi_head_and_multi_query_are_the_ends(submission):
    compare(submission, B=1, H=4, J=4, T=5, D=8, what="J = H (multi-head)")
    compare(submission, B=1, H=4, J=1, T=5, D=8, what="J = 1 (multi-query)")


def test_neighbouring_query_heads_share(submission):
    """Key and value head 0 holds ones, head 1 holds twos: outputs name the head that was read."""
    v = torch.tensor([1.0, 2.0])[None, :, None, None].expand(1, 2, 1, 4)
    cache_k, cache_v = torch.zeros(1, 2, 2, 4), torch.zeros(1, 2, 2, 4)
    got = submission.decode_step(torch.zeros(1, 6, 1, 4), torch.zeros(1, 2, 1, 4), v, cache_k, cache_v, 0)
    read = got[0, :, 0, 0].tolist()
    assert read == [1, 1, 1, 2, 2, 2], f"6 query heads over 2: expected values [1, 1, 1, 2, 2, 2], got {read}"


def test_only_one_slot_changes(submission):
    cache_k, cache_v = noise(2, 2, 8, 4, seed=4), noise(2, 2, 8, 4, seed=5)
    kept_k, kept_v = cache_k.clone(), cache_v.clone()
    submission.decode_step(noise(2, 4, 1, 4), noise(2, 2, 1, 4), noise(2, 2, 1, 4), cache_k, cache_v, 5)
    for name, now, before in (("cache_k", cache_k, kept_k), ("cache_v", cache_v, kept_v)):
        changed = (now != before).any(dim=-1).any(dim=0).any(dim=0).nonzero().flatten().tolist()
        assert changed == [5], f"{name}, length 5: expected slot 5 to change and no other, got {changed}"


def overwritten(submission, q, k, v, cache_k, cache_v):
    """A driver: the result of a step, and the same object after the cache is used for something else."""
    got = submission.decode_step(q, k, v, cache_k, cache_v, 0)
    kept = got.clone()
    cache_v.fill_(7.0)
    return kept, got


def test_result_is_not_a_window_into_the_cache(submission):
    q, k, v = noise(1, 1, 1, 4), noise(1, 1, 1, 4, seed=1), noise(1, 1, 1, 4, seed=2)
    cache_k, cache_v = torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)
    kept, got = inside(submission, overwritten, q, k, v, cache_k, cache_v)
    assert torch.equal(got, kept), (
        "the cache is reused after the step: expected the result unchanged, got it overwritten"
    )


def softmax_sizes(submission, *args):
    """A driver: how many numbers each softmax gets."""
    import torch
    import torch.nn.functional as F

    seen, method, function = [], torch.Tensor.softmax, F.softmax

    def of(real):
        def counted(tensor, *args, **kwargs):
            seen.append(tensor.numel())
            return real(tensor, *args, **kwargs)

        return counted

    torch.Tensor.softmax, F.softmax = of(method), of(function)
    try:
        submission.decode_step(*args)
    finally:
        torch.Tensor.softmax, F.softmax = method, function
    return seen


def test_scores_have_the_size_of_what_is_stored(submission):
    """Softmax sees length + 1 keys, not the capacity."""
    cache_k, cache_v = torch.zeros(2, 2, 64, 4), torch.zeros(2, 2, 64, 4)
    given = noise(2, 4, 1, 4), noise(2, 2, 1, 4), noise(2, 2, 1, 4), cache_k, cache_v, 3
    seen = inside(submission, softmax_sizes, *given)
    assert all(size <= 2 * 4 * 4 for size in seen), (
        f"B = 2, H = 4, length 3: expected at most 32 scores, got {seen}"
    )


def test_half_precision_cache(submission):
    arguments = [t.to(torch.bfloat16) for t in (noise(1, 4, 1, 8), noise(1, 2, 1, 8), noise(1, 2, 1, 8))]
    cache_k, cache_v = noise(1, 2, 4, 8).to(torch.bfloat16), noise(1, 2, 4, 8).to(torch.bfloat16)
    got = submission.decode_step(*arguments, cache_k, cache_v, 2)
    assert got.dtype == torch.bfloat16, f"bfloat16 in: expected bfloat16 out, got {got.dtype}"
    assert torch.isfinite(got).all(), "bfloat16: expected finite numbers, got NaN or infinity"
