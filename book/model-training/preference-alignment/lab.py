# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Alignment, touched and measured: the lab of the chapter.

Open it in the handbook to move the sliders. Run as a script it measures the chapter's claims on this machine,
prints them, and fails if one does not hold. The claims name functions that the first block imports.

Book: model-training/preference-alignment
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Lab: Preference alignment")

with app.setup:
    from functools import partial

    import marimo as mo

    from handbook.lab import charts, kit
    from handbook.lab.alignment import looks, toy
    from handbook.lab.alignment.learner import (
        clip_share,
        grpo_success,
        hacking_proxy_gain,
        hacking_true_change,
        learn,
        ppo_success,
    )
    from handbook.lab.alignment.memory import dpo_memory, orpo_memory, rlhf_memory
    from handbook.lab.alignment.toy import equivalence_gap, gae_example, k1_k3_variance, off_support_mass
    from handbook.lab.alignment.tuned import (
        dpo_accuracy,
        dpo_accuracy_base,
        dpo_accuracy_high_beta,
        dpo_chosen_change,
        dpo_first_loss,
        dpo_kl,
        dpo_kl_high_beta,
        dpo_likelier,
        length_baseline,
        orpo_accuracy,
        orpo_kl,
        reward_accuracy,
        reward_length_correlation,
    )

    slider = partial(mo.ui.slider, show_value=True)


@app.function
def panel(text: str, *controls):
    """A part's heading and its controls in a row that wraps."""
    return mo.vstack([mo.md(text), mo.hstack(controls, justify="start", gap=1.5, wrap=True)])


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Lab: Preference alignment

    The handbook's own losses, loop and engine on this machine. The model of the first and the last part has
    two layers and knows digits only, so that it trains while you wait; the claims at the end name what a
    real one did.
    """)
    return


@app.cell(hide_code=True)
def _():
    beta = slider(steps=[0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], value=0.1, label="beta")
    steps = slider(10, 80, step=10, value=40, label="steps")
    _about = """DPO trains the tiny model anew: of three digits the largest is the chosen answer, another one
    the rejected. About a second."""
    panel(f"## Margins\n\n{_about}", beta, steps)
    return beta, steps


@app.cell(hide_code=True)
def margins(beta, steps):
    with mo.status.spinner(title="Training", remove_on_exit=True):
        _pulls, _kl = looks.dpo_run(beta.value, steps.value)
    _sides = charts.lines(
        {
            "chosen": [(_p.step, _p.chosen) for _p in _pulls],
            "rejected": [(_p.step, _p.rejected) for _p in _pulls],
            "margin": [(_p.step, _p.margin) for _p in _pulls],
        },
        x_title="step",
        y_title="log (policy / reference), nats an answer",
        x_format="d",
        y_format=".1f",
        height=240,
    )
    _weight = charts.lines(
        {"sigmoid(-beta x margin)": [(_p.step, _p.weight) for _p in _pulls]},
        x_title="step",
        y_title="weight in the gradient",
        x_format="d",
        y_format=".0%",
        height=150,
    )
    _last = _pulls[-1]
    _note = f"""At the end the chosen answers are **{_last.chosen:+.1f}** nats from the reference, the
    rejected ones **{_last.rejected:+.1f}**, and a pair of that margin counts **{_last.weight:.1%}** in the
    gradient: it began with half. KL from the reference on held-out pairs: **{_kl:.2f}** nats a token. The
    higher beta, the sooner the weight is gone."""
    mo.vstack([_sides, _weight, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    loss_beta = slider(steps=[0.05, 0.1, 0.2, 0.5, 1], value=0.1, label="beta")
    panel("### Three losses of one margin", loss_beta)
    return (loss_beta,)


@app.cell(hide_code=True)
def losses(loss_beta):
    _plot = charts.lines(
        looks.dpo_losses(loss_beta.value),
        x_title="margin, nats",
        y_title="loss",
        x_format="d",
        y_format=".1f",
        vertical=1 / loss_beta.value,
        height=240,
    )
    _note = f"""Dashed: 1 / beta = **{1 / loss_beta.value:g}** nats, where the hinge stops pushing. The
    sigmoid never stops, it only pushes less. ipo has a target, half as far, and pulls back whoever passes
    it."""
    mo.vstack([_plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    toy_beta = slider(steps=[0.25, 0.5, 1, 2], value=0.5, label="beta")
    length = slider(-2, 3, step=0.5, value=2, label="D's length")
    _about = """Four answers with rewards. *Without D*: D is in no pair. A table may give every answer any
    probability; *by length*, the policy knows its answers by one number each: A 1, B 0, C -1, and D's."""
    panel(f"## Equivalent, but to what\n\n{_about}", toy_beta, length)
    return length, toy_beta


@app.cell(hide_code=True)
def bandit(length, toy_beta):
    _rows = looks.bandit(toy_beta.value, length.value)
    _d = {_name: _cell[1] for _name, _cell in _rows[3].items() if isinstance(_cell, tuple)}
    _note = f"""With all pairs DPO's minimum is RLHF's optimum: D gets **{_d["RLHF"]:.1%}**. Without D in the
    pairs a table leaves its logit alone and D has **{_d["without D"]:.1%}**. Where answers share a feature,
    what was learned of the others moves D too: **{_d["without D, by length"]:.1%}**. No pair says a word
    about it."""
    mo.vstack([mo.Html(charts.table(_rows)), mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    lam = slider(0, 1, step=0.05, value=0.95, label="lambda")
    gamma = slider(0.8, 1, step=0.05, value=1, label="gamma")
    price = slider(0, 1, step=0.05, value=0.1, label="beta")
    score = slider(-1, 1, step=0.25, value=1, label="score")
    _about = "An answer of three tokens, by hand in the chapter: a score at its end, a penalty on the way."
    panel(f"## Advantages\n\n{_about}", lam, gamma, price, score)
    return gamma, lam, price, score


@app.cell(hide_code=True)
def advantages(gamma, lam, price, score):
    _found = toy.advantages(lam.value, gamma.value, price.value, score.value)
    _rows = [
        {
            "token": _n + 1,
            "log policy": toy.SAID[_n],
            "log reference": toy.REFERENCES[_n],
            "penalty": -price.value * (toy.SAID[_n] - toy.REFERENCES[_n]),
            "value": toy.VALUES[_n],
            "advantage": _found[_n],
            "return": _found[_n] + toy.VALUES[_n],
        }
        for _n in range(3)
    ]
    _plot = charts.lines(
        {
            f"token {_n + 1}": [
                (_l / 20, toy.advantages(_l / 20, gamma.value, price.value, score.value)[_n])
                for _l in range(21)
            ]
            for _n in range(3)
        },
        x_title="lambda",
        y_title="advantage",
        x_format=".1f",
        y_format=".2f",
        vertical=lam.value,
        height=200,
    )
    _note = """At lambda 0 a token is judged by its own reward and the next value, at 1 by all that came.
    The last token has no next: its advantage hangs on no lambda."""
    mo.vstack([mo.Html(charts.table(_rows)), _plot, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    advantage = slider(-2, 2, step=0.5, value=1, label="advantage")
    clip = slider(0.05, 0.5, step=0.05, value=0.2, label="clip")
    panel(
        "## Clipping\n\nWhat PPO raises for one token, by how much likelier it has become.", advantage, clip
    )
    return advantage, clip


@app.cell(hide_code=True)
def clipping(advantage, clip):
    _bound = looks.clipped(advantage.value, clip.value)
    _plot = charts.lines(
        {"clipped": _bound, "ratio x advantage": [(_r, _r * advantage.value) for _r, _ in _bound]},
        x_title="ratio, policy over the one that drew",
        y_title="what is raised",
        x_format=".1f",
        y_format=".1f",
        vertical=1 + clip.value if advantage.value > 0 else 1 - clip.value,
        height=220,
    )
    _side = "above" if advantage.value > 0 else "below"
    _note = f"""Flat means no gradient: a token of this advantage is stopped {_side} the dashed line. On the
    other side nothing is clipped, so that what went the wrong way always comes back."""
    mo.vstack([_plot, mo.md(_note if advantage.value else "*Without an advantage nothing moves.*")])
    return


@app.cell(hide_code=True)
def _():
    fool = mo.ui.run_button(label="Train on the flawed checker")
    honest = mo.ui.run_button(label="Train on the strict one")
    _about = """The tiny model has learned to say one of the three digits that it is shown. Then GRPO pays it.
    *Flawed*: one of the three was drawn where nobody saw it, and the answer is paid if that digit stands
    anywhere in it. *Strict*: the largest, and nothing else, is paid. 60 rounds, about ten seconds."""
    panel(f"## Reward hacking\n\n{_about}", fool, honest)
    return fool, honest


@app.cell(hide_code=True)
def hacking(fool, honest):
    mo.stop(not (fool.value or honest.value), mo.md("*Press one of them.*"))
    with mo.status.spinner(title="60 rounds", remove_on_exit=True):
        _run = learn("hacking" if fool.value else "grpo", 0, small=False)
    _names = {"reward": "what is paid", "right": "what is right"}
    _mean = [
        {_key: sum(_r[_key] for _r in _run.rounds[_n : _n + 4]) / 4 for _key in ("reward", "right", "length")}
        for _n in range(0, len(_run.rounds) - 3, 4)
    ]
    _plot = charts.lines(
        {_shown: [(4 * _n + 4, _m[_key]) for _n, _m in enumerate(_mean)] for _key, _shown in _names.items()},
        x_title="round",
        y_title="share of the drawn answers",
        x_format="d",
        y_format=".0%",
        height=240,
    )
    _length = charts.lines(
        {"tokens of an answer": [(4 * _n + 4, _m["length"]) for _n, _m in enumerate(_mean)]},
        x_title="round",
        y_title="tokens",
        x_format="d",
        y_format=".0f",
        height=140,
    )
    _note = f"""Held out, what is paid went from {_run.before.reward:.0%} to **{_run.after.reward:.0%}** and
    what is right from {_run.before.right:.0%} to **{_run.after.right:.0%}**. It says now, question =
    answer: `{"` `".join(_run.says)}`."""
    mo.vstack([_plot, _length, mo.md(_note)])
    return


@app.cell(hide_code=True)
def _():
    check = mo.ui.run_button(label="Measure all claims here")
    _about = "Every marked number of the chapter, with small settings on the tiny model. About half a minute."
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
