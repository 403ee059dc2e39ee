"""Logits against transformers, on tiny random models over all switches."""

import pytest
import torch

from handbook.model.transformer import Trace

YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 3.0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
SWITCHES = {
    "mha": ("llama", {"num_key_value_heads": 6}),
    "gqa": ("llama", {"num_key_value_heads": 2}),
    "mqa": ("llama", {"num_key_value_heads": 1}),
    "tied": ("llama", {"tie_word_embeddings": True}),
    "attention biases": ("llama", {"attention_bias": True}),
    "mlp biases": ("llama", {"mlp_bias": True}),
    "theta": ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 100000.0}}),
    "wide heads": ("llama", {"head_dim": 16}),
    "narrow heads": ("llama", {"head_dim": 4, "num_key_value_heads": 3}),
    "epsilon": ("llama", {"rms_norm_eps": 1e-2}),
    "linear": ("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}),
    "llama3": ("llama", {"rope_parameters": LLAMA3}),
    "dynamic, within": ("llama", {"rope_parameters": DYNAMIC}),
    "yarn": ("llama", {"rope_parameters": YARN}),
    "mistral": ("mistral", {"head_dim": 8, "sliding_window": None}),
    "mistral's window": ("mistral", {"head_dim": 8, "sliding_window": 9}),
    "qwen2's windows": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
    ),
    "qwen2": ("qwen2", {}),
    "qwen2 never has an output bias": ("qwen2", {"attention_bias": True}),
    "qwen3": ("qwen3", {"head_dim": 12}),
    "qwen3 biases": ("qwen3", {"head_dim": 12, "attention_bias": True}),
}
# fp32 has 24 bits: sums of about 100 products of size 1 differ by a few 1e-6 when their order differs.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(params=SWITCHES, scope="module")
def pair(request, tiny):
    kind, switches = SWITCHES[request.param]
    return tiny(kind, **switches)


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(0, 96, (2, 70), generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def expected(pair, tokens):
    with torch.inference_mode():
        logits = pair.theirs(tokens).logits
    assert logits.std() > 0.3, "logits this small would agree whatever was computed"
    return logits


def test_logits_are_those_of_transformers(pair, tokens, expected):
    with torch.inference_mode():
        torch.testing.assert_close(pair.ours(tokens), expected, **TOLERANCE)


def test_logits_with_cache_in_uneven_pieces(pair, tokens, expected):
    cache = pair.ours.new_cache(70, batch=2)
    with torch.inference_mode():
        pieces = [pair.ours(piece, cache) for piece in tokens.split([40, 1, 1, 17, 1, 10], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected, **TOLERANCE)


def test_logits_with_a_cache_that_forgets(pair, tokens, expected):
    cache = pair.ours.new_window_cache()
    with torch.inference_mode():
        pieces = [pair.ours(piece, cache) for piece in tokens.split([3, 1, 36, 1, 1, 17, 1, 10], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected, **TOLERANCE)


def test_last_only_is_the_last_position(pair, tokens, expected):
    with torch.inference_mode():
        torch.testing.assert_close(pair.ours(tokens, last_only=True), expected[:, -1:], **TOLERANCE)


def test_trace_takes_the_plain_path_to_the_same_logits(pair, tokens, expected):
    trace = Trace()
    with torch.inference_mode():
        torch.testing.assert_close(pair.ours(tokens, trace=trace), expected, **TOLERANCE)
        theirs = pair.theirs(tokens, output_attentions=True, output_hidden_states=True)
        torch.testing.assert_close(pair.ours.logits_of(trace.hidden[-1]), expected, **TOLERANCE)
    assert len(trace.attention) == len(theirs.attentions) == 3
    for ours, other in zip(trace.attention, theirs.attentions, strict=True):
        torch.testing.assert_close(ours, other, **TOLERANCE)
    # transformers' last hidden state is already normalised; ours is the residual stream, which the lens needs
    for ours, other in zip(trace.hidden[:-1], theirs.hidden_states[:-1], strict=True):
        torch.testing.assert_close(ours, other, **TOLERANCE)


def test_dynamic_ntk_past_the_trained_context(tiny, tokens):
    """Theirs in the same pieces: the second finds keys that were turned under the trained base."""
    pair = tiny("llama", rope_parameters=DYNAMIC, max_position_embeddings=40)
    assert pair.ours.config.context == 120
    with torch.inference_mode():
        expected = pair.theirs(tokens).logits
        torch.testing.assert_close(pair.ours(tokens), expected, **TOLERANCE)
        cache = pair.ours.new_cache(70, batch=2)
        pieces, held = [], None
        for piece in tokens.split([38, 32], dim=1):
            theirs = pair.theirs(piece, past_key_values=held, use_cache=True)
            held = theirs.past_key_values
            torch.testing.assert_close(pair.ours(piece, cache), theirs.logits, **TOLERANCE)
            pieces.append(theirs.logits)
    assert not torch.allclose(torch.cat(pieces, dim=1), expected, atol=1e-2)  # as the docstring warns


def test_the_context_is_a_limit(tiny):
    model = tiny().ours
    with pytest.raises(ValueError, match="reads 128 tokens, got 129"):
        model(torch.zeros(1, 129, dtype=torch.long))


def test_gradients_flow_to_every_weight(tiny):
    model = tiny().ours.requires_grad_(True)
    model(torch.arange(20)[None]).square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in model.parameters())
