# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Serving, touched and measured: the lab of the chapter.

Open it in the handbook to move the sliders. Run as a script it measures the chapter's claims on this machine,
prints them, and fails if one does not hold. The claims name functions that the first block imports.

Book: inference-ops/llm-serving-optimization
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Lab: LLM serving optimization")

with app.setup:
    from functools import partial

    import marimo as mo

    from handbook.engine.scenarios import SCENARIOS
    from handbook.engine.scripted import Knobs, fitted, run
    from handbook.errors import HandbookError
    from handbook.lab import charts, kit
    from handbook.lab.serving import drawing, looks, view
    from handbook.lab.serving.batching import continuous_over_static_steps, static_idle_share
    from handbook.lab.serving.capacity import (
        LEVEL,
        Level,
        Traffic,
        disaggregation_gap,
        load_curve,
        mm1_wait_90_over_70,
        replicas,
        saturation,
        ttft_90_over_50,
    )
    from handbook.lab.serving.constraining import constrained_mask_share, constrained_step_cost
    from handbook.lab.serving.fitting import judged, simulator_error
    from handbook.lab.serving.paging import (
        page_size_128_waste,
        page_waste,
        paged_over_reserved_running,
        reservation_waste,
        waste,
    )
    from handbook.lab.serving.phases import (
        DEVICES,
        decode_bytes,
        decode_work,
        intensity,
        intensity_1,
        intensity_32,
        intensity_limit,
        intensity_prefill,
        prefill_intensity,
        tensor_parallel_bytes,
        tensor_parallel_sent_bytes,
    )
    from handbook.lab.serving.plots import continuous_bars, static_bars, timeline
    from handbook.lab.serving.rounding import (
        int8_hadamard_kl,
        int8_hadamard_perplexity,
        int8_kv_perplexity,
        int8_token_scale_kl,
        int8_token_scale_perplexity,
    )
    from handbook.lab.serving.sharing import (
        computed_again,
        crowded,
        fair_wait,
        most_held,
        recomputed_share,
    )
    from handbook.lab.serving.simulator import Cost
    from handbook.lab.serving.speculation import (
        against_formula,
        batch_invariance,
        copied,
        lookup_acceptance_copy,
        lookup_gain_copy,
        lookup_gain_prose,
        rejection_distance,
        same_draw_identical,
        speculation_expected_error,
    )
    from handbook.lab.serving.steps import (
        batch_gain_8,
        batch_gain_32,
        gather_share,
        roofs,
        swap_over_recompute,
        verify_8_cost,
        verify_8_cost_16,
    )
    from handbook.lab.serving.streaming import (
        chunked_gap,
        chunked_ttft_cost,
        continuous_over_static,
        prefix_throughput,
        prefix_ttft,
    )
    from handbook.lab.serving.streams import Lengths
    from handbook.lab.transformer.subjects import SMOLLM2, published

    slider = partial(mo.ui.slider, show_value=True)


@app.function
def panel(text: str, *controls):
    """A part's heading and its controls in a row that wraps."""
    return mo.vstack([mo.md(text), mo.hstack(controls, justify="start", gap=1.5, wrap=True)])


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Lab: LLM serving optimization

    The handbook's own scheduler and engine on this machine. Where a part says *simulated*, the scheduler
    decides every step and a formula says how long the step takes; everything else is computed or measured.
    """)
    return


@app.cell(hide_code=True)
def _():
    _models = {
        "SmolLM2-135M": SMOLLM2,
        "Llama 3.1 8B": published("llama-3.1-8b"),
        "Llama 3.1 70B": published("llama-3.1-70b"),
    }
    model = mo.ui.dropdown(_models, value="Llama 3.1 8B", label="model")
    device = mo.ui.dropdown(DEVICES, value="H100", label="device")
    context = slider(steps=[64, 256, 1024, 4096, 16384], value=256, label="positions each")
    bits = slider(steps=[4, 8, 16], value=16, label="bits per weight")
    panel("## The roof\n\nThe least time that a decode step can take.", model, device, context, bits)
    return bits, context, device, model


@app.cell(hide_code=True)
def roof(bits, context, device, model):
    _c, _d, _many = model.value, device.value, [2**_n for _n in range(11)]
    _work = {_n: decode_work(_c, _n, context.value) for _n in _many}
    _bytes = {_n: decode_bytes(_c, _n, context.value, bits.value) for _n in _many}
    _plot = charts.lines(
        {
            "if only memory counted": [(_n, _n * _d.bandwidth / _bytes[_n]) for _n in _many],
            "if only arithmetic counted": [(_n, _n * _d.flops / _work[_n]) for _n in _many],
            "the roof": [(_n, _n / _d.seconds(_work[_n], _bytes[_n])) for _n in _many],
        },
        x_title="sequences in the batch (log scale)",
        y_title="tokens per second at best (log scale)",
        x_format="~g",
        y_format="~s",
        log="xy",
    )
    _one, _all = (intensity(_c, _n, context.value, bits.value) for _n in (1, 1024))
    _read = prefill_intensity(_c, context.value, bits.value)
    _note = f"""A decode step does **{_one:.1f}** FLOPs for each byte that it reads with one sequence and
    **{_all:.0f}** with 1,024; reading a prompt of {context.value:,} tokens does **{_read:,.0f}**. This device
    has room for **{_d.ridge:.0f}** before arithmetic sets the time. More sequences share the weights; none
    shares its keys and values, which is why long contexts bend the line early."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    measure = mo.ui.run_button(label="Measure")
    panel(
        "### Measured here\n\nDecode steps of SmolLM2-135M on one thread, after 128 positions each. The "
        "engine's int8, where this machine has it, stands beside; the chapter's claims do without.",
        measure,
    )
    return (measure,)


@app.cell(hide_code=True)
def measured_batches(measure):
    mo.stop(not measure.value, mo.md("*Press Measure: some seconds.*"))
    try:
        with mo.status.spinner(title="Measuring", remove_on_exit=True):
            _found = roofs([1, 2, 4, 8, 16, 32], 128, small=False)
    except HandbookError as _error:
        mo.stop(True, mo.callout(mo.md(f"**{_error.what}** {kit.WITHOUT_MODEL}"), kind="warn"))
    _plot = charts.lines(
        _found,
        x_title="sequences in the batch (log scale)",
        y_title="tokens per second (log scale)",
        x_format="~g",
        y_format="~s",
        log="xy",
    )
    _gains = [f"{_line[-1][1] / _line[0][1]:.1f} times ({_name})" for _name, _line in _found.items()]
    mo.vstack([_plot, mo.md(f"32 sequences together say, of what one says: **{', '.join(_gains)}**.")])
    return


@app.cell(hide_code=True)
def _():
    slots = slider(2, 16, value=8, label="slots")
    count = slider(8, 64, step=4, value=24, label="requests")
    spread = slider(0, 1.2, step=0.1, value=0.8, label="spread of the lengths")
    panel(
        "## Static and continuous batches\n\nThe same requests, all there at the start, around 48 tokens of "
        "answer. Counted in decode steps.",
        slots,
        count,
        spread,
    )
    return count, slots, spread


@app.cell(hide_code=True)
def batches(count, slots, spread):
    _both = looks.batching(count.value, slots.value, spread.value)
    _static, _continuous = (
        static_bars(_both.jobs, slots.value),
        continuous_bars(_both.continuous),
    )
    _wasted = sum(_b["end"] - _b["start"] for _b in _static if _b["kind"] == "wasted")
    _all = sum(_b["end"] - _b["start"] for _b in _static)
    _gain = _both.static.counts.steps / _both.continuous.counts.steps
    _note = f"""A static batch computes on until its longest member ends: **{_wasted / _all:.0%}** of its
    slot-steps are wasted. Refilled at every step, the same requests take **1/{_gain:.1f}** of the steps. Set
    the spread to 0 and the difference is gone: it is the tail of the lengths that pays."""
    mo.vstack([*timeline([*_static, *_continuous], slots.value), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    _titles = {_s.title: _name for _name, _s in SCENARIOS.items()}
    scenario = mo.ui.dropdown(_titles, value=next(iter(_titles)), label="requests")
    knobs = mo.ui.dictionary(
        {
            "page": slider(steps=[1, 4, 8, 16, 32, 64], value=16, label="page"),
            "memory": slider(steps=[512, 768, 1024, 1536, 2048], value=1024, label="memory (positions)"),
            "tokens": slider(steps=[16, 32, 64, 128, 256, 512], value=64, label="tokens a step"),
            "drafts": slider(0, 8, value=0, label="drafts"),
            "chunked": mo.ui.switch(value=True, label="chunked"),
            "share": mo.ui.switch(value=True, label="prefix caching"),
            "swap": mo.ui.switch(value=False, label="swap"),
        }
    )
    _about = "A small load, step by step: the scheduler's real decisions, times made up. *Simulated.*"
    panel(f"## Live view\n\n{_about}", scenario, *knobs.elements.values())
    return knobs, scenario


@app.cell(hide_code=True)
def _(knobs, scenario):
    _chosen = SCENARIOS[scenario.value]
    _knobs, notes = fitted(_chosen, Knobs(**knobs.value))
    header, steps = run(_chosen, _knobs)
    speeds = view.rates_of(steps)
    at = slider(1, len(steps), value=min(30, len(steps)), label="step", full_width=True)
    mo.vstack([mo.md(" ".join([_chosen.look, *(f"*{_n}.*" for _n in notes)])), at])
    return at, header, speeds, steps


@app.cell(hide_code=True)
def live(at, header, speeds, steps):
    _step = steps[at.value - 1]
    _frame = view.frame(header, _step, speeds, at.value - 1)
    mo.Html(f'<style>{view.style()}</style><div style="--accent:{charts.ACCENT}">{_frame}</div>')
    return


@app.cell(hide_code=True)
def _():
    size = slider(steps=[1, 2, 4, 8, 16, 32, 64, 128, 256], value=16, label="positions of a page")
    panel("## Paging\n\nMemory that is held and holds nothing, over 600 requests. *Simulated.*", size)
    return (size,)


@app.cell(hide_code=True)
def pages(size):
    _sizes = [2**_n for _n in range(9)]
    _found = {_size: waste(_size) for _size in _sizes}
    _reserved = reservation_waste()
    _plot = charts.lines(
        {
            "pages": [(_size, _found[_size]) for _size in _sizes],
            "room for the longest": [(_size, _reserved) for _size in _sizes],
        },
        x_title="positions of a page (log scale)",
        y_title="share of the memory held",
        x_format="~g",
        y_format=".0%",
        log="x",
        vertical=size.value,
        height=240,
    )
    _numbers = 1280 // size.value
    _note = f"""Pages of {size.value} waste **{_found[size.value]:.1%}**: half of each sequence's last page.
    Room for the longest from the start wastes **{_reserved:.0%}**. Small pages cost elsewhere: a sequence of
    1,280 positions then has **{_numbers:,}** of them to look up, and kernels read less in one stretch."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    memory = slider(0.25, 1, step=0.05, value=0.5, label="memory, of what would be enough")
    panel("### Too little memory\n\n48 long answers at once; who must make room is computed again.", memory)
    return (memory,)


@app.cell(hide_code=True)
def preemption(memory):
    _most = most_held()
    _story = crowded(int(_most * memory.value))
    _running = max(_m.running for _m in _story.moments)
    _note = f"""With {int(_most * memory.value)} pages of 16 instead of {_most}: **{_story.counts.preempted}**
    times a sequence makes room, **{computed_again(_story):.0%}** of all computed tokens had been computed
    before, and the last answer ends after **{_story.seconds:.1f} s** instead of
    **{crowded(_most).seconds:.1f} s**. At most {_running} sequences ran at once. *Simulated: 10 ms a step,
    50 µs a token.*"""
    mo.md(_note)
    return


@app.cell(hide_code=True)
def _():
    shared = slider(0, 2048, step=128, value=512, label="tokens in common")
    own = slider(16, 512, step=16, value=64, label="own tokens")
    room = slider(steps=[128, 256, 512, 1024, 4096], value=1024, label="pages of 16")
    panel(
        "## Prefix caching\n\n200 requests, ten a second, on a server with 10 ms a step and 50 µs a token. "
        "*Simulated.*",
        shared,
        own,
        room,
    )
    return own, room, shared


@app.cell(hide_code=True)
def prefixes(own, room, shared):
    mo.stop(
        shared.value + own.value + 64 > 16 * room.value,
        mo.md("*One request alone does not fit: fewer tokens, or more pages.*"),
    )
    _on, _off = (looks.prefixed(shared.value, own.value, 200, room.value, _keep) for _keep in (True, False))
    _rows = [
        {
            "prefix caching": _name,
            "prompt tokens found": f"{_found.share:.0%}",
            "mean time to first token (ms)": 1000 * _found.first,
            "tokens per second": _found.tokens,
        }
        for _name, _found in (("on", _on), ("off", _off))
    ]
    _note = f"""The first token comes after **{_on.first / _off.first:.2f} times** the time. Only whole pages
    are found, and of each prompt at least the last token is computed. Take pages away: what nobody holds is
    given up first."""
    mo.vstack([mo.Html(charts.table(_rows)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    length = slider(steps=[500, 1000, 2000, 4000, 8000], value=4000, label="tokens of the prompt")
    token = slider(steps=[10, 25, 50, 100, 200], value=50, label="µs a token")
    panel(
        "## Chunked prefill\n\n16 texts are being said when a long prompt comes. *Simulated: 10 ms a step.*",
        length,
        token,
    )
    return length, token


@app.cell(hide_code=True)
def chunks(length, token):
    _cost = Cost(0.010, token.value * 1e-6, 1e-7)
    _found = [looks.chunked(length.value, _n, cost=_cost) for _n in (32, 64, 128, 256, 512, 1024, 2048)]
    _whole = looks.chunked(length.value, 0, cost=_cost)
    _plot = charts.lines(
        {
            "longest gap between two tokens of the others": [(_f.chunk, 1000 * _f.gap) for _f in _found],
            "first token of the prompt": [(_f.chunk, 1000 * _f.first) for _f in _found],
        },
        x_title="tokens of a step (log scale)",
        y_title="ms (log scale)",
        x_format="~g",
        y_format="~g",
        log="xy",
        height=240,
    )
    _note = f"""Whole, the prompt stops everybody for **{1000 * _whole.gap:,.0f} ms** and says its own first
    token after {1000 * _whole.first:,.0f} ms. In steps of 256 tokens the others wait at most
    **{1000 * _found[3].gap:,.0f} ms** and it takes {1000 * _found[3].first:,.0f} ms. Every step costs its
    10 ms whatever it computes, so tiny chunks make the prompt late."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    acceptance = slider(0.05, 0.95, step=0.05, value=0.7, label="a draft is right with")
    draft = slider(0, 1, step=0.02, value=0.1, label="cost of a draft, in steps")
    panel(
        "## Speculation\n\nExpected tokens of a step with k drafts, and what they bring.", acceptance, draft
    )
    return acceptance, draft


@app.cell(hide_code=True)
def speculation(acceptance, draft):
    _found = looks.drafted(acceptance.value, draft.value, 16)
    _best = looks.best(acceptance.value, draft.value, 16)
    _plot = charts.lines(
        {
            "tokens per step": [(_d.drafts, _d.tokens) for _d in _found],
            "speed, over none": [(_d.drafts, _d.gain) for _d in _found],
        },
        x_title="drafts k",
        y_title="times",
        x_format="d",
        y_format=".1f",
        vertical=_best or None,
        height=240,
    )
    _pays = (
        f"best with **{_best}** drafts: **{_found[_best].gain:.2f} times** as fast"
        if _best
        else "no number of drafts pays"
    )
    _note = f"""At these numbers {_pays}. Tokens per step go to 1 / (1 - a) =
    **{1 / (1 - acceptance.value):.1f}** however many are guessed. With many sequences in the batch a draft
    costs more, because arithmetic, not memory, then sets the time of a step."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    copy = mo.ui.run_button(label="Copy a text")
    panel(
        "### Measured here\n\nSmolLM2-135M repeats a text for six readers at temperature 0.7; 8 drafts "
        "at each step come from the prompt itself.",
        copy,
    )
    return (copy,)


@app.cell(hide_code=True)
def measured_speculation(copy):
    mo.stop(not copy.value, mo.md("*Press the button: some seconds.*"))
    try:
        with mo.status.spinner(title="Copying", remove_on_exit=True):
            _session = copied(small=False)
    except HandbookError as _error:
        mo.stop(True, mo.callout(mo.md(f"**{_error.what}** {kit.WITHOUT_MODEL}"), kind="warn"))
    _a, _measured, _formula = against_formula(_session)
    _note = f"""Of the drafts that were decided **{_a:.0%}** were right. A step with drafts brought
    **{_measured:.2f}** tokens; the formula, which takes each draft for as likely as the next, says
    **{_formula:.2f}**. One reader got:"""
    mo.vstack([mo.md(_note), mo.md("> " + _session.texts[0].strip().replace("\n", "\n> "))])
    return


@app.cell(hide_code=True)
def _():
    sentence = mo.ui.text("The lighthouse keeper looked at the", label="Your sentence", full_width=True)
    filters = mo.ui.dictionary(
        {
            "temperature": slider(0.1, 2, step=0.1, value=1, label="temperature"),
            "k": slider(0, 50, value=0, label="top-k (0: off)"),
            "p": slider(0.05, 1, step=0.05, value=0.9, label="top-p"),
            "least": slider(0, 0.5, step=0.01, value=0, label="min-p"),
        }
    )
    mo.vstack([mo.md("## Sampling"), sentence, mo.hstack(filters.elements.values(), gap=1.5, wrap=True)])
    return filters, sentence


@app.cell(hide_code=True)
def _(sentence):
    mo.stop(not sentence.value.strip(), mo.md("*Type a few words.*"))
    try:
        with mo.status.spinner(title="Reading", remove_on_exit=True):
            logits = drawing.next_logits(sentence.value.strip())
    except HandbookError as _error:
        mo.stop(True, mo.callout(mo.md(f"**{_error.what}** {kit.WITHOUT_MODEL}"), kind="warn"))
    return (logits,)


@app.cell(hide_code=True)
def sampling(filters, logits):
    _found = drawing.shares(logits, **filters.value)
    _rows = drawing.rows(logits, _found)
    _left = int((_found[1] > 0).sum())
    _note = f"""**{_left:,}** of {len(logits):,} tokens are left to draw from. Each sequence of a batch has
    filters, a seed and random numbers of its own, so nobody's answer hangs on who shares the batch."""
    mo.vstack([mo.Html(charts.table(_rows)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    outlier = slider(1, 200, value=50, label="one channel is so many times as large")
    panel("## Rounding to 8 bits\n\n576 Gaussian channels with one outlier, a scale for each token.", outlier)
    return (outlier,)


@app.cell(hide_code=True)
def rounding(outlier):
    _sizes = [1, 5, 10, 20, 40, 70, 100, 150, 200]
    _ways = {"as they are": False, "after a Hadamard of 64": True}
    _plot = charts.lines(
        {
            _name: [(_s, looks.rounding_error(_s, _turned)) for _s in _sizes]
            for _name, _turned in _ways.items()
        },
        x_title="size of the outlier",
        y_title="error over the usual value",
        x_format="d",
        y_format=".0%",
        vertical=outlier.value,
        height=240,
    )
    _raw, _spread = (looks.rounding_error(outlier.value, _turned) for _turned in _ways.values())
    _note = f"""The scale spans the outlier, so the others get few of the 255 numbers: an error of
    **{_raw:.1%}**. The rotation spreads it over its 64 neighbours: **{_spread:.1%}**. It is orthogonal, so
    rotating the weights alike leaves the product what it was."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    _about = """The server of the simulations (10 ms a step, 50 µs a token, 64 at once) under random arrivals,
    beside the textbook's queue with one server. *Simulated.*"""
    panel(f"## Queues near the limit\n\n{_about}")
    return


@app.cell(hide_code=True)
def knee():
    _loads = [0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95]
    _points = dict(zip([*_loads, 1.0, 1.05], load_curve((*_loads, 1.0, 1.05), 500), strict=True))
    _queue = charts.lines(
        {
            "one at a time (M/M/1)": [(_l, _l / (1 - _l)) for _l in _loads],
            "continuous batching": [(_l, _p.first / _points[0.1].first) for _l, _p in _points.items()],
        },
        x_title="load, of saturation",
        y_title="wait, relative",
        x_format=".0%",
        y_format=".0f",
        height=240,
    )
    _pace = charts.lines(
        {"time per token": [(_l, 1000 * _p.pace) for _l, _p in _points.items()]},
        x_title="load, of saturation",
        y_title="ms, 99% are faster",
        x_format=".0%",
        y_format=".0f",
        height=180,
    )
    _note = """M/M/1: mean wait in services. Continuous batching: the wait for the first token that 99% don't
    pass, over that at a load of 10%. A server that shares each step waits little until its slots are full,
    and then the queue grows without end; the tokens' pace, not the wait, shows the load coming."""
    mo.vstack([_queue, _pace, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    asked = mo.ui.dictionary(
        {
            "rate": slider(
                steps=[1, 2, 5, 10, 20, 50, 100, 200, 500], value=100, label="requests per second"
            ),
            "prompt": slider(steps=[40, 80, 160, 320, 640, 1280], value=160, label="median prompt"),
            "answer": slider(steps=[12, 24, 48, 96, 192, 384], value=48, label="median answer"),
            "first": slider(
                steps=[0.1, 0.2, 0.5, 1, 2, 5], value=LEVEL.first, label="first token within (s)"
            ),
            "pace": slider(steps=[12, 15, 20, 25, 30, 50, 100], value=30, label="ms per token within"),
            "goal": slider(steps=[0.9, 0.95, 0.99], value=0.99, label="for a share of"),
            "step": slider(steps=[2, 5, 10, 20, 40], value=10, label="ms a step"),
            "token": slider(steps=[10, 25, 50, 100, 200], value=50, label="µs a token"),
        }
    )
    panel(
        "## Capacity\n\nServers for a load and a service level, each with an equal share. *Simulated.*",
        *asked.elements.values(),
    )
    return (asked,)


@app.cell(hide_code=True)
def capacity(asked):
    _a = asked.value
    _cost = Cost(_a["step"] / 1e3, _a["token"] / 1e6, 1e-7)
    _traffic = Traffic(
        Lengths(16, _a["prompt"], 8 * _a["prompt"], 0.9), Lengths(4, _a["answer"], 6 * _a["answer"], 0.8)
    )
    _level = Level(_a["first"], _a["pace"] / 1e3)
    _found = replicas(_a["rate"], _level, _a["goal"], _cost, _traffic)
    mo.stop(
        _found is None,
        mo.md("No number of servers meets this level: even a request alone is too slow on one of them."),
    )
    _most = saturation(cost=_cost, traffic=_traffic, jobs=1000)
    _p = _found.each
    _note = f"""**{_found.servers} server{"s" if _found.servers > 1 else ""}**, each at
    **{_p.rate / _most:.0%}** of the {_most:.1f} requests per second that it takes at most. There
    **{_p.good:.1%}** of the requests meet the level: 99% have their first token within
    **{1000 * _p.first:,.0f} ms** and then a token every **{1000 * _p.pace:.0f} ms** or faster. Counting by
    saturation alone would say {_a["rate"] / _most:.1f} servers."""
    mo.md(_note)
    return


@app.cell(hide_code=True)
def _():
    compare = mo.ui.run_button(label="Compare")
    panel(
        "### How far to trust the simulator\n\nIts formula, fitted to steps of one stream through the engine "
        "here, foretells another stream. A random model, some seconds.",
        compare,
    )
    return (compare,)


@app.cell(hide_code=True)
def simulator(compare):
    mo.stop(not compare.value, mo.md("*Press Compare.*"))
    with mo.status.spinner(title="Running both", remove_on_exit=True):
        _judged = judged(small=True)
    _simulated, _measured = _judged.rates
    _step, _token, _position = _judged.cost
    _note = f"""**{_simulated:,.0f}** tokens per second foretold, **{_measured:,.0f}** measured. Fitted:
    {1e3 * _step:.2f} ms a step, {1e6 * _token:.1f} µs a token, {1e6 * _position:.2f} µs a position that is
    read."""
    mo.md(_note)
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
