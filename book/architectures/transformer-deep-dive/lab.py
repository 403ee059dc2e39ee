# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The transformer, touched and measured: the lab of the chapter.

Open it in the handbook to move the sliders. Run as a script it prints the chapter's claims, measured on this machine,
and fails if one does not hold. The functions between the setup and the first heading are what the claims name.

Book: architectures/transformer-deep-dive
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Lab: transformer deep dive")

with app.setup:
    import math
    from dataclasses import replace
    from functools import cache, partial

    import altair as alt
    import marimo as mo
    import numpy as np
    import torch

    from handbook.book import labkit
    from handbook.errors import HandbookError
    from handbook.model.attention import (
        Attention,
        attend,
        attend_fused,
        attend_tiled,
        attention_weights,
        causal_mask,
    )
    from handbook.model.cache import KVCache, cache_bytes
    from handbook.model.config import ModelConfig
    from handbook.model.extension import RopeScaling, ntk_theta
    from handbook.model.layers import RMSNorm
    from handbook.model.rope import apply_rope, half_split_to_interleaved, rope_frequencies, rope_tables
    from handbook.model.transformer import Trace, Transformer

    SMOLLM2 = ModelConfig(  # a test holds it to the real weights
        vocab_size=49152,
        dim=576,
        layers=30,
        heads=9,
        kv_heads=3,
        head_dim=64,
        hidden_dim=1536,
        context=8192,
        rope_theta=100_000.0,
        tie_embeddings=True,
    )
    THETA = 10_000.0  # the base of the RoFormer paper; SmolLM2 has 100,000
    PASSAGE = """The lighthouse keeper wrote down the weather every evening, and nobody ever asked to read it. When the
station was closed, the forty volumes went to the library of the small town below, where they stood in the cellar behind
the old newspapers. A student found them there by accident. She had been looking for a map of the harbour, and the first
volume that she opened told her that on the third of March the wind had turned from west to north within a single hour,
and that the fishing boats had come home with ice on their ropes. She read until the library closed. The next morning she
came back with a camera and began to copy the pages, one after the other, all forty volumes. It took the whole summer. In
the autumn she had a table with one row for every day of sixty years: temperature, pressure, wind, rain, and the words
that the keeper had chosen. The numbers were useful to the people who study the climate, since no other station on that
coast had measured for so long. But she kept returning to the words. He had never written that he was lonely. He had
written that the fog was patient, that the gulls were late this year, and once, in the winter in which his wife had died,
only that the lamp had burned well. Years later, when somebody asked her what the most important thing was that she had
learned from her work, she said that a measurement is a kind of attention, and that attention is a kind of love."""


@app.function
def passage_tokens(count: int | None = None):
    """The lab's own passage as ids [1, T], and the loaded model. The text is ours, so no benchmark leaks into a claim."""
    loaded = labkit.chat_model()
    ids = loaded.tokenizer.encode(PASSAGE.replace("\n", " "))[:count]
    return torch.tensor([ids]), loaded


@app.function
def random_heads(T: int, kv_heads: int = SMOLLM2.kv_heads, seed: int = 0, D: int = SMOLLM2.head_dim):
    """Gaussian q [1, 9, T, D] and k, v [1, kv_heads, T, D]: the shapes of SmolLM2-135M, without its weights."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(torch.randn, generator=generator)
    return draw(1, SMOLLM2.heads, T, D), draw(1, kv_heads, T, D), draw(1, kv_heads, T, D)


@app.function
def gqa_equals_repeated_mha(small: bool = True):
    """Largest difference between a grouped layer and a multi-head layer whose key and value weights repeat its own."""
    H, J, D = SMOLLM2.heads, SMOLLM2.kv_heads, SMOLLM2.head_dim
    differences = []
    for seed in range(2 if small else 8):
        torch.manual_seed(seed)
        grouped, multi = Attention(H * D, H, J, D), Attention(H * D, H, H, D)
        table = {name: weight.detach() for name, weight in grouped.state_dict().items()}
        for name in ("key.weight", "value.weight"):
            table[name] = table[name].unflatten(0, (J, D)).repeat_interleave(H // J, dim=0).flatten(0, 1)
        multi.load_state_dict(table)
        x = torch.randn(2, 128, H * D)
        with torch.no_grad():
            difference = grouped(x, causal_mask(128)) - multi(x, causal_mask(128))
        differences.append(difference.abs().max().item())
    return differences


@app.function
def no_position_equivariance(small: bool = True):
    """Without positions and mask: largest difference between permuting a layer's input and permuting its output."""
    differences = []
    for seed in range(2 if small else 8):
        torch.manual_seed(seed)
        layer, x, order = Attention(576, 9, 3, 64), torch.randn(1, 128, 576), torch.randperm(128)
        with torch.no_grad():
            differences.append((layer(x[:, order]) - layer(x)[:, order]).abs().max().item())
    return differences


@app.function
def softmax_peaks(scale: float, small: bool = True):
    """Mean largest attention weight of Gaussian queries over 128 Gaussian keys, D = 64, one value per seed."""
    peaks = []
    for seed in range(3 if small else 10):
        q, k, _ = random_heads(128, SMOLLM2.heads, seed)
        peaks.append(attention_weights(q, k, scale=scale).amax(dim=-1).mean().item())
    return peaks


@app.function
def unscaled_softmax_peak(small: bool = True):
    return softmax_peaks(1.0, small)


@app.function
def scaled_softmax_peak(small: bool = True):
    return softmax_peaks(SMOLLM2.head_dim**-0.5, small)


@app.function
def rope_scores(q, k, distances, theta: float = THETA):
    """Score q . k after rotation, the key at position 0, the query at each distance: q, k [D] -> [len(distances)]."""
    cos, sin = rope_tables(torch.as_tensor(distances), q.shape[-1], theta)
    return apply_rope(q.expand(len(cos), -1), cos, sin) @ k


@app.function
def rope_relative_shift(small: bool = True):
    """Largest change of a rotated score, relative to |q||k|, when both positions move on by 1,000."""
    changes = []
    for seed in range(3 if small else 10):
        q, k, _ = random_heads(64, SMOLLM2.heads, seed)
        here, there = (
            [apply_rope(x, *rope_tables(torch.arange(64) + shift, 64, THETA)) for x in (q, k)]
            for shift in (0, 1000)
        )
        scores, moved = (x[0] @ x[1].transpose(-2, -1) for x in (here, there))
        lengths = q.norm(dim=-1)[..., None] * k.norm(dim=-1)[..., None, :]
        changes.append(((scores - moved).abs() / lengths).max().item())
    return changes


@app.function
def rope_decay_512(small: bool = True):
    """Score of two equal all-ones vectors (D = 64, theta = 10,000) at distance 512 over their score at distance 0."""
    near, far = rope_scores(torch.ones(64), torch.ones(64), [0, 512]).tolist()
    return far / near


@app.function
def rope_random_spread(small: bool = True):
    """Standard deviation of rotated scores of independent Gaussian q and k at distance 512 over that at distance 0."""
    ratios = []
    for seed in range(3 if small else 10):
        q, k, _ = random_heads(512, SMOLLM2.heads, seed)
        cos, sin = rope_tables(torch.tensor([512]), 64, THETA)
        ratios.append(((apply_rope(q, cos, sin) * k).sum(-1).std() / (q * k).sum(-1).std()).item())
    return ratios


@app.function
def kv_bytes_per_token_smollm2(small: bool = True):
    """Bytes that a real 16-bit cache with the dimensions of SmolLM2-135M allocates per token."""
    shape = (SMOLLM2.layers, SMOLLM2.kv_heads, SMOLLM2.head_dim)
    return KVCache(*shape, capacity=512, dtype=torch.bfloat16).nbytes / 512


@app.function
def gqa_cache_saving(small: bool = True):
    """Bytes of a cache with one KV head per query head over the bytes with the three that SmolLM2-135M has."""
    L, D = SMOLLM2.layers, SMOLLM2.head_dim
    multi, grouped = (KVCache(L, J, D, capacity=256).nbytes for J in (SMOLLM2.heads, SMOLLM2.kv_heads))
    return multi / grouped


@app.function
def kv_megabytes_8k(small: bool = True):
    """Megabytes (10^6 bytes) of the 16-bit cache of SmolLM2-135M at its full context of 8,192 tokens, batch 1."""
    return cache_bytes(SMOLLM2.layers, SMOLLM2.kv_heads, SMOLLM2.head_dim, tokens=8192) / 1e6


@app.function
def mla_bytes(layers: int, latent: int, rope_dim: int, tokens, batch: int = 1, bytes_per_value: int = 2):
    """Bytes of a latent cache: one compressed vector and one shared rotary key per token and layer.

    DeepSeek-V2 (arXiv:2405.04434), section 2.1.2 and table 1.
    """
    return layers * (latent + rope_dim) * tokens * batch * bytes_per_value


@app.function
def mla_cache_saving(small: bool = True):
    """Cache bytes of MHA over MLA with the dimensions of DeepSeek-V2: 60 layers, 128 heads of 128, latent 512, rotary 64."""
    return cache_bytes(60, 128, 128, tokens=1) / mla_bytes(60, 512, 64, tokens=1)


@app.function
def tiled_attention_error(small: bool = True):
    """Largest difference between tiled and plain attention in fp32, causal, 1,024 tokens, tiles of 128 keys."""
    differences = []
    for seed in range(1 if small else 5):
        q, k, v = random_heads(1024, seed=seed)
        mask = causal_mask(1024)
        differences.append(
            (attend_tiled(q, k, v, mask, block=128) - attend(q, k, v, mask)).abs().max().item()
        )
    return differences


@app.function
def tiled_attention_memory_saving(small: bool = True):
    """Peak bytes of tensors that plain attention makes over those that tiled attention makes, 2,048 tokens, tiles of 128."""
    q, k, v = random_heads(2048)
    mask = causal_mask(2048)
    plain, tiled = (labkit.peak_bytes(partial(f, q, k, v, mask)) for f in (attend, attend_tiled))
    return plain / tiled


@app.function
def fused_attention_speedup(small: bool = True):
    """Seconds of plain attention over seconds of torch's fused kernel, causal, 1,024 tokens, fp32, this machine's CPU."""
    q, k, v = random_heads(1024)
    mask = causal_mask(1024)
    return labkit.paired(
        lambda: attend(q, k, v, mask), lambda: attend_fused(q, k, v, mask), 5 if small else 21, inner=3
    )


@app.function
def route(logits, k: int):
    """The k experts with the largest logits for each token: logits [N, E] -> [N, k]."""
    return np.argsort(-logits, axis=1, kind="stable")[:, :k]


@app.function
def expert_load(chosen, experts: int):
    """Tokens that chose each expert: chosen [N, k] -> [E]."""
    return np.bincount(chosen.ravel(), minlength=experts)


@app.function
def dropped_share(load, factor: float):
    """Share of all assignments above capacity = ceil(factor * mean load). Switch Transformer (arXiv:2101.03961), equation 3."""
    capacity = math.ceil(factor * load.sum() / len(load))
    return float(np.maximum(load - capacity, 0).sum() / load.sum())


@app.function
def balanced_loads(small: bool = True):
    """Loads of 64 experts when 1,024 tokens choose 2 each, all experts equally likely, one array per seed."""
    seeds = range(20 if small else 200)
    return [expert_load(route(np.random.default_rng(s).standard_normal((1024, 64)), 2), 64) for s in seeds]


@app.function
def moe_drop_at_capacity_one(small: bool = True):
    return [dropped_share(load, 1.0) for load in balanced_loads(small)]


@app.function
def moe_drop_at_capacity_125(small: bool = True):
    return [dropped_share(load, 1.25) for load in balanced_loads(small)]


@app.function
def moe_hottest_expert(small: bool = True):
    """Load of the busiest expert over the mean load, under the same perfectly fair router."""
    return [float(load.max() / load.mean()) for load in balanced_loads(small)]


@app.function
def decoding(context: int, batch: int = 1):
    """Prefill, one decode step with the cache, and the same step without it, at `context` tokens, as callables to time."""
    model = labkit.chat_model().model
    ids = torch.randint(
        0, SMOLLM2.vocab_size, (batch, context + 1), generator=torch.Generator().manual_seed(0)
    )
    cache = filled_cache(model, context, batch)

    def prefill():
        cache.truncate(0)
        model(ids[:, :context], cache=cache, last_only=True)

    def step():
        cache.truncate(context)
        model(ids[:, context:], cache=cache, last_only=True)

    def recompute():
        model(ids, last_only=True)

    return prefill, step, recompute


@app.function
def filled_cache(model, context: int, batch: int = 1):
    """A cache that holds `context` random positions: the cost of a step does not depend on what it reads."""
    cache = model.new_cache(context + 1, batch)
    shape = (batch, model.config.kv_heads, context, model.config.head_dim)
    for layer in range(model.config.layers if context else 0):
        cache.append(layer, *(torch.randn(shape, device=model.device) for _ in range(2)))
    return cache


@app.function
def cached_decode_speedup(small: bool = True):
    """Seconds of recomputing 513 tokens over seconds of one step with 512 tokens cached."""
    _, step, recompute = decoding(512)
    return labkit.paired(recompute, step, 2 if small else 15, inner=4, warm=not small)


@app.function
def prefill_over_decode(small: bool = True):
    """Tokens per second of prefilling 512 tokens over tokens per second of decoding after them, batch 1."""
    prefill, step, _ = decoding(512)
    return [
        512 / ratio for ratio in labkit.paired(prefill, step, 2 if small else 15, inner=4, warm=not small)
    ]


@app.function
def batched_decode_gain(small: bool = True):
    """Tokens per second of decoding 8 sequences together over those of one sequence, 128 tokens cached each."""
    (_, one, _), (_, eight, _) = decoding(128), decoding(128, batch=8)
    return [8 / ratio for ratio in labkit.paired(eight, one, 5 if small else 25, inner=2)]


@app.function
def norm_time_share(small: bool = True):
    """Seconds of all RMSNorms alone over seconds of the decode step that they belong to, batch 1, 512 tokens cached."""
    _, step, _ = decoding(512)
    norms = [module for module in labkit.chat_model().model.modules() if isinstance(module, RMSNorm)]
    x = torch.randn(1, 1, SMOLLM2.dim)

    def only_norms():
        for norm in norms:
            norm(x)

    return [1 / ratio for ratio in labkit.paired(step, only_norms, 5 if small else 25, inner=5)]


@app.function
def shape_only(config=SMOLLM2):
    """A transformer without weights: it computes shapes, so that FLOPs can be counted on any machine in no time."""
    with torch.device("meta"):
        return Transformer(config)


@app.function
def step_flops(context: int) -> int:
    """FLOPs of the matrix products of one decode step of SmolLM2-135M with `context` tokens cached, counted by torch."""
    model = shape_only()
    cache, token = filled_cache(model, context), torch.zeros(1, 1, dtype=torch.long, device="meta")
    return labkit.count_flops(
        lambda: model(token, cache=cache, trace=Trace())
    )  # a trace takes the plain, countable path


@app.function
def parameters(model) -> int:
    return sum(weight.numel() for weight in model.parameters())


@app.function
def attention_flops_share_2k(small: bool = True):
    """Share of a decode step's FLOPs that the 2,048 cached tokens add: score and value products."""
    return 1 - step_flops(0) / step_flops(2048)


@app.function
def flops_per_token_over_2n(small: bool = True):
    """FLOPs of one token with 128 tokens of context over twice the number of parameters."""
    return step_flops(128) / (2 * parameters(shape_only()))


@app.function
def embedding_parameter_share(small: bool = True):
    model = shape_only()
    return model.embed.weight.numel() / parameters(model)


@app.function
def cache_equals_weights_tokens(small: bool = True):
    """Tokens whose 16-bit cache takes as many bytes as the 16-bit weights."""
    per_token = cache_bytes(SMOLLM2.layers, SMOLLM2.kv_heads, SMOLLM2.head_dim, tokens=1)
    return 2 * parameters(shape_only()) / per_token


@app.function
def perplexity(config=SMOLLM2, change=None, small: bool = True):
    """Perplexity on the lab's passage (128 tokens when small, else all 304) under another config or changed weights."""
    ids, loaded = passage_tokens(128 if small else None)
    weights = loaded.model.state_dict()
    model = shape_only(replace(config, norm_eps=loaded.config.norm_eps))
    model.load_state_dict(
        change(weights) if change else weights, assign=True
    )  # shares the tensors, copies nothing
    with labkit.quiet():
        return torch.nn.functional.cross_entropy(model(ids)[0, :-1], ids[0, 1:]).exp().item()


@app.function
@cache
def unchanged_perplexity(small: bool):
    return perplexity(small=small)


@app.function
def interpolation_untrained_perplexity(small: bool = True):
    """Perplexity with positions divided by 4 and no training after it, over the unchanged model's."""
    return perplexity(
        replace(SMOLLM2, rope_scaling=RopeScaling("linear", 4.0)), small=small
    ) / unchanged_perplexity(small)


@app.function
def ntk_untrained_perplexity(small: bool = True):
    """The same with the base raised for a factor of 4 instead."""
    theta = ntk_theta(SMOLLM2.rope_theta, 4.0, SMOLLM2.head_dim)
    return perplexity(replace(SMOLLM2, rope_theta=theta), small=small) / unchanged_perplexity(small)


@app.function
def yarn_untrained_perplexity(small: bool = True):
    """The same with YaRN for a factor of 4, its softmax temperature included."""
    scaling = RopeScaling("yarn", 4.0, original_context=SMOLLM2.context)
    return perplexity(replace(SMOLLM2, rope_scaling=scaling), small=small) / unchanged_perplexity(small)


@app.function
def no_rope_perplexity(small: bool = True):
    """The same with all angles zero (positions divided by 10^12): the trained model without its positions."""
    return perplexity(
        replace(SMOLLM2, rope_scaling=RopeScaling("linear", 1e12)), small=small
    ) / unchanged_perplexity(small)


@app.function
def rope_pairing_perplexity(small: bool = True):
    """The same with query and key rows in the other pairing's order: the bug that raises no error."""

    def mix_up(weights):
        heads = {"attention.query.weight": SMOLLM2.heads, "attention.key.weight": SMOLLM2.kv_heads}
        return {
            name: half_split_to_interleaved(weight, heads[kind])
            if (kind := name.partition(".")[2].partition(".")[2]) in heads
            else weight
            for name, weight in weights.items()
        }

    return perplexity(change=mix_up, small=small) / unchanged_perplexity(small)


@app.function
def trace_of(loaded, ids):
    """Everything that one forward pass over ids [1, T] leaves behind."""
    trace = Trace()
    with labkit.quiet():
        loaded.model(ids, trace=trace, last_only=True)
    return trace


@app.function
def first_token_attention_share(small: bool = True):
    """Mean weight on the first token, over all layers and heads and the queries from the 17th on."""
    ids, loaded = passage_tokens(128 if small else None)
    return (
        torch.stack([layer[0, :, 16:, 0].mean() for layer in trace_of(loaded, ids).attention]).mean().item()
    )


@app.function
@cache
def lens_choices(small: bool = True):
    """The lens's most likely next token after the embedding and after each block: [layers + 1, T]."""
    ids, loaded = passage_tokens(128 if small else None)
    with labkit.quiet():
        return torch.stack(
            [loaded.model.logits_of(h)[0].argmax(dim=-1) for h in trace_of(loaded, ids).hidden]
        )


@app.function
def settled_after(choices):
    """After how many blocks a position's choice is the final one and stays so: choices [L + 1, T] -> [T]."""
    return len(choices) - (choices == choices[-1]).flip(0).cumprod(dim=0).sum(dim=0)


@app.function
def logit_lens_settles(small: bool = True):
    return settled_after(lens_choices(small)).double().quantile(0.5).item()


@app.function
def logit_lens_half_depth_agreement(small: bool = True):
    """Share of positions whose most likely token after half of the blocks is already the final one."""
    choices = lens_choices(small)
    return (choices[SMOLLM2.layers // 2] == choices[-1]).double().mean().item()


@app.cell(hide_code=True)
def _():
    if mo.app_meta().mode == "script":
        labkit.report(mo.notebook_dir() / "lab.py")
    return


if __name__ == "__main__":
    app.run()
