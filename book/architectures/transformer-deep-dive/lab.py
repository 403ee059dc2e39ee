# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The transformer, touched and measured: the lab of the chapter.

Open it in the handbook to move the sliders. Run as a script it measures the chapter's claims on this machine,
prints them, and fails if one does not hold. The claims name functions that the first block imports.

Book: architectures/transformer-deep-dive
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Lab: transformer deep dive")

with app.setup:
    import math
    from functools import partial

    import marimo as mo
    import numpy as np
    import torch

    from handbook.errors import HandbookError
    from handbook.lab import charts, kit
    from handbook.lab.transformer.attention import (
        gqa_equals_repeated_mha,
        no_position_equivariance,
        scaled_softmax_peak,
        sorted_weights,
        unscaled_softmax_peak,
    )
    from handbook.lab.transformer.cache import (
        batched_decode_gain,
        bytes_by_kind,
        cache_equals_weights_tokens,
        cached_decode_speedup,
        gqa_cache_saving,
        kv_bytes_per_token_smollm2,
        kv_megabytes_8k,
        mla_cache_saving,
        prefill_over_decode,
        rates,
        window_cache_share,
    )
    from handbook.lab.transformer.counting import (
        active_share_mixtral,
        attention_flops_share_2k,
        decode_flops_error,
        embedding_parameter_share,
        flops_per_token_over_2n,
    )
    from handbook.lab.transformer.kernels import (
        fused_attention_speedup,
        norm_time_share,
        tiled_attention_error,
        tiled_attention_memory_saving,
        ways,
    )
    from handbook.lab.transformer.latent import (
        cached_values,
        mla_absorbed_error,
        mla_absorbed_flops,
        mla_absorbed_speedup,
        resized,
        step_flops,
    )
    from handbook.lab.transformer.live import corpus, smooth, summary, train_all
    from handbook.lab.transformer.mixture import (
        before_and_after,
        moe_drop_at_capacity_125,
        moe_drop_at_capacity_one,
        moe_grouped_decode_speedup,
        moe_grouped_error,
        moe_grouped_speedup,
        moe_grouped_train_speedup,
        moe_hottest_expert,
    )
    from handbook.lab.transformer.positions import (
        decay_curves,
        interpolation_untrained_perplexity,
        no_rope_perplexity,
        ntk_untrained_perplexity,
        rope_decay_512,
        rope_pairing_perplexity,
        rope_random_spread,
        rope_relative_shift,
        wavelengths,
        yarn_untrained_perplexity,
    )
    from handbook.lab.transformer.reading import (
        first_token_attention_share,
        lens_rows,
        logit_lens_half_depth_agreement,
        logit_lens_settles,
    )
    from handbook.lab.transformer.subjects import SMOLLM2, published
    from handbook.lab.transformer.training import (
        extension_beyond_linear,
        extension_beyond_none,
        extension_beyond_ntk,
        extension_beyond_yarn,
        moe_balanced_drop,
        moe_bias_balanced_busiest,
        moe_loss_above_dense_total,
        moe_loss_balanced_busiest,
        moe_loss_below_dense_active,
        moe_unbalanced_busiest,
        moe_unbalanced_drop,
    )
    from handbook.model import reading
    from handbook.model.rope import rope_frequencies
    from handbook.model.router import GATES
    from handbook.model.variants import held_positions, sink_mask, window_mask

    slider = partial(mo.ui.slider, show_value=True)


@app.function
def panel(text: str, *controls):
    """A part's heading and its controls in a row that wraps."""
    return mo.vstack([mo.md(text), mo.hstack(controls, justify="start", gap=1.5, wrap=True)])


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
    _weights = sorted_weights(width.value, temperature.value)
    _plot = charts.lines(
        {_name: list(enumerate(_sorted, start=1)) for _name, _sorted in _weights.items()},
        x_title="key, from the most to the least attended",
        y_title="share of weight",
        x_format="d",
        y_format=".0%",
        height=240,
    )
    _raw, _scaled = (_sorted[0] for _sorted in _weights.values())
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
    _curves = decay_curves(_distances, theta.value)
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
    stretch = slider(1, 16, step=0.5, value=4, label="factor")
    trained = slider(steps=[1024, 2048, 4096, 8192, 16384], value=4096, label="trained context")
    panel(
        "### Extending the context\n\nHow much slower each pair of a head turns, D = 128, with the theta set "
        "above.",
        stretch,
        trained,
    )
    return stretch, trained


@app.cell(hide_code=True)
def extension(stretch, theta, trained):
    _waves = wavelengths(128, float(theta.value), stretch.value, trained.value)
    _own = _waves["as trained"]
    _plot = charts.lines(
        {
            _name: [(_w, _new / _w) for _w, _new in zip(_own, _found, strict=True)]
            for _name, _found in _waves.items()
        },
        x_title="tokens for a full turn, as trained (log scale)",
        y_title="times slower",
        y_format="~g",
        log="x",
        vertical=trained.value,
    )
    _rows = [
        {"pair": _pair} | {_name: f"{_found[_pair]:,.0f}" for _name, _found in _waves.items()}
        for _pair in (0, 16, 32, 48, 63)
    ]
    _note = """Left of the dashed line are pairs that made a full turn in training, right of it those that
    never did. Linear slows all alike, so neighbours look closer than ever seen; NTK slows fast pairs little;
    YaRN and Llama 3 leave alone what turned often and slow by the whole factor what never turned once."""
    _table = mo.accordion({"Tokens for a full turn": mo.Html(charts.table(_rows))})
    mo.vstack([_plot, mo.md(_note), _table])
    return


@app.cell(hide_code=True)
def _():
    _presets = {
        "SmolLM2-135M": SMOLLM2,
        "Llama 3.1 8B": published("llama-3.1-8b"),
        "Llama 3.1 70B": published("llama-3.1-70b"),
    }
    preset = mo.ui.dropdown(_presets, value="SmolLM2-135M", label="start from")
    panel("## Bytes of the KV cache", preset)
    return (preset,)


@app.cell(hide_code=True)
def _(preset):
    _c = preset.value
    shape = mo.ui.dictionary(
        {
            "layers": slider(1, 128, value=_c.layers, label="layers"),
            "heads": slider(1, 128, value=_c.heads, label="query heads (MHA)"),
            "kv_heads": slider(1, 64, value=_c.kv_heads, label="KV heads (GQA)"),
            "head_dim": slider(steps=[32, 64, 96, 128, 192, 256], value=_c.head_dim, label="head dimension"),
            "latent": slider(steps=[64, 128, 256, 512, 1024], value=512, label="latent dimension (MLA)"),
            "batch": slider(steps=[2**_n for _n in range(9)], value=1, label="batch"),
            "bytes_per_value": slider(steps=[1, 2, 4], value=2, label="bytes per value"),
            "tokens": slider(steps=[2**_n for _n in range(8, 21)], value=8192, label="tokens in the table"),
        }
    )
    mo.hstack(shape.elements.values(), justify="start", gap=1.5, wrap=True)
    return (shape,)


@app.cell(hide_code=True)
def cache_size(shape):
    _s = dict(shape.value)
    _tokens = _s.pop("tokens")
    _size = bytes_by_kind(**_s)
    _plot = charts.lines(
        {_name: [(2**_n, _bytes(2**_n) / 1e9) for _n in range(8, 21)] for _name, _bytes in _size.items()},
        x_title="context (tokens, log scale)",
        y_title="cache (GB of 10⁹ bytes, log scale)",
        log="xy",
        y_format="~g",
    )
    _rows = [
        {
            "kind": _name,
            "bytes per token": _bytes(1),
            f"bytes at {_tokens:,} tokens": _bytes(_tokens),
            "of MHA": f"{_bytes(1) / _size['MHA'](1):.1%}",
        }
        for _name, _bytes in _size.items()
    ]
    _note = f"""On log scales all four are parallel lines: sharing heads or compressing them moves the line
    down and never bends it. GQA takes **1/{_size["MHA"](1) / _size["GQA"](1):.3g}** of the
    bytes of MHA here. MLA keeps one latent vector and one rotary key of 64 per token and layer, whatever
    the number of heads: it pays where there are many."""
    mo.vstack([_plot, mo.Html(charts.table(_rows)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    many = slider(steps=[8, 16, 32, 64, 128], value=128, label="heads")
    rank = slider(steps=[64, 128, 256, 512, 1024], value=512, label="width of the latent")
    _about = "One layer of DeepSeek-V2 (128 heads of 128 + 64 channels, latent of 512), or with your numbers."
    panel(f"### Latent attention: the work of a decode step\n\n{_about}", many, rank)
    return many, rank


@app.cell(hide_code=True)
def latent_work(many, rank):
    _c = resized(many.value, rank.value)
    _flops = {2**_n: step_flops(_c, 2**_n) for _n in range(8, 18)}
    _here, _held = _flops[4096], cached_values(_c)
    _plot = charts.lines(
        {_way: [(_tokens, _found[_way] / 1e9) for _tokens, _found in _flops.items()] for _way in _here},
        x_title="context (tokens, log scale)",
        y_title="GFLOPs of one layer (log scale)",
        y_format="~g",
        log="xy",
    )
    _note = f"""Per token and layer the latent takes **{_held["absorbed"]:,}** values; keys and values would
    take **{_held["kept"]:,}**. At 4,096 tokens, unfolding all latents for each new token costs
    **{_here["unfolded"] / _here["absorbed"]:.0f} times** the absorbed step. That step does
    **{_here["absorbed"] / _here["kept"]:.1f} times** the arithmetic that kept keys and values would need, and
    reads **1/{_held["kept"] / _held["absorbed"]:.0f}** of the values."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    near = slider(1, 24, value=8, label="window")
    sinks = slider(0, 8, value=2, label="sinks")
    panel("### Windows and sinks\n\nWho sees whom in a text of 24 tokens.", near, sinks)
    return near, sinks


@app.cell(hide_code=True)
def window(near, sinks):
    _seen = sink_mask(24, window=near.value, sinks=sinks.value)
    _names = [str(_n) for _n in range(1, 33)]
    _map = charts.heat_map(
        torch.where(window_mask(24, window=near.value), 0.8, 0.2 * _seen).tolist(),
        _names,
        _names,
        row_title="position that reads",
        column_title="position that is read: strong by the window, faint as a sink",
        value_title="shade",
        height=400,
        legend=False,
    )
    _plot = charts.lines(
        {
            "everything": [(_t, _t) for _t in range(0, 129, 4)],
            "window and sinks": [
                (_t, held_positions(_t, near.value, sinks.value)) for _t in range(0, 129, 4)
            ],
        },
        x_title="tokens read",
        y_title="positions in the cache",
        x_format="d",
        y_format="d",
        height=180,
    )
    _note = f"""The last position sees **{int(_seen[-1].sum())} of 24**, and a layer keeps no more than
    **{near.value + sinks.value}** positions however long the text grows. A token outside the window is not
    lost at once: the next layer's window reaches one window further back."""
    mo.vstack([_map, _plot, mo.md(_note)])
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
    _rows = lens_rows(loaded.tokenizer, _top)
    _names = [_row["1."][0] for _row in _rows]
    _final = f"the final choice, {_names[-1]}"
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
    _note = f"""The top token becomes **{_names[-1]}** for good after **{_settled} of {len(_rows) - 1}
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
    _rows = ways(length.value, tile.value)
    _plot = charts.bars(
        {_row["way"]: _row["peak MB"] for _row in _rows}, x_title="peak memory of tensors made (MB)"
    )
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
            "gate": mo.ui.dropdown(list(GATES), value="sigmoid", label="gate"),
            "skew": slider(0, 2, step=0.1, value=0.8, label="what all tokens share"),
            "steps": slider(0, 400, step=20, value=200, label="balancing steps"),
            "step": slider(steps=[0.1, 0.3, 1, 3, 10, 30], value=3, label="size of a step (thousandths)"),
        }
    )
    _about = (
        "512 tokens through the handbook's own router, untrained, before and after its selection bias moved."
    )
    panel(f"## Mixture of experts: load and capacity\n\n{_about}", *moe.elements.values())
    return (moe,)


@app.cell(hide_code=True)
def experts(moe):
    _m = before_and_after(**moe.value)
    _bars = charts.grouped_bars(
        {_name: _found.load for _name, _found in _m.items()},
        x_title="expert",
        y_title="tokens assigned",
        level=sum(_m["before"].load) / len(_m["before"].load),
    )
    _plot = charts.lines(
        {_name: _found.dropped for _name, _found in _m.items()},
        x_title="capacity factor",
        y_title="share dropped",
        x_format=".1f",
        y_format=".0%",
        height=200,
    )
    _raw, _even = _m.values()
    _note = f"""What all tokens share sends them to the same experts: the busiest has **{_raw.busiest:.1f}
    times** the mean (dashed), and at a capacity factor of 1.2 **{dict(_raw.dropped)[1.2]:.0%}** of all
    assignments find no room. After balancing: **{_even.busiest:.1f} times** and
    **{dict(_even.dropped)[1.2]:.0%}**. Small steps arrive late; large ones swing."""
    mo.vstack([_bars, _plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    steps = slider(100, 400, step=50, value=200, label="steps")
    train = mo.ui.run_button(label="Train")
    _about = """Three models of two layers, from nothing, on Tiny Shakespeare: a dense one, and two mixtures
    of 8 experts, of which each character passes 2, together as wide. Under a minute at 200 steps."""
    panel(f"### A mixture, trained here\n\n{_about}", steps, train)
    return steps, train


@app.cell(hide_code=True)
def training(steps, train):
    try:
        _text = corpus()
    except HandbookError as _error:
        mo.stop(True, mo.callout(mo.md(f"**{_error.what}** {_error.remedy}"), kind="warn"))
    mo.stop(not train.value, mo.md("*Press Train.*"))
    with mo.status.progress_bar(total=3 * steps.value, title="Training", remove_on_exit=True) as _bar:
        _found = train_all(_text, steps.value, lambda _name, _point: _bar.update(subtitle=_name))
    _plot = charts.lines(
        {_name: smooth(_run.curve) for _name, _run in _found.items()},
        x_title="step",
        y_title="loss (nats per character)",
        x_format="d",
        y_format=".1f",
        zero=False,
        height=240,
    )
    _loads = {_name: _run.held_out.loads[-1] for _name, _run in _found.items() if _run.held_out.loads}
    _bars = charts.grouped_bars(
        _loads, x_title="expert of the last layer", y_title="share of the held-out text", level=1 / 8
    )
    _note = """Each character costs all three about the same. In so short a run the mixtures' further weights
    buy little, and the losses hardly differ. The loads do: without balancing a few experts take most of the
    text. The chapter's figures come from longer runs."""
    mo.vstack([_plot, _bars, mo.Html(charts.table(summary(_found))), mo.md(_note)])
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
