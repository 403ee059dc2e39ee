# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Coding for interviews, touched and measured: the lab of the chapter.

Open it in the handbook to move the sliders. Run as a script it measures the chapter's claims on this machine,
prints them, and fails if one does not hold. The claims name functions that the first block imports.

Book: machine-learning/coding-for-ml-engineers
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Lab: Coding for ML engineers")

with app.setup:
    from functools import partial

    import marimo as mo
    import numpy as np

    from handbook.lab import charts, kit
    from handbook.lab.coding import looks, streams
    from handbook.lab.coding.arrays import (
        batched_product,
        broadcast_over_loop,
        counting,
        deque_for_10000,
        dict_bytes,
        lost_rows,
        top_tenth,
        views_for_8,
        views_for_1000,
    )
    from handbook.lab.coding.classic import (
        honest_accuracy,
        leaky_accuracy,
        random_start_misses,
        separable_growth,
        spread_start_misses,
        tied_auc_range,
        uncleared,
    )
    from handbook.lab.coding.judging import (
        all_tests_catch,
        attacks_contained,
        bubblewrap_start,
        call_cost,
        cell_start,
        forged_apart,
        forged_in_process,
        humaneval_accepted,
        humaneval_mutants,
        shown_tests_catch,
        warm_verdict,
    )
    from handbook.lab.coding.numerics import (
        best_step,
        left_to_right,
        lost_logs,
        one_pass_wrong,
        overflow_fp16,
        overflow_fp32,
        pairwise,
        single_precision_check,
        stalls_at,
        tiny_step_error,
        welford_wrong,
    )
    from handbook.lab.coding.streams import coin_share, reservoir_share
    from handbook.lab.coding.structures import (
        broadcast_bytes,
        loops_exponent,
        membership,
        negative_distances,
        partition,
        pointers_exponent,
        queue,
        recursion_calls,
        table_cells,
        top_ten,
        two_threads,
        vectorised,
        window_5,
        window_500,
    )

    slider = partial(mo.ui.slider, show_value=True)


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Lab: Coding for ML engineers

    Numbers that break, structures that pay, and the judge itself, on this machine.
    """)
    return


@app.function
def panel(text: str, *controls):
    """A part's heading and its controls in a row that wraps."""
    return mo.vstack([mo.md(text), mo.hstack(controls, justify="start", gap=1.5, wrap=True)])


@app.cell(hide_code=True)
def _():
    largest = slider(0, 120, step=1, value=60, label="largest logit")
    kind = mo.ui.dropdown({"float32": np.float32, "float16": np.float16}, value="float32", label="type")
    panel("## Softmax\n\nThree logits: the largest, one less, and zero.", largest, kind)
    return kind, largest


@app.cell(hide_code=True)
def softmax(kind, largest):
    _note = """The exponential of the largest logit overflows first, and infinity over infinity is no number.
    Shifted, nothing overflows, but small probabilities become 0 and their logarithm minus infinity;
    log-softmax never takes that exponential back."""
    mo.vstack([mo.Html(charts.table(looks.softmaxes(largest.value, kind.value))), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    precision = mo.ui.dropdown(
        {"float64": np.float64, "float32": np.float32}, value="float64", label="the loss is computed in"
    )
    panel("## Gradient checks\n\nCentral differences against the exact gradient of log-sum-exp.", precision)
    return (precision,)


@app.cell(hide_code=True)
def gradient_check(precision):
    _plot = charts.lines(
        {"largest relative error": looks.check_errors(precision.value)},
        x_title="step, power of ten",
        y_title="error, power of ten",
        x_format="d",
        y_format="d",
        zero=False,
        height=220,
    )
    _note = """Right of the best step the curve's bend is the error, left of it rounding, divided by a step
    that shrinks. In float32 no step is good: a check there can't tell a small mistake from rounding."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    program = mo.ui.dropdown(list(looks.PROGRAMS), value="pairs, two loops", label="program")
    panel("## Growth\n\nAs the judge measures it: doubling sizes, processor time, a law fitted.", program)
    return (program,)


@app.cell(hide_code=True)
def growth(program):
    with mo.status.spinner(title="Measuring, about a second", remove_on_exit=True):
        _found = looks.grown(program.value)
    _plot = charts.lines(
        looks.lines_of(_found), x_title="n", y_title="milliseconds", log="xy", y_format="~g", height=240
    )
    mo.vstack([_plot, mo.md(looks.said(_found))])
    return


@app.cell(hide_code=True)
def _():
    clouds = slider(0, 9, value=0, label="clouds, seed")
    panel("## k-means from thirty starts\n\nEight round clouds; runs sorted by where they end.", clouds)
    return (clouds,)


@app.cell(hide_code=True)
def starts(clouds):
    _plot = charts.lines(
        looks.ends(clouds.value),
        x_title="run, the best first",
        y_title="sum of squared distances",
        x_format="d",
        height=220,
    )
    _note = """Each step of Lloyd's rounds is right, and still a run ends where two clouds share a centre.
    Spread starts make it rarer; several starts, the best kept, are what a library does."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    sampler = mo.ui.dropdown(list(looks.SAMPLERS), value="a coin decides", label="the new item replaces by")
    panel("## Reservoirs\n\n10 of 100 items are kept, two thousand times.", sampler)
    return (sampler,)


@app.cell(hide_code=True)
def reservoirs(sampler):
    _plot = charts.lines(
        {
            "kept": looks.kept(getattr(streams, looks.SAMPLERS[sampler.value])),
            "if all were as likely": [(0.0, 0.1), (99.0, 0.1)],
        },
        x_title="item of the stream",
        y_title="share of the runs that kept it",
        y_format=".0%",
        height=220,
    )
    mo.vstack([_plot, mo.md("A sample has the right size in all three. Only counting shows which is fair.")])
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
