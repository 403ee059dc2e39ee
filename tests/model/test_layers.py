"""Norms and networks against torch's and transformers' own."""

import torch
from torch import nn

from handbook.model.layers import GeluMLP, LayerNorm, RMSNorm, SwiGLU, layer_norm, rms_norm


def test_worked_example():
    """The root mean square of (3, 4) over two axes is sqrt(12.5)."""
    got = rms_norm(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0]), eps=0.0)
    torch.testing.assert_close(got, torch.tensor([3.0, 8.0]) / 12.5**0.5)


def test_rms_norm_is_torchs():
    torch.manual_seed(0)
    ours, theirs = RMSNorm(32, 1e-3), nn.RMSNorm(32, 1e-3)
    ours.weight.data = theirs.weight.data = torch.randn(32)
    x = torch.randn(2, 5, 32)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-6, atol=1e-6)


def test_rms_norm_takes_the_mean_in_fp32():
    """300 squared is past the largest fp16 number."""
    x = torch.full((4,), 300.0, dtype=torch.float16)
    assert rms_norm(x, torch.ones(4, dtype=torch.float16), 1e-5).tolist() == [1.0] * 4


def test_layer_norm_is_torchs_and_its_formula():
    torch.manual_seed(0)
    ours = LayerNorm(32, 1e-3)
    ours.weight.data, ours.bias.data = torch.randn(32), torch.randn(32)
    x = torch.randn(2, 5, 32)
    formula = layer_norm(x, ours.weight, ours.bias, 1e-3)
    torch.testing.assert_close(ours(x), formula, rtol=1e-5, atol=1e-6)


def test_swiglu_is_llamas():
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaMLP

    torch.manual_seed(0)
    theirs, ours = (
        LlamaMLP(LlamaConfig(hidden_size=16, intermediate_size=40, num_attention_heads=4)),
        SwiGLU(16, 40),
    )
    for mine, other in (
        (ours.gate, theirs.gate_proj),
        (ours.up, theirs.up_proj),
        (ours.down, theirs.down_proj),
    ):
        mine.weight.data = other.weight.data
    x = torch.randn(3, 16)
    torch.testing.assert_close(ours(x), theirs(x))


def test_gelu_is_the_exact_one():
    layer = GeluMLP(1, 1)
    for part in (layer.up, layer.down):
        part.weight.data, part.bias.data = torch.ones(1, 1), torch.zeros(1)
    x = torch.linspace(-3, 3, 50)[:, None]
    torch.testing.assert_close(layer(x), x * torch.special.ndtr(x), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(layer(x), nn.functional.gelu(x, approximate="tanh"), atol=1e-5)
