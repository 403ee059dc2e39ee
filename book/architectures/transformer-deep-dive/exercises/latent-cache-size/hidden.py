"""Hidden tests: layer by layer, published models, bits, windows, the last token that fits, bad configs."""

import math
import random

MIB, GIB = 1 << 20, 1 << 30
DEEPSEEK_V2 = {
    "num_hidden_layers": 60,
    "hidden_size": 5120,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "head_dim": None,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "sliding_window": None,
}
DEEPSEEK_67B = {
    "num_hidden_layers": 95,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
}
GEMMA_7B = {
    "num_hidden_layers": 28,
    "hidden_size": 3072,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
}
MISTRAL = {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
}


def check(got, expected, what):
    """Equal, and of the same type: 1320.0 is not exact."""
    assert (type(got), got) == (type(expected), expected), f"{what}: expected {expected}, got {got!r}"


def by_hand(config, tokens, batch, bits):
    """Layer by layer and position by position."""
    values = 0
    for layer in range(config["num_hidden_layers"]):
        window = config.get("sliding_window")
        kinds = config.get("layer_types")
        if kinds is not None and kinds[layer] == "full_attention":
            window = None
        for position in range(tokens):
            if window is not None and position < tokens - window:
                continue  # forgotten
            if config.get("kv_lora_rank") is not None:
                values += config["kv_lora_rank"] + config["qk_rope_head_dim"]
            else:
                heads = config["num_attention_heads"]
                size = config.get("head_dim") or config["hidden_size"] // heads
                values += 2 * (config.get("num_key_value_heads") or heads) * size
    return math.ceil(values * batch * bits / 8)


def some_config(chance):
    heads = chance.choice([1, 2, 4])
    layers = chance.randint(1, 4)
    config = {
        "num_hidden_layers": layers,
        "hidden_size": heads * chance.randint(1, 5),
        "num_attention_heads": heads,
        "rope_theta": 10000.0,
    }
    if chance.random() < 0.6:
        config["num_key_value_heads"] = chance.choice([None, 1, heads])
    if chance.random() < 0.6:
        config["head_dim"] = chance.choice([None, 3, 8])
    if chance.random() < 0.4:
        config |= {"kv_lora_rank": chance.choice([None, 5, 8]), "qk_rope_head_dim": chance.choice([2, 3])}
    if chance.random() < 0.6:
        config["sliding_window"] = chance.choice([1, 3, 7])
        if chance.random() < 0.6:
            kinds = ["full_attention", "sliding_attention"]
            config["layer_types"] = chance.choices(kinds, k=layers)
    elif chance.random() < 0.3:
        config |= {"sliding_window": None, "layer_types": None}
    return config


def test_equals_a_count_by_hand(submission):
    chance = random.Random(1)
    for _ in range(300):
        config = some_config(chance)
        tokens, batch, bits = chance.randint(0, 12), chance.randint(1, 4), chance.choice([1, 3, 4, 6, 8, 16])
        what = f"{config}, {tokens} tokens, batch {batch}, {bits} bits"
        got = submission.cache_bytes(config, tokens, batch, bits)
        check(got, by_hand(config, tokens, batch, bits), what)


def test_longest_context_is_the_last_that_fits(submission):
    """At the context found the cache fits, one token later it doesn't; inf where it never grows beyond."""
    chance = random.Random(2)
    for _ in range(300):
        config = some_config(chance)
        batch, bits = chance.randint(1, 4), chance.choice([1, 3, 6, 16])
        memory = chance.choice([0, 1, 10, 100, 500, 1000, 3000])
        what = f"longest context of {config} in {memory} bytes, batch {batch}, {bits} bits"
        got = submission.longest_context(config, memory, batch, bits)
        sizes = [by_hand(config, tokens, batch, bits) for tokens in range(12)]
        bounded = by_hand(config, 11, 1, 8) == by_hand(config, 10, 1, 8)
        if bounded and sizes[-1] <= memory:
            check(got, math.inf, what)
            continue
        assert isinstance(got, int), f"{what}: expected an int, got {got!r}"
        if got < 11:
            expected = max(tokens for tokens in range(12) if sizes[tokens] <= memory)
            check(got, expected, what)
            continue
        step = by_hand(config, 20, batch, 8) - by_hand(config, 19, batch, 8)  # values per token, windows full
        first = by_hand(config, 19, batch, 8)
        expected = 19 + (memory * 8 // bits - first) // step
        check(got, expected, what)


def test_published_models(submission):
    check(submission.cache_bytes(DEEPSEEK_V2, 1), 69_120, "DeepSeek-V2, one token")
    check(submission.cache_bytes(DEEPSEEK_V2, 1, bits=6), 25_920, "DeepSeek-V2, one token, 6 bits")
    check(submission.cache_bytes(DEEPSEEK_V2, 131_072, bits=6), 3_397_386_240, "DeepSeek-V2, 128K, 6 bits")
    check(submission.cache_bytes(DEEPSEEK_67B, 1), 389_120, "DeepSeek 67B, one token")
    check(submission.cache_bytes(GEMMA_7B, 1), 458_752, "Gemma 7B, whose heads are 256 wide, one token")
    saved = 1 - submission.cache_bytes(DEEPSEEK_V2, 1, bits=6) / submission.cache_bytes(DEEPSEEK_67B, 1)
    assert round(saved, 3) == 0.933, (
        f"DeepSeek-V2 at 6 bits against DeepSeek 67B: expected 0.933 less, got {saved:.3f}"
    )


def test_contexts_of_published_models(submission):
    check(submission.longest_context(DEEPSEEK_V2, 40 * GIB), 621_378, "DeepSeek-V2 in 40 GiB")
    check(submission.longest_context(DEEPSEEK_V2, 40 * GIB, bits=6), 1_657_008, "the same, 6 bits")
    check(submission.longest_context(DEEPSEEK_V2, 40 * GIB, batch=64, bits=6), 25_890, "and 64 sequences")
    check(submission.longest_context(DEEPSEEK_67B, 40 * GIB), 110_376, "DeepSeek 67B in 40 GiB")
    check(submission.longest_context(MISTRAL, 4 * GIB, batch=8), math.inf, "Mistral 7B, 8 in 4 GiB")
    check(submission.longest_context(MISTRAL, 4 * GIB, batch=9), 3640, "Mistral 7B, 9 in 4 GiB")


def test_bits_are_rounded_once(submission):
    """3 values of 6 bits are 18 bits: 3 bytes. In 4 sequences 72 bits: 9 bytes, not 12."""
    small = {
        "num_hidden_layers": 1,
        "hidden_size": 1,
        "num_attention_heads": 1,
        "kv_lora_rank": 2,
        "qk_rope_head_dim": 1,
    }
    check(submission.cache_bytes(small, 1, bits=6), 3, "3 values of 6 bits")
    check(submission.cache_bytes(small, 1, batch=4, bits=6), 9, "4 sequences with 3 values of 6 bits")
    check(submission.cache_bytes(small, 4, bits=6), 9, "4 tokens with 3 values of 6 bits")
    check(submission.longest_context(small, 9, bits=6), 4, "9 bytes, 18 bits a token")
    check(submission.longest_context(small, 8, bits=6), 3, "8 bytes, 18 bits a token")


def test_windows_only_where_layers_have_them(submission):
    kinds = ["sliding_attention"] * 5 + ["full_attention"]
    mixed = MISTRAL | {"num_hidden_layers": 6, "layer_types": kinds}
    per_layer = 2 * 8 * 128 * 2
    check(
        submission.cache_bytes(mixed, 32_768),
        (5 * 4096 + 32_768) * per_layer,
        "5 layers with a window of 4,096 and 1 without, 32,768 tokens",
    )
    full = MISTRAL | {"layer_types": ["full_attention"] * 32}
    check(submission.cache_bytes(full, 32_768), 4 * GIB, "a window given, but no layer with one")
    check(submission.longest_context(full, 4 * GIB), 32_768, "the same, longest context in 4 GiB")
    full["sliding_window"] = None
    check(submission.cache_bytes(full, 32_768), 4 * GIB, "no window, and layer_types full everywhere")
    latent = DEEPSEEK_V2 | {"sliding_window": 1000}
    check(submission.cache_bytes(latent, 5000), 69_120_000, "latents with a window of 1,000, 5,000 tokens")


def test_exact_and_fast_for_any_size(submission):
    """Beyond 2^53 floating point counts in steps of 2 and more."""
    odd = {"num_hidden_layers": 1, "hidden_size": 1, "num_attention_heads": 1, "kv_lora_rank": 2}
    odd |= {"qk_rope_head_dim": 1}
    for tokens in (10**17 + 1, 10**18 + 7, 10**30 + 1):
        got = submission.cache_bytes(odd, tokens, bits=8)
        check(got, 3 * tokens, f"3 bytes a token, {tokens} tokens")
        check(submission.longest_context(odd, 3 * tokens + 2, bits=8), tokens, f"{3 * tokens + 2} bytes")


def test_nothing_fits(submission):
    check(submission.longest_context(MISTRAL, 131_071), 0, "Mistral 7B in 131,071 bytes")
    check(submission.longest_context(MISTRAL, 0), 0, "Mistral 7B in 0 bytes")
    check(submission.longest_context(DEEPSEEK_V2, 69_119), 0, "DeepSeek-V2 in 69,119 bytes")
    check(submission.cache_bytes(MISTRAL, 0), 0, "Mistral 7B, no token")


def refused(call, what):
    try:
        got = call()
    except ValueError:
        return
    except (ZeroDivisionError, TypeError, IndexError) as error:
        raise AssertionError(f"{what}: expected ValueError, got {type(error).__name__}: {error}") from None
    raise AssertionError(f"{what}: expected ValueError, got {got}")


def test_arguments_that_cannot_be_are_refused(submission):
    size, context = submission.cache_bytes, submission.longest_context
    kinds = ["sliding_attention", "full_attention"]
    two = {"num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2}
    short, no_window = two | {"layer_types": kinds[:1], "sliding_window": 4}, two | {"layer_types": kinds}
    long = two | {"layer_types": [*kinds, "full_attention"], "sliding_window": 4}
    refused(lambda: size(MISTRAL, 1, batch=0), "batch = 0")
    refused(lambda: size(MISTRAL, 1, bits=0), "bits = 0")
    refused(lambda: size(MISTRAL, 1, bits=-4), "bits = -4")
    refused(lambda: context(MISTRAL, -1), "memory = -1")
    refused(lambda: context(MISTRAL, GIB, batch=0), "longest context, batch = 0")
    refused(lambda: context(MISTRAL, GIB, bits=0), "longest context, bits = 0")
    refused(lambda: size(short, 9), "2 layers, 1 of layer_types")
    refused(lambda: size(long, 9), "2 layers, 3 of layer_types")
    refused(lambda: size(no_window, 9), "a layer with a window, no sliding_window")
    refused(lambda: context(short, GIB), "longest context, 2 layers, 1 of layer_types")
    refused(lambda: context(no_window, GIB), "longest context, no sliding_window")


def test_config_stays_as_it_was(submission):
    config = {**MISTRAL, "layer_types": ["sliding_attention"] * 32}
    kept = {**config, "layer_types": list(config["layer_types"])}
    submission.cache_bytes(config, 5)
    submission.longest_context(config, GIB)
    assert config == kept, f"expected the config unchanged, got {config}"
