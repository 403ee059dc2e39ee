# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Fine-tuning, touched and measured: the lab of the chapter.

Open it in the handbook to move the sliders. Run as a script it measures the chapter's claims on this machine,
prints them, and fails if one does not hold. The claims name functions that the first block imports.

Book: model-training/fine-tuning-strategies
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Lab: Fine-tuning strategies")

with app.setup:
    from functools import partial

    import marimo as mo

    from handbook.errors import HandbookError
    from handbook.lab import charts, kit
    from handbook.lab.transformer.subjects import SMOLLM2, published
    from handbook.lab.tuning import looks, updates
    from handbook.lab.tuning.adapters import Mixed, adapters_batch_cost, step_bytes
    from handbook.lab.tuning.facts import facts_all_in_context, facts_in_context, facts_tuned
    from handbook.lab.tuning.forgetting import forgetting_full, forgetting_lora
    from handbook.lab.tuning.fourbits import by_hand, bytes_of, nf4_bits, nf4_error, nf4_perplexity, usage
    from handbook.lab.tuning.learning import (
        adam8_loss,
        attention_only_loss,
        base_loss,
        full_loss,
        pissa_start,
        rank_loss_4,
        rank_loss_16,
        rank_loss_64,
    )
    from handbook.lab.tuning.memory import (
        adam8_memory,
        checkpointing_memory,
        chunked_logits_peak,
        full_bytes_per_parameter,
        logits_megabytes,
        lora_share,
        qlora_memory,
    )
    from handbook.lab.tuning.merging import merge_bf16_loss, merge_difference
    from handbook.lab.tuning.packed import packing_leak, packing_leak_running, packing_speed, packing_waste
    from handbook.lab.tuning.sides import ratios
    from handbook.lab.tuning.steps import checkpointing_cost, lora_step_speed, qlora_step, steps
    from handbook.quantize.nf4 import NF4

    slider = partial(mo.ui.slider, show_value=True)
    RANKS = [1, 2, 4, 8, 16, 32, 64, 128, 256]


@app.function
def panel(text: str, *controls):
    """A part's heading and its controls in a row that wraps."""
    return mo.vstack([mo.md(text), mo.hstack(controls, justify="start", gap=1.5, wrap=True)])


@app.function
def size(count: float) -> str:
    """Bytes, to be read."""
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Lab: Fine-tuning strategies

    The handbook's own adapters, packing and four bits on this machine. Bytes and shares are calculated from a
    model's shape as you move a slider; what needs a model, or takes time, waits for a button and says so.
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
    rank = slider(steps=RANKS, value=16, label="rank")
    modules = mo.ui.dropdown(looks.MODULES, value="all linear layers", label="adapters on")
    panel("## Rank\n\nWhat a LoRA trains, and what it holds from step to step.", model, rank, modules)
    return model, modules, rank


@app.cell(hide_code=True)
def explorer(model, modules, rank):
    _of = {
        _name: looks.memory(model.value, looks.Asked(method=_method, r=rank.value, targets=modules.value))
        for _name, _method in (("full", "full"), ("LoRA", "lora"), ("QLoRA", "qlora"))
    }
    _lines = ("base", "adapter", "gradients", "moments")
    _rows = [
        {
            "method": _name,
            **{_line: size(_found[_line]) for _line in _lines},
            "together": size(sum(_found[_line] for _line in _lines)),
        }
        for _name, _found in _of.items()
    ]
    _asked = looks.Asked(r=rank.value, targets=modules.value)
    _count, _whole = (
        looks.trained(model.value, _asked),
        looks.trained(model.value, looks.Asked(method="full")),
    )
    _more = looks.trained(model.value, looks.Asked(r=2 * rank.value, targets=modules.value))
    _note = f"""**{_count:,}** numbers train, **{_count / _whole:.2%}** of {_whole:,}; the rank doubled makes
    {_more:,}. The saved adapter is {size(2 * _count)} in 16 bits. fp32 for what trains, its gradients and
    AdamW's two moments; a frozen base in bf16, or in NF4 without embedding and head. Activations come on
    top, below."""
    mo.vstack([mo.Html(charts.table(_rows)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    keep = slider(steps=[0, 1, 2, 4, 8, 16, 32, 64], value=4, label="rank that is kept")
    with mo.status.spinner(title="Training a small decoder, some seconds", remove_on_exit=True):
        tuned = updates.update()
    layer = mo.ui.dropdown(list(tuned.changes), value=list(tuned.changes)[-1], label="layer")
    panel(
        "### An update, cut to a rank\n\nA decoder with two blocks of width 64 learns to write a text, then, "
        "with all weights of its blocks, to begin every word with a capital. What that changed is cut to its "
        "best part of some rank, in every layer.",
        keep,
        layer,
    )
    return keep, layer, tuned


@app.cell(hide_code=True)
def update(keep, layer, tuned):
    _values = tuned.spectra[layer.value]
    _spectrum = charts.lines(
        {"singular values of this layer's update": list(enumerate(_values, 1))},
        x_title="which, the largest first",
        y_title="size",
        x_format="d",
        y_format=".2f",
        vertical=keep.value or None,
        height=200,
    )
    _cuts = [0, 1, 2, 4, 8, 16, 32, 64]
    _loss = charts.lines(
        {"held-out loss": [(_r, updates.loss_of_rank(_r)) for _r in _cuts]},
        x_title="rank that is kept, in all layers",
        y_title="nats per letter",
        x_format="d",
        y_format=".1f",
        vertical=keep.value,
        zero=False,
        height=200,
    )
    _here = updates.loss_of_rank(keep.value)
    _gain = (tuned.before - _here) / (tuned.before - tuned.after)
    _note = f"""Rank {keep.value} keeps **{tuned.kept(keep.value):.0%}** of the update's squares and
    **{_gain:.0%}** of what the update gained: {_here:.2f} nats, between {tuned.before:.2f} before and
    {tuned.after:.2f} with all of it. Full fine-tuning writes in every direction, and few of them are what
    it is for. A LoRA of this rank is not given these directions; it has to find some as good."""
    mo.vstack([_spectrum, _loss, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    asked = mo.ui.dictionary(
        {
            "method": mo.ui.dropdown(
                {"full": "full", "LoRA, rank 16": "lora", "QLoRA, rank 16": "qlora"},
                value="LoRA, rank 16",
                label="method",
            ),
            "tokens": slider(steps=[512, 1024, 2048, 4096, 8192, 16384], value=2048, label="tokens at once"),
            "again": mo.ui.switch(value=False, label="checkpointing"),
            "chunked": mo.ui.switch(value=False, label="loss in chunks"),
            "optimizer": mo.ui.dropdown(
                {"fp32 moments": "adamw", "8-bit moments": "adamw8bit"}, value="fp32 moments", label="AdamW"
            ),
        }
    )
    panel("## Memory line by line\n\nOf the model that is chosen above.", *asked.elements.values())
    return (asked,)


@app.cell(hide_code=True)
def lines(asked, model):
    _found = looks.memory(model.value, looks.Asked(**asked.value))
    _all = sum(_found.values())
    _plot = charts.bars({_name: _bytes / 1e9 for _name, _bytes in _found.items()}, x_title="GB", height=190)
    _most = max(_found, key=_found.get)
    _note = f"""**{size(_all)}** in all; the largest line is **{_most}**, {_found[_most] / _all:.0%}.
    Activations by the count of a classic block, 34 bytes a channel and token, attention's matrices apart;
    logits in fp32 with their gradient. What a framework keeps beside it is not in these lines."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    measure = mo.ui.run_button(label="Measure steps")
    panel(
        "### Steps, measured\n\nFour ways to take a step on the same row, in turns on one thread: a random "
        "decoder with two blocks of width 512, 128 tokens, fp32. Some seconds.",
        measure,
    )
    return (measure,)


@app.cell(hide_code=True)
def measured_steps(measure):
    mo.stop(not measure.value, mo.md("*Press Measure steps.*"))
    with mo.status.spinner(title="Stepping", remove_on_exit=True):
        steps.cache_clear()
        _taken = steps(small=True)
    _names = {
        "full": "full",
        "full again": "full, checkpointing",
        "lora": "LoRA, rank 16",
        "qlora": "QLoRA, rank 16",
    }
    _rows = [
        {
            "step": _title,
            "milliseconds": 1000 * sorted(_taken[_name])[len(_taken[_name]) // 2],
            "of a full step": f"{sorted(ratios(_taken, _name, 'full'))[len(_taken[_name]) // 2]:.0%}",
        }
        for _name, _title in _names.items()
    ]
    _note = """Medians of seven rounds. LoRA leaves out one of three products, the weights' gradient; QLoRA
    makes every weight anew, twice a step, so it suffers most from rows as short as this one."""
    mo.vstack([mo.Html(charts.table(_rows)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    median = slider(steps=[40, 80, 160, 320, 640], value=160, label="median length")
    spread = slider(0, 1.2, step=0.1, value=0.7, label="spread of the lengths")
    batch = slider(steps=[2, 4, 8, 16, 32, 64], value=8, label="documents in a batch")
    panel("## Packing\n\n512 documents of drawn lengths; rows of 2,048 tokens.", median, spread, batch)
    return batch, median, spread


@app.cell(hide_code=True)
def packing(batch, median, spread):
    _drawn = looks.lengths(median.value, spread.value)
    _found = looks.waste(_drawn, batch.value)
    _plot = charts.bars(
        {
            "padded": 100 * _found.padded,
            "padded, like lengths together": 100 * _found.sorted,
            "packed": 100 * _found.packed,
        },
        x_title="% of the places hold nothing",
        height=120,
    )
    _note = f"""Lengths from {min(_drawn)} to {max(_drawn)}, {sum(_drawn) / len(_drawn):.0f} on average.
    Padded batches compute **{1 / (1 - _found.padded):.2f} times** the tokens that there are, packed rows
    **{1 / (1 - _found.packed):.2f} times**. Sorting by length saves nearly as much and decides which
    examples share a step; packing need not."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    first, second, third = (
        slider(1, 8, value=_v, label=f"document {_n}") for _n, _v in ((1, 3), (2, 2), (3, 4))
    )
    masked = mo.ui.switch(value=True, label="mask by document")
    panel("### Who sees whom", first, second, third, masked)
    return first, masked, second, third


@app.cell(hide_code=True)
def mask(first, masked, second, third):
    _lengths = [first.value, second.value, third.value]
    _seen = looks.mask_rows(_lengths, masked.value)
    _names = [f"{'abc'[_d]}{_n}" for _d, _length in enumerate(_lengths) for _n in range(1, _length + 1)]
    _plot = charts.heat_map(
        _seen,
        _names,
        _names,
        row_title="token",
        column_title="sees",
        value_title="seen",
        height=60 + 18 * len(_names),
        legend=False,
    )
    _right = sum(_n * (_n + 1) // 2 for _n in _lengths)
    _all = len(_names) * (len(_names) + 1) // 2
    _wrong = "" if masked.value else f" The **{_all - _right}** others, pale, are another document's."
    _note = f"""**{_right}** pairs are of one document; one causal mask over the whole row has {_all}.{_wrong}
    Nothing crashes either way. What tells them apart is the loss of each document alone."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    weights = mo.ui.text("0.3, -0.9, 0.05, 0.6", label="Your weights, one block", full_width=True)
    mo.vstack([mo.md("## NF4 by hand"), weights])
    return (weights,)


@app.cell(hide_code=True)
def nf4(weights):
    try:
        _values = [float(_part) for _part in weights.value.replace(";", ",").split(",") if _part.strip()]
    except ValueError:
        _values = []
    mo.stop(
        not 1 <= len(_values) <= 64 or not all(abs(_v) < 1e30 for _v in _values),
        mo.md("*Numbers with commas between, at most 64: one block.*"),
    )
    _rows = by_hand(_values)
    _squares = {
        _key: sum((_row[_key] - _row["weight"]) ** 2 for _row in _rows)
        for _key in ("comes back", "even steps")
    }
    _shown = [
        {_key: str(int(_v)) if _key == "code" else f"{_v:.4f}" for _key, _v in _row.items()} for _row in _rows
    ]
    _bytes = ", ".join(map(str, bytes_of(_values)))
    _note = f"""Bytes: **{_bytes}**, two codes each, the first in the upper half. Squared error
    **{_squares["comes back"]:.4f}**, with even steps **{_squares["even steps"]:.4f}**."""
    mo.vstack([mo.Html(charts.table(_shown)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    block = slider(steps=[16, 32, 64, 128, 256, 1024, 4096], value=64, label="weights in a block")
    panel("### Which values are used\n\nOf normal numbers, each block by its largest magnitude.", block)
    return (block,)


@app.cell(hide_code=True)
def values(block):
    _shares = usage(block.value, 262_144 // block.value)
    _plot = charts.lines(
        {
            "taken": list(zip(NF4, _shares, strict=True)),
            "if all were taken alike": [(_v, 1 / 16) for _v in NF4],
        },
        x_title="value, of the block's largest magnitude",
        y_title="share of the weights",
        x_format=".1f",
        y_format=".0%",
        height=220,
    )
    _bits = 4 + 8 / block.value + 32 / (256 * block.value)
    _note = f"""The two outermost take **{_shares[0] + _shares[-1]:.1%}** of the weights together, the most
    taken value **{max(_shares):.1%}**. Larger blocks have larger largest numbers, so the rest moves to the
    middle. Blocks of {block.value} cost **{_bits:.3f}** bits a weight with double quantization."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    texts = slider(steps=[1, 2, 4, 8, 16, 32, 64, 128], value=8, label="texts in the batch")
    distinct = slider(steps=[0, 1, 2, 4, 8, 16, 32, 64, 128], value=4, label="different adapters")
    each = slider(steps=RANKS, value=16, label="rank of each")
    panel(
        "## Adapters in one batch\n\nBytes that a decode step reads, all in bf16, after 512 positions; of "
        "the model that is chosen above.",
        texts,
        distinct,
        each,
    )
    return distinct, each, texts


@app.cell(hide_code=True)
def side_by_side(distinct, each, model, texts):
    _base, _more = step_bytes(model.value, texts.value, 512, distinct.value, each.value)
    _there = min(distinct.value, texts.value)
    _merged = _there * looks.weight_bytes(model.value, "lora")
    _adapters = "1 adapter" if _there == 1 else f"{_there} adapters"
    _note = f"""**{size(_base)}** for the model and the texts' keys and values, **{size(_more)}** more for
    {_adapters}: **{_more / _base:.1%}**. As merged models they would take {size(_merged)}, and no batch would
    be shared. What counts is how many *different* adapters a step has, not how many texts have one; the thin
    products have a price beside their bytes, which is measured below."""
    mo.md(_note)
    return


@app.cell(hide_code=True)
def _():
    beside = mo.ui.run_button(label="Measure a batch")
    panel(
        "### Measured here\n\nA decode step of eight texts through the engine on torch, one thread: a random "
        "decoder with two blocks of width 512, adapters of rank 16.",
        beside,
    )
    return (beside,)


@app.cell(hide_code=True)
def measured_adapters(beside):
    mo.stop(not beside.value, mo.md("*Press Measure a batch.*"))
    with mo.status.spinner(title="Decoding", remove_on_exit=True):
        _bench = Mixed(small=True, most=8)
        _found = {_n: sorted(kit.paired(_bench.step(_n), _bench.step(0), 31))[15] for _n in (1, 2, 4, 8)}
    _plot = charts.bars(
        {f"{_n} adapters" if _n > 1 else "one adapter": _ratio for _n, _ratio in _found.items()},
        x_title="time of a step, over one without adapters",
        height=150,
    )
    _note = """Medians of 31 pairs. The base's products run once over all rows, so eight texts with one
    adapter cost less than eight texts with eight."""
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
