# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The transformer, touched and measured: the lab of the chapter.

Open it in the handbook to move the sliders. Run as a script it measures the chapter's claims on this machine,
prints them, and fails if one does not hold. The functions before the first cell are what the claims name.

Book: architectures/transformer-deep-dive
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Lab: transformer deep dive")

with app.setup:
    import math
    from dataclasses import replace
    from functools import cache, partial

    import marimo as mo
    import numpy as np
    import torch

    from handbook.errors import HandbookError
    from handbook.lab import charts, kit
    from handbook.model import counting, reading, routing
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
    KV = {"layers": SMOLLM2.layers, "kv_heads": SMOLLM2.kv_heads, "head_dim": SMOLLM2.head_dim}
    THETA = 10_000.0  # the base of the RoFormer paper; SmolLM2 has 100,000
    LLAMA_8B, LLAMA_70B = (32, 32, 8, 128), (80, 64, 8, 128)  # layers, heads, KV heads, head dimension
    DEEPSEEK_V2 = {"layers": 60, "latent": 512, "rope_dim": 64}
    PASSAGE = (
        "The lighthouse keeper wrote down the weather every evening, and nobody ever asked to read it. When "
        "the station was closed, the forty volumes went to the library of the small town below, where they "
        "stood in the cellar behind the old newspapers. A student found them there by accident. She had "
        "been looking for a map of the harbour, and the first volume that she opened told her that on the "
        "third of March the wind had turned from west to north within a single hour, and that the fishing "
        "boats had come home with ice on their ropes. She read until the library closed. The next morning "
        "she came back with a camera and began to copy the pages, one after the other, all forty volumes. "
        "It took the whole summer. In the autumn she had a table with one row for every day of sixty years: "
        "temperature, pressure, wind, rain, and the words that the keeper had chosen. The numbers were "
        "useful to the people who study the climate, since no other station on that coast had measured for "
        "so long. But she kept returning to the words. He had never written that he was lonely. He had "
        "written that the fog was patient, that the gulls were late this year, and once, in the winter in "
        "which his wife had died, only that the lamp had burned well. Years later, when somebody asked her "
        "what the most important thing was that she had learned from her work, she said that a measurement "
        "is a kind of attention, and that attention is a kind of love."
    )
    slider = partial(mo.ui.slider, show_value=True)


@app.function
def passage_tokens(small: bool) -> list[int]:
    """The lab's own passage, 304 tokens, or its first 128. Our own text: no published model has trained on
    it.
    """
    return kit.chat_model().tokenizer.encode(PASSAGE)[: 128 if small else None]


@app.function
def random_heads(T: int, kv_heads: int = SMOLLM2.kv_heads, seed: int = 0, D: int = SMOLLM2.head_dim):
    """Gaussian q [1, 9, T, D] and k, v [1, kv_heads, T, D]."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(seed))
    return draw(1, SMOLLM2.heads, T, D), draw(1, kv_heads, T, D), draw(1, kv_heads, T, D)


@app.function
def softmax_peaks(scale: float, small: bool):
    """Mean largest weight of Gaussian queries over 128 Gaussian keys, D = 64, per seed."""
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
def no_position_equivariance(small: bool = True):
    """Largest difference between permuting a layer's input and permuting its output, per seed."""
    differences = []
    for seed in range(2 if small else 8):
        torch.manual_seed(seed)
        layer, x, order = Attention(576, 9, 3, 64), torch.randn(1, 128, 576), torch.randperm(128)
        with torch.no_grad():
            differences.append((layer(x[:, order]) - layer(x)[:, order]).abs().max().item())
    return differences


@app.function
def gqa_equals_repeated_mha(small: bool = True):
    """Largest difference between a grouped layer and a multi-head one whose key and value weights repeat
    its own.
    """
    H, J, D = SMOLLM2.heads, SMOLLM2.kv_heads, SMOLLM2.head_dim
    differences = []
    for seed in range(2 if small else 8):
        torch.manual_seed(seed)
        grouped, multi = Attention(H * D, H, J, D), Attention(H * D, H, H, D)
        weights = {name: weight.detach() for name, weight in grouped.state_dict().items()}
        for name in ("key.weight", "value.weight"):
            weights[name] = weights[name].unflatten(0, (J, D)).repeat_interleave(H // J, dim=0).flatten(0, 1)
        multi.load_state_dict(weights)
        x, mask = torch.randn(2, 128, H * D), causal_mask(128)
        with torch.no_grad():
            differences.append((grouped(x, mask) - multi(x, mask)).abs().max().item())
    return differences


@app.function
def rope_scores(q, k, distances, theta: float = THETA):
    """q . k with the key at position 0 and the query at each distance: q, k [D] -> [len(distances)]."""
    cos, sin = rope_tables(torch.as_tensor(distances), q.shape[-1], theta)
    return apply_rope(q.expand(len(cos), -1), cos, sin) @ k


@app.function
def rope_relative_shift(small: bool = True):
    """Largest change of a rotated score, over |q||k|, when both positions move on by 1,000, per seed."""
    changes = []
    for seed in range(3 if small else 10):
        q, k, _ = random_heads(64, SMOLLM2.heads, seed)
        scores = []
        for shift in (0, 1000):
            tables = rope_tables(torch.arange(64) + shift, 64, THETA)
            scores.append(apply_rope(q, *tables) @ apply_rope(k, *tables).transpose(-2, -1))
        lengths = q.norm(dim=-1)[..., None] * k.norm(dim=-1)[..., None, :]
        changes.append(((scores[0] - scores[1]).abs() / lengths).max().item())
    return changes


@app.function
def rope_decay_512(small: bool = True):
    near, far = rope_scores(torch.ones(64), torch.ones(64), [0, 512]).tolist()
    return far / near


@app.function
def rope_random_spread(small: bool = True):
    """Standard deviation of the scores of independent Gaussian q and k at distance 512 over that at 0, per
    seed.
    """
    ratios = []
    for seed in range(3 if small else 10):
        q, k, _ = random_heads(512, SMOLLM2.heads, seed)
        moved = apply_rope(q, *rope_tables(torch.tensor([512]), 64, THETA))
        ratios.append(((moved * k).sum(-1).std() / (q * k).sum(-1).std()).item())
    return ratios


@app.function
def perplexity(small: bool, config=SMOLLM2, weights=None) -> float:
    """Of SmolLM2-135M on the lab's passage, under another config or with other weights."""
    loaded = kit.chat_model()
    ids = torch.tensor([passage_tokens(small)])
    model = counting.shape_only(replace(config, norm_eps=loaded.config.norm_eps))
    model.load_state_dict(
        weights or loaded.model.state_dict(), assign=True
    )  # shares the tensors, copies nothing
    with kit.quiet():
        return torch.nn.functional.cross_entropy(model(ids)[0, :-1], ids[0, 1:]).exp().item()


@app.function
@cache
def unchanged_perplexity(small: bool) -> float:
    return perplexity(small)


@app.function
def no_rope_perplexity(small: bool = True):
    still = replace(SMOLLM2, rope_scaling=RopeScaling("linear", 1e12))  # every angle becomes zero
    return perplexity(small, still) / unchanged_perplexity(small)


@app.function
def rope_pairing_perplexity(small: bool = True):
    weights = dict(kit.chat_model().model.state_dict())
    for name, weight in weights.items():
        if name.endswith(("attention.query.weight", "attention.key.weight")):
            weights[name] = half_split_to_interleaved(weight, len(weight) // SMOLLM2.head_dim)
    return perplexity(small, weights=weights) / unchanged_perplexity(small)


@app.function
def interpolation_untrained_perplexity(small: bool = True):
    squeezed = replace(SMOLLM2, rope_scaling=RopeScaling("linear", 4.0))
    return perplexity(small, squeezed) / unchanged_perplexity(small)


@app.function
def ntk_untrained_perplexity(small: bool = True):
    raised = replace(SMOLLM2, rope_theta=ntk_theta(SMOLLM2.rope_theta, 4.0, SMOLLM2.head_dim))
    return perplexity(small, raised) / unchanged_perplexity(small)


@app.function
def yarn_untrained_perplexity(small: bool = True):
    by_parts = replace(SMOLLM2, rope_scaling=RopeScaling("yarn", 4.0, original_context=SMOLLM2.context))
    return perplexity(small, by_parts) / unchanged_perplexity(small)


@app.function
def decoding(context: int, batch: int = 1):
    """Prefill, a decode step with the cache, and the same step without it, at `context` tokens, to be
    timed.
    """
    model = kit.chat_model().model
    ids = torch.randint(49152, (batch, context + 1), generator=torch.Generator().manual_seed(0))
    held = counting.filled_cache(model, context, batch)

    def prefill():
        held.truncate(0)
        model(ids[:, :context], cache=held, last_only=True)

    def step():
        held.truncate(context)
        model(ids[:, context:], cache=held, last_only=True)

    return prefill, step, lambda: model(ids, last_only=True)


@app.function
def cached_decode_speedup(small: bool = True):
    _, step, recompute = decoding(512)
    return kit.paired(recompute, step, 2 if small else 15, inner=4, warm=not small)


@app.function
def prefill_over_decode(small: bool = True):
    prefill, step, _ = decoding(512)
    return [512 / ratio for ratio in kit.paired(prefill, step, 2 if small else 15, inner=4, warm=not small)]


@app.function
def batched_decode_gain(small: bool = True):
    (_, one, _), (_, eight, _) = decoding(128), decoding(128, batch=8)
    return [8 / ratio for ratio in kit.paired(eight, one, 5 if small else 25, inner=2)]


@app.function
def norm_time_share(small: bool = True):
    _, step, _ = decoding(512)
    norms = [module for module in kit.chat_model().model.modules() if isinstance(module, RMSNorm)]
    x = torch.randn(1, 1, SMOLLM2.dim)
    ratios = kit.paired(step, lambda: [norm(x) for norm in norms], 5 if small else 25, inner=5)
    return [1 / ratio for ratio in ratios]


@app.function
def kv_bytes_per_token_smollm2(small: bool = True):
    return KVCache(**KV, capacity=512, dtype=torch.bfloat16).nbytes / 512


@app.function
def kv_megabytes_8k(small: bool = True):
    return cache_bytes(**KV, tokens=SMOLLM2.context) / 1e6


@app.function
def cache_equals_weights_tokens(small: bool = True):
    return 2 * counting.parameters(counting.shape_only(SMOLLM2)) / cache_bytes(**KV, tokens=1)


@app.function
def gqa_cache_saving(small: bool = True):
    multi = KV | {"kv_heads": SMOLLM2.heads}
    return KVCache(**multi, capacity=256).nbytes / KVCache(**KV, capacity=256).nbytes


@app.function
def mla_cache_saving(small: bool = True):
    return cache_bytes(60, 128, 128, tokens=1) / counting.latent_cache_bytes(**DEEPSEEK_V2, tokens=1)


@app.function
def embedding_parameter_share(small: bool = True):
    model = counting.shape_only(SMOLLM2)
    return model.embed.weight.numel() / counting.parameters(model)


@app.function
def flops_per_token_over_2n(small: bool = True):
    return counting.step_flops(SMOLLM2, 128) / (2 * counting.parameters(counting.shape_only(SMOLLM2)))


@app.function
def attention_flops_share_2k(small: bool = True):
    return 1 - counting.step_flops(SMOLLM2, 0) / counting.step_flops(SMOLLM2, 2048)


@app.function
def tiled_attention_error(small: bool = True):
    differences = []
    for seed in range(1 if small else 5):
        heads, mask = random_heads(1024, seed=seed), causal_mask(1024)
        with kit.quiet():
            difference = attend_tiled(*heads, mask, block=128) - attend(*heads, mask)
        differences.append(difference.abs().max().item())
    return differences


@app.function
def tiled_attention_memory_saving(small: bool = True):
    heads, mask = random_heads(2048), causal_mask(2048)
    with kit.quiet():
        plain, tiled = (kit.peak_bytes(partial(way, *heads, mask)) for way in (attend, attend_tiled))
    return plain / tiled


@app.function
def fused_attention_speedup(small: bool = True):
    heads, mask = random_heads(1024), causal_mask(1024)
    plain, fused = partial(attend, *heads, mask), partial(attend_fused, *heads, mask)
    return kit.paired(plain, fused, 5 if small else 21, inner=3)


@app.function
def fair_loads(small: bool):
    """Loads of 64 experts when 1,024 tokens choose 2 each, all experts equally likely, per seed."""
    draws = (np.random.default_rng(seed).standard_normal((1024, 64)) for seed in range(20 if small else 200))
    return [routing.expert_load(routing.route(logits, 2), 64) for logits in draws]


@app.function
def moe_drop_at_capacity_one(small: bool = True):
    return [routing.dropped_share(load, 1.0) for load in fair_loads(small)]


@app.function
def moe_drop_at_capacity_125(small: bool = True):
    return [routing.dropped_share(load, 1.25) for load in fair_loads(small)]


@app.function
def moe_hottest_expert(small: bool = True):
    return [float(load.max() / load.mean()) for load in fair_loads(small)]


@app.function
@cache
def passage_trace(small: bool):
    with kit.quiet():
        return reading.trace_of(kit.chat_model().model, passage_tokens(small))


@app.function
def first_token_attention_share(small: bool = True):
    return torch.stack([layer[0, :, 16:, 0].mean() for layer in passage_trace(small).attention]).mean().item()


@app.function
@cache
def passage_choices(small: bool):
    with kit.quiet():
        return reading.lens_choices(kit.chat_model().model, passage_trace(small))


@app.function
def logit_lens_settles(small: bool = True):
    return reading.settled_after(passage_choices(small)).double().quantile(0.5).item()


@app.function
def logit_lens_half_depth_agreement(small: bool = True):
    choices = passage_choices(small)
    return (choices[SMOLLM2.layers // 2] == choices[-1]).double().mean().item()


@app.function
def panel(text: str, *controls):
    """A part's heading and its controls in a row that wraps."""
    return mo.vstack([mo.md(text), mo.hstack(controls, justify="start", gap=1.5, wrap=True)])


@app.function
def rates(context: int, single: bool, say=lambda what: None):
    """Tokens per second of prefill and decode at `context` tokens: the best of a few passes.

    single: on one thread instead of all.
    """
    prefill, step, recompute = decoding(context)
    plan = (
        ("prefill", prefill, context, 2),
        ("decode with the cache", step, 1, 8),
        ("decode without the cache", recompute, 1, 2),
    )
    found = []
    with kit.quiet() if single else torch.inference_mode():
        for name, work, made, repeats in plan:
            say(name)
            work()
            took = min(kit.seconds(work) for _ in range(repeats))
            found.append({"pass": name, "ms a pass": 1000 * took, "tokens per second": made / took})
    return found


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Lab: transformer deep dive

    Everything below runs the handbook's own code on this machine. Move a slider, and the plot follows.
    """)
    return


@app.cell(hide_code=True)
def model():
    loaded, missing = None, None
    try:
        with mo.status.spinner(title="Loading SmolLM2-135M", subtitle="Once; a few seconds."):
            loaded = kit.chat_model()
    except HandbookError as _error:
        missing = mo.callout(mo.md(f"**{_error.what}** {kit.WITHOUT_MODEL}"), kind="warn")
    missing  # noqa: B018
    return loaded, missing


@app.cell(hide_code=True)
def _():
    sentence = mo.ui.text_area(
        "The cat sat on the mat because the cat was tired. Then the dog",
        label="Your sentence (its first 32 tokens are read)",
        rows=2,
        max_length=400,
        full_width=True,
    )
    _about = "## Attention maps\n\nWhat each head of SmolLM2-135M looks at while it reads your sentence."
    mo.vstack([mo.md(_about), sentence])
    return (sentence,)


@app.cell(hide_code=True)
def _(loaded, missing, sentence):
    mo.stop(missing is not None, mo.md("*This part needs the model; see above.*"))
    mo.stop(not sentence.value.strip(), mo.md("*Type a few words.*"))
    ids = loaded.tokenizer.encode(sentence.value.strip())[:32]
    tokens = [charts.visible(loaded.tokenizer.decode([_id])) for _id in ids]
    with kit.quiet():
        trace = reading.trace_of(loaded.model, ids)
    return ids, tokens, trace


@app.cell(hide_code=True)
def _(trace):
    layer = slider(1, len(trace.attention), value=17, label="layer")
    head = slider(1, trace.attention[0].shape[1], value=1, label="head")
    mo.hstack([layer, head], justify="start", gap=1.5, wrap=True)
    return head, layer


@app.cell(hide_code=True)
def attention_map(head, layer, tokens, trace):
    _layer = trace.attention[layer.value - 1]
    _first, _before, _self = reading.head_habits(_layer)[:, head.value - 1].tolist()
    _map = charts.heat_map(
        _layer[0, head.value - 1].tolist(),
        tokens,
        tokens,
        row_title="token that reads",
        column_title="token that is read",
        value_title="share of weight",
        height=max(160, 20 * len(tokens)),
    )
    _note = f"""Each row sums to 1; the upper right is empty because nobody may look ahead. Head
    {head.value} of layer {layer.value} gives, on average, **{_first:.0%}** of its weight to the first
    token, **{_before:.0%}** to the token before and **{_self:.0%}** to itself."""
    mo.vstack([_map, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _(missing):
    mo.stop(missing is not None)
    habit = mo.ui.dropdown(reading.HABITS, value=reading.HABITS[0], label="share of weight on")
    panel("### All heads at once\n\nFind a head worth a look, then set the two sliders above to it.", habit)
    return (habit,)


@app.cell(hide_code=True)
def all_heads(habit, trace):
    _which = reading.HABITS.index(habit.value)
    _shares = torch.stack([reading.head_habits(_layer)[_which] for _layer in trace.attention])
    _map = charts.heat_map(
        _shares.T.tolist(),
        [str(_head) for _head in range(1, _shares.shape[1] + 1)],
        [str(_layer) for _layer in range(1, len(_shares) + 1)],
        row_title="head",
        column_title="layer",
        value_title="mean share of weight",
        height=200,
    )
    _early, _late = (_half.mean().item() for _half in _shares.chunk(2))
    _note = f"""On average the earlier half of the layers gives **{_early:.0%}** of its weight to
    {habit.value}, the later half **{_late:.0%}**. Much weight on the first token is an attention sink: it
    goes where it does no harm."""
    mo.vstack([_map, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    width = slider(steps=[16, 32, 64, 128, 256, 512], value=64, label="head dimension D")
    temperature = slider(0.25, 4, step=0.25, value=1, label="temperature")
    panel("## Why the scores are divided by the square root of D", width, temperature)
    return temperature, width


@app.cell(hide_code=True)
def softmax(temperature, width):
    _q, _k, _ = random_heads(32, SMOLLM2.heads, D=width.value)
    _weights = {
        _name: attention_weights(_q, _k, scale=_scale / temperature.value)
        .sort(descending=True)[0]
        .mean((0, 1, 2))
        for _name, _scale in (("q·k", 1.0), ("q·k / √D", width.value**-0.5))
    }
    _plot = charts.lines(
        {_name: list(enumerate(_sorted.tolist(), start=1)) for _name, _sorted in _weights.items()},
        x_title="key, from the most to the least attended",
        y_title="share of weight",
        x_format="d",
        y_format=".0%",
        height=240,
    )
    _raw, _scaled = (_sorted[0].item() for _sorted in _weights.values())
    _note = f"""Random queries over 32 random keys. Undivided, the largest key takes **{_raw:.0%}** at D =
    {width.value}; divided, **{_scaled:.0%}**, nearly the same at any D. A softmax that is almost one-hot
    passes almost no gradient to the other keys. Temperature divides the scores once more."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    place = slider(0, 256, value=12, label="position of the key")
    apart = slider(0, 256, value=3, label="distance to the query")
    theta = slider(steps=[100, 1_000, 10_000, 100_000, 1_000_000], value=10_000, label="theta")
    panel(
        "## RoPE: position as rotation\n\nFour of the 32 pairs of coordinates of one head, D = 64.",
        place,
        apart,
        theta,
    )
    return apart, place, theta


@app.cell(hide_code=True)
def rotation(apart, place, theta):
    _turns = rope_frequencies(64, float(theta.value)).tolist()
    _dials = [
        charts.dial(
            {"key": place.value * _turns[_pair], "query": (place.value + apart.value) * _turns[_pair]},
            title=f"pair {_pair}",
            subtitle=f"{math.degrees(_turns[_pair]):.3g}° per token",
        )
        for _pair in (0, 6, 12, 24)
    ]
    _note = """Blue is the key's pair, orange the query's; at position 0 both point right. Move the key:
    both arrows turn, and the angle between them stays. Move the distance: only now it changes. The fast
    pairs on the left tell neighbours apart, the slow ones on the right tell far from near; a larger theta
    slows them further."""
    mo.vstack([mo.hstack(_dials, justify="start", wrap=True), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    reach = slider(steps=[64, 128, 256, 512, 1024, 2048, 4096, 8192], value=1024, label="up to distance")
    panel("### Score over distance\n\nWith the theta set above.", reach)
    return (reach,)


@app.cell(hide_code=True)
def decay(reach, theta):
    _distances = sorted({round(_d) for _d in np.linspace(0, reach.value, 400)})
    _vectors = {"q = k = all ones": (torch.ones(64), torch.ones(64))}
    for _seed in (1, 2):
        _drawn = torch.randn(2, 64, generator=torch.Generator().manual_seed(_seed))
        _vectors[f"random q and k, draw {_seed}"] = tuple(_drawn)
    _curves = {
        _name: (rope_scores(_q, _k, _distances, theta.value) / (_q.norm() * _k.norm())).tolist()
        for _name, (_q, _k) in _vectors.items()
    }
    _plot = charts.lines(
        {_name: list(zip(_distances, _scores, strict=True)) for _name, _scores in _curves.items()},
        x_title="distance between query and key (tokens)",
        y_title="score / (|q| |k|)",
        x_format=",d",
        y_format=".1f",
    )
    _note = f"""For two equal vectors the score falls, unevenly, to
    **{_curves["q = k = all ones"][-1]:.2f}** of its start at distance {reach.value:,}; a larger theta
    stretches the fall. For random vectors nothing decays: the decay belongs to the vectors as much as to
    the rotation."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    _presets = {"SmolLM2-135M": (30, 9, 3, 64), "Llama 3 8B": LLAMA_8B, "Llama 3 70B": LLAMA_70B}
    preset = mo.ui.dropdown(_presets, value="SmolLM2-135M", label="start from")
    panel("## Bytes of the KV cache", preset)
    return (preset,)


@app.cell(hide_code=True)
def _(preset):
    _layers, _heads, _kv_heads, _head_dim = preset.value
    shape = mo.ui.dictionary(
        {
            "layers": slider(1, 128, value=_layers, label="layers"),
            "heads": slider(1, 128, value=_heads, label="query heads (MHA)"),
            "kv_heads": slider(1, 64, value=_kv_heads, label="KV heads (GQA)"),
            "head_dim": slider(steps=[32, 64, 96, 128, 192, 256], value=_head_dim, label="head dimension"),
            "latent": slider(steps=[64, 128, 256, 512, 1024], value=512, label="latent dimension (MLA)"),
            "batch": slider(steps=[2**_n for _n in range(9)], value=1, label="batch"),
            "bytes": slider(steps=[1, 2, 4], value=2, label="bytes per value"),
            "tokens": slider(steps=[2**_n for _n in range(8, 21)], value=8192, label="tokens in the table"),
        }
    )
    mo.hstack(shape.elements.values(), justify="start", gap=1.5, wrap=True)
    return (shape,)


@app.cell(hide_code=True)
def cache_size(shape):
    _s = shape.value
    _rest = {"batch": _s["batch"], "bytes_per_value": _s["bytes"]}
    _size = {
        _name: partial(cache_bytes, _s["layers"], _kv_heads, _s["head_dim"], **_rest)
        for _name, _kv_heads in (("MHA", _s["heads"]), ("GQA", _s["kv_heads"]), ("MQA", 1))
    }
    _size["MLA"] = partial(counting.latent_cache_bytes, _s["layers"], _s["latent"], 64, **_rest)
    _plot = charts.lines(
        {
            _name: [(2**_n, _bytes(tokens=2**_n) / 1e9) for _n in range(8, 21)]
            for _name, _bytes in _size.items()
        },
        x_title="context (tokens, log scale)",
        y_title="cache (GB of 10⁹ bytes, log scale)",
        log=True,
        y_format="~g",
    )
    _rows = [
        {
            "kind": _name,
            "bytes per token": _bytes(tokens=1),
            f"bytes at {_s['tokens']:,} tokens": _bytes(tokens=_s["tokens"]),
            "of MHA": f"{_bytes(tokens=1) / _size['MHA'](tokens=1):.1%}",
        }
        for _name, _bytes in _size.items()
    ]
    _note = f"""On log scales all four are parallel lines: sharing heads or compressing them moves the line
    down and never bends it. GQA takes **1/{_size["MHA"](tokens=1) / _size["GQA"](tokens=1):.3g}** of the
    bytes of MHA here. MLA keeps one latent vector and one rotary key of 64 per token and layer, whatever
    the number of heads: it pays where there are many."""
    mo.vstack([_plot, mo.Html(charts.table(_rows)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    context = slider(steps=[16, 32, 64, 128, 256, 512, 1024], value=128, label="tokens of context")
    single = mo.ui.switch(value=False, label="one thread, as the claims do")
    measure = mo.ui.run_button(label="Measure")
    _about = "SmolLM2-135M in fp32 on the CPU of this machine, on all its threads or on one."

    panel(f"## Prefill, decode, and decode without the cache\n\n{_about}", context, single, measure)
    return context, measure, single


@app.cell(hide_code=True)
def timing(context, measure, missing, single):
    mo.stop(missing is not None, mo.md("*This part needs the model; see above.*"))
    _script = mo.app_meta().mode == "script"
    mo.stop(
        not (measure.value or _script), mo.md("*Press Measure: a few seconds, more with a longer context.*")
    )
    with mo.status.spinner(title=f"Measuring at {context.value:,} tokens") as _spinner:
        _rates = rates(context.value, single.value, lambda _what: _spinner.update(subtitle=_what))
    _plot = charts.bars(
        {_rate["pass"]: _rate["tokens per second"] for _rate in _rates},
        x_title="tokens per second (log scale)",
        log=True,
    )
    _gain = _rates[1]["tokens per second"] / _rates[2]["tokens per second"]
    _note = f"""With {context.value:,} tokens of context the cache makes the next token **{_gain:.1f}
    times** as fast. Prefill is faster still, token for token, because one read of the weights serves the
    whole prompt. Double the context: decoding without the cache halves its speed, decoding with it hardly
    notices."""
    mo.vstack([_plot, mo.Html(charts.table(_rates)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _(ids):
    position = slider(1, len(ids), value=len(ids), label="read up to token")
    _about = """The final norm and the output head, applied after every block instead of only after the
    last: what the model would say next if it stopped there. The sentence is the one that you typed above."""
    panel(f"## Logit lens\n\n{_about}", position)
    return (position,)


@app.cell(hide_code=True)
def lens(ids, loaded, position, trace):
    with kit.quiet():
        _depths = reading.lens(loaded.model, trace, position.value - 1)
    _top = _depths.topk(5)
    _settled = reading.settled_after(_top.indices[:, :1]).item()
    _names = [
        [charts.visible(loaded.tokenizer.decode([_id])) for _id in _row] for _row in _top.indices.tolist()
    ]
    _final = f"the final choice, {_names[-1][0]}"
    _plot = charts.lines(
        {
            _final: list(enumerate(_depths[:, _top.indices[-1, 0]].tolist())),
            "the choice at this depth": list(enumerate(_top.values[:, 0].tolist())),
        },
        x_title="blocks done (0: the embedding alone)",
        y_title="probability",
        x_format="d",
        y_format=".0%",
        height=220,
    )
    _rows = [
        {"blocks": _n} | {f"{_k + 1}.": (_names[_n][_k], _top.values[_n, _k].item()) for _k in range(5)}
        for _n in range(len(_depths))
    ]
    _note = f"""The top token becomes **{_names[-1][0]}** for good after **{_settled} of {len(_rows) - 1}
    blocks**. In this small model it usually appears only in the last few; before, the lens is often sure of
    something else."""
    mo.vstack(
        [
            mo.md(f"After “… {loaded.tokenizer.decode(ids[: position.value][-8:])}” comes:"),
            _plot,
            mo.md(_note),
            mo.accordion({"The five most likely tokens after every block": mo.Html(charts.table(_rows))}),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    length = slider(steps=[128, 256, 512, 1024, 2048], value=1024, label="tokens")
    tile = slider(steps=[16, 32, 64, 128, 256, 512], value=128, label="keys per tile")
    panel("## Tiled attention is exact\n\nNine heads of 64, three KV heads, causal, fp32.", length, tile)
    return length, tile


@app.cell(hide_code=True)
def tiles(length, tile):
    _input = (*random_heads(length.value), causal_mask(length.value))
    _ways = {
        "plain": partial(attend, *_input),
        f"tiled, {tile.value} keys": partial(attend_tiled, *_input, block=tile.value),
        "torch's fused kernel": partial(attend_fused, *_input),
    }
    with kit.quiet():
        _plain = attend(*_input)
        _difference = {_name: f"{(_way() - _plain).abs().max().item():.1g}" for _name, _way in _ways.items()}
        _peak = {_name: kit.peak_bytes(_way) / 1e6 for _name, _way in _ways.items()}
    _plot = charts.bars(_peak, x_title="peak memory of tensors made (MB)")
    _rows = [
        {"way": _name, "peak MB": _peak[_name], "largest difference from plain": _difference[_name]}
        for _name in _ways
    ]
    _note = """The differences are rounding. The memory of plain attention grows with the square of the
    length; a smaller tile needs less and changes nothing else. The fused kernel keeps its tiles in scratch
    memory that is not counted here."""
    mo.vstack([_plot, mo.Html(charts.table(_rows)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    moe = mo.ui.dictionary(
        {
            "experts": slider(steps=[4, 8, 16, 32, 64], value=16, label="experts"),
            "k": slider(1, 4, value=2, label="experts per token"),
            "tokens": slider(steps=[32, 64, 128, 256, 512, 1024, 4096], value=256, label="tokens"),
            "skew": slider(0, 2, step=0.1, value=0, label="bias among experts"),
            "factor": slider(1, 3, step=0.05, value=1.25, label="capacity factor"),
        }
    )
    panel("## Mixture of experts: load and capacity", *moe.elements.values())
    return (moe,)


@app.cell(hide_code=True)
def experts(moe):
    _m = moe.value
    _random = np.random.default_rng(0)
    _logits = _random.standard_normal((_m["tokens"], _m["experts"]))
    _chosen = routing.route(_logits + _m["skew"] * _random.standard_normal(_m["experts"]), _m["k"])
    _load = routing.expert_load(_chosen, _m["experts"])
    _room, _dropped = routing.capacity(_load, _m["factor"]), routing.dropped_share(_load, _m["factor"])
    _plot = charts.limited_bars(
        _load.tolist(),
        _room,
        x_title="expert",
        y_title="tokens assigned",
        within="within capacity",
        beyond="no room",
    )
    _note = f"""An expert may take {_room:,} tokens, {_m["factor"]:g} times the mean load. The busiest gets
    **{_load.max() / _load.mean():.2f} times** the mean, and **{_dropped:.1%}** of all assignments find no
    room. With a fair router (bias 0) chance alone overfills some experts, the more so the fewer tokens
    there are; with a bias most of the capacity stands empty beside full experts."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    check = mo.ui.run_button(label="Measure all claims here")
    _about = (
        "Every marked number of the chapter, measured on this machine with small settings. About a minute."
    )
    panel(f"## The chapter's claims\n\n{_about}", check)
    return (check,)


@app.cell(hide_code=True)
def claims(check):
    _here = mo.notebook_dir() / "lab.py"
    if mo.app_meta().mode == "script":
        kit.report(_here)
    mo.stop(not check.value)
    with mo.status.spinner(title="Measuring", remove_on_exit=True) as _spinner:
        _found = kit.outcomes(
            _here, lambda _n, _of, _id: _spinner.update(subtitle=f"{_n} of {_of} done. {_id}")
        )
    mo.Html(charts.table([kit.row(_outcome) for _outcome in _found]))
    return


if __name__ == "__main__":
    app.run()
