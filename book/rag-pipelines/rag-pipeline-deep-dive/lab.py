# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Retrieval, touched and measured: the lab of the chapter.

Open it in the handbook to put your own documents through the stages. Run as a script it measures the
chapter's claims on this machine, prints them, and fails if one does not hold. The claims name functions that
the first block imports.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Lab: RAG pipeline deep dive")

with app.setup:
    from functools import partial

    import marimo as mo

    from handbook.errors import HandbookError
    from handbook.lab import charts, kit
    from handbook.lab.rag import looks
    from handbook.lab.rag.answering import (
        ATTACKS,
        answered_own,
        attacks_through,
        attacks_unchecked,
        check_antonyms,
        check_denied,
        check_figures,
        check_right,
        check_wrong,
        figure_cosine,
        met,
        negation_cosine,
        refused_foreign,
    )
    from handbook.lab.rag.chunking import (
        by_limit,
        chunk_200_over_400,
        chunk_cut_fixed,
        chunk_cut_markdown,
        chunk_overlap_cost,
        chunk_overlap_gain,
        chunk_parents_gain,
        chunk_parents_short,
        chunk_recall_50,
        chunk_recall_100,
        chunk_recall_200,
        chunk_recall_400,
        chunk_recall_800,
        chunk_structure_gain,
        chunk_titles_gain,
        chunk_unread,
    )
    from handbook.lab.rag.embedding import (
        by_size,
        embed_binary,
        embed_binary_rescored,
        embed_half,
        embed_int8,
        embed_padding,
        embed_quarter,
        embed_sum_cosine,
        embed_sum_inner,
        embed_unread,
        embed_unread_tokens,
    )
    from handbook.lab.rag.indexing import (
        hnsw_read,
        index_cloud,
        index_even,
        ivf_read,
        points,
        pq_bytes,
        pq_recall,
        pq_refined,
        pq_short,
        rabitq_aligned,
        rabitq_bias,
        rabitq_outside,
        rabitq_read,
        rabitq_signs_alone,
    )
    from handbook.lab.rag.packing import (
        budget_recall,
        first_nats,
        hybrid_recall,
        maxsim_gain,
        middle_nats,
        pool_recall,
    )
    from handbook.lab.rag.parsing import (
        parse_columns_kept,
        parse_columns_letters,
        parse_down_kept,
        parse_hyphens_lost,
        parse_hyphens_mended,
        parse_page_kept,
        parse_page_left,
        parse_page_noise,
    )
    from handbook.lab.rag.reranking import (
        cross_cacm,
        cross_gain_book,
        cross_gain_cacm,
        cross_gain_scifact,
        cross_scifact,
    )
    from handbook.lab.rag.retrieval import (
        book_bm25,
        book_dense,
        book_hybrid,
        by_k,
        by_weight,
        cacm_bm25,
        cacm_dense,
        cacm_hybrid,
        cacm_repeats_gain,
        hybrid_gain_cacm,
        hybrid_gain_scifact,
        mmr_alike,
        mmr_cost,
        rrf_60_gain,
        scifact_bm25,
        scifact_dense,
        scifact_hybrid,
        score_fusion_gain,
        score_fusion_gain_cacm,
        stages,
    )
    from handbook.lab.rag.scoring import (
        best_chosen,
        best_quoted,
        false_alarms,
        interval_half,
        power,
        questions_needed,
    )
    from handbook.lab.rag.understanding import (
        feedback_gain,
        spelling_changes,
        typo_cost,
        typo_mended,
    )

    slider = partial(mo.ui.slider, show_value=True)


@app.function
def panel(text: str, *controls):
    """A part's heading and its controls in a row that wraps."""
    return mo.vstack([mo.md(text), mo.hstack(controls, justify="start", gap=1.5, wrap=True)])


@app.function
def lacking(error: HandbookError):
    """What a part shows in place of its plot where something is not on this machine."""
    return mo.callout(mo.md(f"**{error.what}** {error.remedy}"), kind="warn")


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Lab: RAG pipeline deep dive

    The stages of the chapter on this machine: first all of them over your own documents, then one by one.
    Plots over SciFact and CACM need these sets (HANDBOOK_RETRIEVAL names their folder); the book's own
    chapters and interview questions are always there.
    """)
    return


@app.cell(hide_code=True)
def _():
    texts = mo.ui.text_area(
        value=looks.NOTES, rows=9, full_width=True, label="documents, a line of === between"
    )
    files = mo.ui.file(
        kind="button", multiple=True, label="or files: PDF, HTML, DOCX, Markdown, text, CSV, notebooks"
    )
    question = mo.ui.text(
        value="How often is the filter of the pump cleaned?", full_width=True, label="question"
    )
    size = slider(steps=[25, 50, 100, 200], value=50, label="tokens of a chunk")
    handed = slider(1, 6, value=3, label="passages handed on")
    wide = mo.ui.dropdown(["none", "parents", "neighbours"], value="none", label="in a hit's place")
    ask = mo.ui.run_button(label="Ask")
    mo.vstack(
        [
            mo.md(
                "## The pipeline with the hood open\n\nYour documents stay in this process: they are parsed, "
                "cut, embedded and indexed in a folder that goes when the page does."
            ),
            texts,
            files,
            question,
            mo.hstack([size, handed, wide, ask], justify="start", gap=1.5, wrap=True),
        ]
    )
    return ask, files, handed, question, size, texts, wide


@app.cell(hide_code=True)
def hood(ask, files, handed, question, size, texts, wide):
    mo.stop(not ask.value, mo.md("*Press Ask.*"))
    _given = {_file.name: _file.contents for _file in files.value} or looks.split(texts.value)
    try:
        with mo.status.spinner(title="Asking", remove_on_exit=True):
            _seen = looks.hood(_given, question.value, size.value, handed.value, wide.value)
    except HandbookError as _error:
        mo.stop(True, lacking(_error))
    _said = " ".join(f"{_text} [{_from}]" for _text, _from in _seen.said) or "*Refused: support is too thin.*"
    mo.vstack(
        [
            mo.md(f"**Answer** ({_seen.confidence:.0%} sure): {_said}"),
            mo.md("### What parsing made of each document"),
            mo.Html(charts.table(_seen.parsed)),
            mo.md("### Each stage: what it received, what it produced, what it cost"),
            mo.Html(charts.table(_seen.steps)),
            mo.md("### Passages, best first"),
            mo.Html(charts.table(_seen.passages)),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    text = mo.ui.text_area(value=looks.PAGE, rows=10, full_width=True, label="a text, as Markdown")
    method = mo.ui.dropdown(
        ["fixed", "sentences", "recursive", "markdown", "semantic"], value="markdown", label="method"
    )
    limit = slider(steps=[15, 25, 50, 100, 200], value=50, label="tokens at most")
    overlap = slider(steps=[0, 5, 10, 20], value=0, label="overlap")
    panel(
        "## Chunking explorer\n\nWhere each method cuts, and what is embedded for each chunk.",
        text,
        method,
        limit,
        overlap,
    )
    return limit, method, overlap, text


@app.cell(hide_code=True)
def chunks(limit, method, overlap, text):
    try:
        _cut = looks.chunks(text.value, method.value, limit.value, min(overlap.value, limit.value - 1))
    except HandbookError as _error:
        mo.stop(True, lacking(_error))
    mo.vstack([mo.Html(looks.marked(text.value, _cut)), mo.Html(charts.table([_one.row for _one in _cut]))])
    return


@app.cell(hide_code=True)
def _():
    sizes = mo.ui.run_button(label="Measure")
    panel(
        "### Size against recall\n\nThe first pages of a chapter, its interview questions, and a budget of "
        "400 tokens: how much of the answering paragraph is in it. (The chapter's figures are of four "
        "chapters and 800.)",
        sizes,
    )
    return (sizes,)


@app.cell(hide_code=True)
def chunk_sizes(sizes):
    mo.stop(not sizes.value, mo.md("*Press Measure: half a minute.*"))
    try:
        with mo.status.spinner(title="Embedding", remove_on_exit=True):
            _found = by_limit()
    except HandbookError as _error:
        mo.stop(True, lacking(_error))
    charts.lines(
        _found,
        x_title="tokens of a chunk (log scale)",
        y_title="share of the answering paragraph found",
        x_format="~g",
        y_format=".0%",
        log="x",
        vertical=256,
    )
    return


@app.cell(hide_code=True)
def _():
    work = mo.ui.dropdown(
        {"full vectors compared": "compared", "microseconds in this code": "microseconds"},
        value="full vectors compared",
        label="work",
    )
    build = mo.ui.run_button(label="Build and ask")
    panel(
        "## Index recall against latency\n\n1,500 vectors of 96 dimensions, 40 queries; every index "
        "at every setting. What is counted is the algorithm, what is timed is this code as well.",
        work,
        build,
    )
    return build, work


@app.cell(hide_code=True)
def index_curve(build, work):
    mo.stop(not build.value, mo.md("*Press Build and ask: some seconds.*"))
    with mo.status.spinner(title="Building", remove_on_exit=True):
        _points = points()
    _plot = charts.lines(
        looks.curves(_points, work.value),
        x_title=f"{work.value} (log scale)",
        y_title="recall@10",
        x_format="~s",
        y_format=".2f",
        log="x",
        zero=False,
    )
    _rows = [
        {
            "index": _p.index,
            "setting": _p.setting,
            "recall": _p.recall,
            "compared": _p.compared,
            "bytes": _p.bytes,
        }
        for _p in _points
    ]
    mo.vstack([_plot, mo.Html(charts.table(_rows))])
    return


@app.cell(hide_code=True)
def _():
    which = mo.ui.dropdown(
        {"the book's questions": "book", "SciFact": "scifact", "CACM": "cacm"},
        value="the book's questions",
        label="set",
    )
    whole = mo.ui.switch(value=False, label="the whole set (minutes, the first time)")
    compare = mo.ui.run_button(label="Compare")
    panel(
        "## Words, meaning, both\n\nEach stage's nDCG@10, and how the fusion's settings move it.",
        which,
        whole,
        compare,
    )
    return compare, which, whole


@app.cell(hide_code=True)
def fusion(compare, which, whole):
    mo.stop(not compare.value, mo.md("*Press Compare.*"))
    try:
        with mo.status.spinner(title="Searching", remove_on_exit=True):
            _stages = stages(which.value, not whole.value)
            _k = by_k(which.value, not whole.value)
            _weights = {
                _scale: by_weight(which.value, _scale, not whole.value)
                for _scale in ("min-max", "z-score", "bounds")
            }
    except HandbookError as _error:
        mo.stop(True, lacking(_error))
    mo.vstack(
        [
            charts.bars(_stages, x_title="nDCG@10", height=110),
            charts.lines(
                {"by rank": _k},
                x_title="k of reciprocal rank fusion (log scale)",
                y_title="nDCG@10",
                x_format="~g",
                y_format=".3f",
                log="x",
                zero=False,
                height=200,
            ),
            charts.lines(
                _weights,
                x_title="weight of words in a sum of scores",
                y_title="nDCG@10",
                x_format=".1f",
                y_format=".3f",
                zero=False,
                height=220,
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    smaller = mo.ui.run_button(label="Measure")
    panel(
        "### Smaller vectors\n\nWhat is left of nDCG@10 on a part of SciFact, by bytes of a vector.", smaller
    )
    return (smaller,)


@app.cell(hide_code=True)
def vector_sizes(smaller):
    mo.stop(not smaller.value, mo.md("*Press Measure.*"))
    try:
        with mo.status.spinner(title="Embedding", remove_on_exit=True):
            _found = by_size()
    except HandbookError as _error:
        mo.stop(True, lacking(_error))
    _rows = [
        {"form": _name, "bytes": int(_bytes), "nDCG@10 kept": _kept}
        for _name, _line in _found.items()
        for _bytes, _kept in _line
    ]
    mo.Html(charts.table(_rows))
    return


@app.cell(hide_code=True)
def _():
    attack = mo.ui.dropdown(
        {_one.text: _n for _n, _one in enumerate(ATTACKS)}, value=ATTACKS[0].text, label="attack"
    )
    inject = mo.ui.run_button(label="Ingest it")
    panel(
        "## Failure gallery\n\n### A document that gives orders\n\nA manual, a note with the attack in it, "
        "and a chat model that obeys whatever it reads.",
        attack,
        inject,
    )
    return attack, inject


@app.cell(hide_code=True)
def injection(attack, inject):
    mo.stop(not inject.value, mo.md("*Press Ingest it.*"))
    try:
        _met = met(ATTACKS[attack.value])
    except HandbookError as _error:
        mo.stop(True, lacking(_error))
    _rows = [
        {"what the model wrote": _text, "the check": "stands" if _ok else "caught"}
        for _text, _ok in _met.written
    ]
    mo.vstack(
        [
            mo.Html(charts.table(_rows)),
            mo.md(f"The answer of the documents' own sentences: **{_met.extracted or 'refused'}**"),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    gallery = mo.ui.run_button(label="Reproduce")
    panel("### The other four\n\nEach fault made on purpose, and the figure that shows it.", gallery)
    return (gallery,)


@app.cell(hide_code=True)
def failures(gallery):
    mo.stop(not gallery.value, mo.md("*Press Reproduce: a minute.*"))
    with mo.status.spinner(title="Breaking things", remove_on_exit=True):
        _rows = looks.gallery()
    mo.Html(charts.table(_rows))
    return


@app.cell(hide_code=True)
def _():
    draws = mo.ui.run_button(label="Draw")
    panel(
        "## How many questions\n\nHow often an experiment with so many of SciFact's claims would show that "
        "both fused are better than BM25 alone.",
        draws,
    )
    return (draws,)


@app.cell(hide_code=True)
def enough(draws):
    mo.stop(not draws.value, mo.md("*Press Draw.*"))
    try:
        with mo.status.spinner(title="Drawing", remove_on_exit=True):
            _found = power()
    except HandbookError as _error:
        mo.stop(True, lacking(_error))
    charts.lines(
        {"seen": _found},
        x_title="questions (log scale)",
        y_title="share of experiments that see it",
        x_format="~g",
        y_format=".0%",
        log="x",
    )
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
