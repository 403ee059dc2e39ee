"""Rotation by position."""

import math

import pytest
import torch

from handbook.model.extension import (
    RopeScaling,
    linear_frequencies,
    llama3_frequencies,
    ntk_theta,
    yarn_attention,
    yarn_frequencies,
)
from handbook.model.rope import (
    apply_partial_rope,
    apply_rope,
    apply_rope_interleaved,
    half_split_to_interleaved,
    interleaved_to_half_split,
    rope_frequencies,
    rope_tables,
)


def test_worked_example():
    """Head size 4, theta 100: pairs turn 1 and 0.1 radians a position. At position 2 the first turns by 2."""
    frequencies = rope_frequencies(4, theta=100.0)
    torch.testing.assert_close(frequencies, torch.tensor([1.0, 0.1]))
    turned = apply_rope(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), *rope_tables(torch.tensor([2]), 4, 100.0))
    expected = torch.tensor([[math.cos(2), math.cos(0.2), math.sin(2), math.sin(0.2)]])
    torch.testing.assert_close(turned, expected)


def test_position_zero_changes_nothing():
    x = torch.randn(2, 3, 1, 8)
    torch.testing.assert_close(apply_rope(x, *rope_tables(torch.tensor([0]), 8)), x)


def test_lengths_stay():
    x = torch.randn(50, 8)
    turned = apply_rope(x, *rope_tables(torch.arange(50), 8))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))


@pytest.mark.parametrize("shift", [1, 17, 400])
def test_only_the_distance_counts(shift):
    torch.manual_seed(shift)
    q, k = torch.randn(1, 64), torch.randn(1, 64)

    def product(m: int, n: int) -> float:
        turned_q = apply_rope(q, *rope_tables(torch.tensor([m]), 64))
        turned_k = apply_rope(k, *rope_tables(torch.tensor([n]), 64))
        return float((turned_q * turned_k).sum())

    # angles up to 400 radians in fp32 are off by about 400 * 6e-8
    assert product(9 + shift, 4 + shift) == pytest.approx(product(9, 4), abs=1e-3)
    assert product(9, 4) != pytest.approx(product(9, 5), abs=1e-2)


def test_the_papers_pairing_is_the_same_rotation_with_axes_reordered():
    """Queries and keys projected by the interleaved weight and turned in neighbouring pairs give the same
    scores."""
    torch.manual_seed(0)
    heads, D, T = 3, 8, 12
    x, wq, wk = torch.randn(T, 20), torch.randn(heads * D, 20), torch.randn(heads * D, 20)
    cos, sin = rope_tables(torch.arange(T), D)

    def per_head(w: torch.Tensor) -> torch.Tensor:
        return (x @ w.T).view(T, heads, D).transpose(0, 1)

    q, k = (apply_rope_interleaved(per_head(w), cos, sin) for w in (wq, wk))
    papers = q @ k.transpose(-1, -2)
    q, k = (apply_rope(per_head(interleaved_to_half_split(w, heads)), cos, sin) for w in (wq, wk))
    torch.testing.assert_close(q @ k.transpose(-1, -2), papers, rtol=1e-4, atol=1e-4)

    wrong = [apply_rope(per_head(w), cos, sin) for w in (wq, wk)]
    assert (wrong[0] @ wrong[1].transpose(-1, -2) - papers).abs().mean() > 1  # the bug that everybody meets


def test_the_other_way_round():
    """Half-split weights, reordered, under the paper's rotation."""
    torch.manual_seed(1)
    x, wq, wk = torch.randn(9, 20), torch.randn(24, 20), torch.randn(24, 20)
    cos, sin = rope_tables(torch.arange(9), 8)

    def scores(turn, reorder) -> torch.Tensor:
        q, k = (turn((x @ reorder(w, 3).T).view(9, 3, 8).transpose(0, 1), cos, sin) for w in (wq, wk))
        return q @ k.transpose(-1, -2)

    expected = scores(apply_rope, lambda w, _: w)
    got = scores(apply_rope_interleaved, half_split_to_interleaved)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_interleaved_by_hand():
    """Channels 0 and 1 are a pair, 2 and 3 the slower one."""
    turned = apply_rope_interleaved(torch.tensor([[1.0, 0, 1, 0]]), *rope_tables(torch.tensor([2]), 4, 100.0))
    expected = torch.tensor([[math.cos(2), math.sin(2), math.cos(0.2), math.sin(0.2)]])
    torch.testing.assert_close(turned, expected)


def test_partial_rotation_leaves_the_rest():
    x = torch.randn(2, 5, 10)
    cos, sin = rope_tables(torch.arange(5), 4)
    turned = apply_partial_rope(x, cos, sin)
    assert torch.equal(turned[..., 4:], x[..., 4:])
    assert torch.equal(turned[..., :4], apply_rope(x[..., :4], cos, sin))
    assert torch.equal(apply_partial_rope(x[..., :4], cos, sin), apply_rope(x[..., :4], cos, sin))


@pytest.mark.parametrize("shape", [(24, 5), (24,)])
def test_reordering_goes_both_ways(shape):
    weight = torch.randn(shape)
    assert torch.equal(half_split_to_interleaved(interleaved_to_half_split(weight, 3), 3), weight)
    assert not torch.equal(interleaved_to_half_split(weight, 3), weight)


THEIRS = {
    "linear": {"factor": 4.0},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 4096},
}
OURS = {
    "linear": RopeScaling("linear", 4.0),
    "llama3": RopeScaling("llama3", 8.0, 8192, 1.0, 4.0),
    "yarn": RopeScaling("yarn", 4.0, 4096),
}


@pytest.mark.parametrize("theta", [1e4, 5e5])
@pytest.mark.parametrize("kind", THEIRS)
def test_extensions_are_those_of_transformers(kind, theta):
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = {"rope_type": kind, "rope_theta": theta} | THEIRS[kind]
    config = LlamaConfig(
        hidden_size=512, num_attention_heads=4, max_position_embeddings=32768, rope_parameters=parameters
    )
    expected, factor = ROPE_INIT_FUNCTIONS[kind](config, "cpu")
    got, scale = OURS[kind].apply(rope_frequencies(128, theta), theta)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=0)
    assert scale == pytest.approx(factor)


@pytest.mark.parametrize("length", [1, 100, 101, 250, 400])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_dynamic_ntk_is_that_of_transformers(length, share):
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0, "partial_rotary_factor": share}
    config = LlamaConfig(
        hidden_size=64, num_attention_heads=2, max_position_embeddings=100, rope_parameters=parameters
    )
    expected, _ = ROPE_INIT_FUNCTIONS["dynamic"](config, "cpu", seq_len=length)
    frequencies = rope_frequencies(int(32 * share))
    got, scale = RopeScaling("dynamic", 4.0, 100).apply(frequencies, 1e4, length)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=0)
    assert scale == 1
    if length <= 100:
        torch.testing.assert_close(got, frequencies, rtol=1e-6, atol=0)
    if length == 400:  # the whole factor's worth: 4 * 4 - 3 = 13 times, more than NTK-aware's 4
        assert got[-1] == pytest.approx(float(frequencies[-1]) / 13)


def test_extensions_keep_fast_pairs_and_squeeze_slow_ones():
    frequencies = rope_frequencies(128)
    ends = [0, -1]
    for changed in (
        llama3_frequencies(frequencies, 8.0, 8192, 1.0, 4.0),
        yarn_frequencies(frequencies, 8.0, 8192, 1.0, 32.0, theta=1e4),
        rope_frequencies(128, ntk_theta(1e4, 8.0, 128)),
    ):
        torch.testing.assert_close(changed[ends], frequencies[ends] / torch.tensor([1.0, 8.0]))
    torch.testing.assert_close(linear_frequencies(frequencies, 8.0), frequencies / 8)
    assert yarn_attention(1.0) == 1.0
    assert yarn_attention(math.e) == pytest.approx(1.1)
