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

    from handbook.lab import charts, kit
    from handbook.lab.serving.batching import continuous_over_static_steps, static_idle_share
    from handbook.lab.serving.capacity import disaggregation_gap, mm1_wait_90_over_70, ttft_90_over_50
    from handbook.lab.serving.paging import (
        page_size_128_waste,
        page_waste,
        paged_over_reserved_running,
        reservation_waste,
    )
    from handbook.lab.serving.phases import (
        intensity_1,
        intensity_32,
        intensity_limit,
        intensity_prefill,
        tensor_parallel_bytes,
        tensor_parallel_sent_bytes,
    )
    from handbook.lab.serving.sharing import fair_wait, recomputed_share

    slider = partial(mo.ui.slider, show_value=True)


@app.function
def panel(text: str, *controls):
    """A part's heading and its controls in a row that wraps."""
    return mo.vstack([mo.md(text), mo.hstack(controls, justify="start", gap=1.5, wrap=True)])


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Lab: LLM serving optimization

    Everything below runs the handbook's own scheduler and engine on this machine.
    """)
    return


@app.cell(hide_code=True)
def _():
    check = mo.ui.run_button(label="Measure all claims here")
    _about = "Every marked number of the chapter, measured on this machine with small settings."
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
