"""Visible tests: both examples, the four kinds of attention on one shape, arguments that cannot be."""

import math

MISTRAL = {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
}
ALTERNATING = {
    "num_hidden_layers": 4,
    "hidden_size": 4,
    "num_attention_heads": 1,
    "sliding_window": 10,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}
SHAPE = {"num_hidden_layers": 60, "hidden_size": 5120, "num_attention_heads": 128, "head_dim": 128}


def check(got, expected, what):
    """Equal, and of the same type: 1320.0 is not exact."""
    assert (type(got), got) == (type(expected), expected), f"{what}: expected {expected}, got {got!r}"


def test_mistral_example(submission):
    check(submission.cache_bytes(MISTRAL, 1), 131_072, "Mistral 7B, one token")
    check(submission.cache_bytes(MISTRAL, 32_768), 536_870_912, "Mistral 7B, 32,768 tokens")
    check(submission.longest_context(MISTRAL, 512 << 20), math.inf, "Mistral 7B, context in 512 MiB")
    check(submission.longest_context(MISTRAL, (512 << 20) - 1), 4095, "Mistral 7B, in one byte less")


def test_alternating_example(submission):
    check(submission.cache_bytes(ALTERNATING, 100, bits=6), 1320, "alternating, 100 tokens, 6 bits")
    check(submission.longest_context(ALTERNATING, 1320, bits=6), 100, "alternating, 1,320 bytes, 6 bits")


def test_attention_kinds_on_one_shape(submission):
    """The table of the chapter: 60 layers, 128 heads of 128."""
    latent = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "num_key_value_heads": 128}
    kinds = {
        "MHA": ({}, 3_932_160),
        "GQA, 8 heads": ({"num_key_value_heads": 8}, 245_760),
        "MQA": ({"num_key_value_heads": 1}, 30_720),
        "MLA": (latent, 69_120),
    }
    for name, (extra, expected) in kinds.items():
        check(submission.cache_bytes(SHAPE | extra, 1), expected, f"{name}, bytes per token")


def test_batch_multiplies(submission):
    check(submission.cache_bytes(MISTRAL, 1000, batch=5), 655_360_000, "Mistral 7B, 5 times 1,000 tokens")


def test_negative_tokens_are_refused(submission):
    try:
        got = submission.cache_bytes(MISTRAL, -1)
    except ValueError:
        return
    raise AssertionError(f"tokens = -1: expected ValueError, got {got}")
