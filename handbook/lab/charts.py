"""The plots and tables of the labs: axes with units, legible on paper and in the dark, as wide as the page.

Colours are mid-tones that stand out on both backgrounds; a share is drawn as the opacity of one colour, so
that zero is the page itself. Altair loads on use.
"""

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

SERIES = ("#3b7fc4", "#d9822b", "#3f9b63", "#a05fc0", "#8c8c8c")
ACCENT, GREY = SERIES[0], SERIES[4]


def visible(token: str) -> str:
    """A token as a label: spaces and line ends made visible."""
    return token.replace(" ", "␣").replace("\n", "⏎") or "∅"


_NO_MENU = {"embedOptions": {"actions": False}}  # it would take its width from the plot


def framed(chart: Any, height: int, width: int | str = "container") -> Any:
    """A chart in the house's frame: transparent, quiet grid, text in the page's own colour."""
    return (
        chart.properties(width=width, height=height, background="transparent", usermeta=_NO_MENU)
        .configure_view(stroke=None)
        .configure_axis(gridOpacity=0.25, labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
        .configure_legend(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", labelLimit=260)
        .configure_title(fontSize=12, subtitleFontSize=12)
    )


def heat_map(
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    row_title: str,
    column_title: str,
    value_title: str,
    height: int,
    legend: bool = True,
) -> Any:
    """Shares [len(rows)][len(columns)] between 0 and 1 as a grid. Labels may repeat.

    Faint cells are stretched by a square root, as the legend shows.
    """
    import altair as alt

    data = [
        {"r": r, "c": c, "value": round(float(value), 4), "row": rows[r], "column": columns[c]}
        for r, line in enumerate(values)
        for c, value in enumerate(line)
    ]
    scale = alt.Scale(type="pow", exponent=0.5, domain=[0, 1], range=[0, 1], clamp=True)
    key = alt.Legend(
        orient="bottom",
        symbolType="square",
        symbolSize=220,
        symbolFillColor=ACCENT,
        format=".0%",
        values=[0.05, 0.25, 0.5, 1],
    )
    turn = {"labelAngle": -60} if any(len(name) > 2 for name in columns) else {"labelAngle": 0}

    chart = _on(alt, data).mark_rect(color=ACCENT)
    return framed(
        chart.encode(
            x=alt.X("c:O", title=column_title, axis=_named_axis(columns, orient="top", **turn)),
            y=alt.Y("r:O", title=row_title, axis=_named_axis(rows)),
            opacity=alt.Opacity("value:Q", title=value_title, scale=scale, legend=key if legend else None),
            tooltip=[
                alt.Tooltip("row:N", title=row_title),
                alt.Tooltip("column:N", title=column_title),
                alt.Tooltip("value:Q", title=value_title, format=".1%"),
            ],
        ),
        height,
    )


def _named_axis(names: Sequence[str], **options: Any) -> Any:
    """An axis over 0 .. n-1 that shows names, which may repeat (Vega would merge equal ones)."""
    import altair as alt

    return alt.Axis(
        labelExpr=f"{json.dumps(list(names))}[datum.value]",
        labelOverlap=all(name.isdigit() for name in names),
        ticks=False,
        domain=False,
        **options,
    )


def _on(alt: Any, data: Sequence[Mapping[str, Any]]) -> Any:
    return alt.Chart(alt.Data(values=list(data)))


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_title: str,
    y_title: str,
    x_format: str = "~s",
    y_format: str = "~s",
    log: str = "",
    zero: bool = True,
    vertical: float | None = None,
    height: int = 300,
) -> Any:
    """One line per name through its points. log: the axes that are logarithmic, of "x" and "y". zero: y
    starts there. vertical: a place on x that a dashed line marks.
    """
    import altair as alt

    data: list[dict[str, Any]] = [
        {"name": name, "x": x, "y": y} for name, points in series.items() for x, y in points
    ]
    scales = {"x": alt.Scale(nice=False), "y": alt.Scale() if zero else alt.Scale(zero=False)}
    scales |= {key: alt.Scale(type="log", nice=key == "y") for key in log}
    axes = {
        key: {"values": _powers([row[key] for row in data])} if key in log else {"tickCount": 6}
        for key in "xy"
    }
    colour = alt.Color(
        "name:N",
        title=None,
        scale=alt.Scale(domain=list(series), range=list(SERIES[: len(series)])),
        legend=alt.Legend(
            orient="top",
            columns=1 if max(map(len, series)) > 12 else len(series),
            symbolType="stroke",
            symbolStrokeWidth=3,
        ),
    )
    chart = (
        _on(alt, data)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("x:Q", title=x_title, scale=scales["x"], axis=alt.Axis(format=x_format, **axes["x"])),
            y=alt.Y("y:Q", title=y_title, scale=scales["y"], axis=alt.Axis(format=y_format, **axes["y"])),
            color=colour,
            tooltip=[
                alt.Tooltip("name:N", title="line"),
                alt.Tooltip("x:Q", title=x_title, format=",.4~g"),
                alt.Tooltip("y:Q", title=y_title, format=",.4~g"),
            ],
        )
    )
    if vertical is None:
        return framed(chart, height)
    rule = _on(alt, [{"x": vertical}]).mark_rule(strokeDash=[5, 4], color=GREY, size=2).encode(x="x:Q")
    return framed(chart + rule, height)


def _powers(values: Sequence[float]) -> list[float]:
    """The powers of ten around values: ticks of a log axis without the clutter between."""
    exponents = [math.log10(value) for value in values]
    return [10.0**n for n in range(math.floor(min(exponents)), math.ceil(max(exponents)) + 1)]


def bars(values: Mapping[str, float], *, x_title: str, log: bool = False, height: int = 150) -> Any:
    """One horizontal bar per name, in the order given."""
    import altair as alt

    ticks = _powers(list(values.values())) if log else [0.0]
    scale = alt.Scale(type="log", domain=[ticks[0], ticks[-1]]) if log else alt.Scale()
    axis = alt.Axis(format="~g" if log else "~s", **({"values": ticks} if log else {"tickCount": 4}))
    chart = _on(alt, [{"name": n, "x": value, "start": ticks[0]} for n, value in values.items()]).mark_bar(
        color=ACCENT
    )
    return framed(
        chart.encode(
            x=alt.X("x:Q", title=x_title, scale=scale, axis=axis),
            x2="start:Q",
            y=alt.Y("name:N", title=None, sort=list(values), axis=alt.Axis(labelLimit=180)),
            tooltip=[alt.Tooltip("name:N", title="bar"), alt.Tooltip("x:Q", title=x_title, format=",.4~g")],
        ),
        height,
    )


def grouped_bars(
    series: Mapping[str, Sequence[float]], *, x_title: str, y_title: str, level: float, height: int = 220
) -> Any:
    """For each place, counted from 1, one bar per name side by side; `level` as a dashed line."""
    import altair as alt

    data = [
        {"name": name, "x": i + 1, "y": value}
        for name, values in series.items()
        for i, value in enumerate(values)
    ]
    colour = alt.Color(
        "name:N",
        title=None,
        scale=alt.Scale(domain=list(series), range=list(SERIES[: len(series)])),
        legend=alt.Legend(orient="top"),
    )
    bar = (
        _on(alt, data)
        .mark_bar()
        .encode(
            x=alt.X("x:O", title=x_title, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            xOffset=alt.XOffset("name:N", sort=list(series)),
            y=alt.Y("y:Q", title=y_title, axis=alt.Axis(tickCount=5)),
            color=colour,
            tooltip=[
                alt.Tooltip("name:N", title="bar"),
                alt.Tooltip("x:O", title=x_title),
                alt.Tooltip("y:Q", title=y_title, format=",.4~g"),
            ],
        )
    )
    line = _on(alt, [{"level": level}]).mark_rule(strokeDash=[5, 4], color=GREY, size=2).encode(y="level:Q")
    return framed(bar + line, height)


def dial(angles: Mapping[str, float], *, title: str, subtitle: str, size: int = 130) -> Any:
    """Arrows from the centre of a circle, one per name, at angles in radians from the right,
    counter-clockwise.
    """
    import altair as alt

    circle = [
        {"x": math.cos(a), "y": math.sin(a), "order": i} for i in range(73) for a in (math.tau * i / 72,)
    ]
    arrows = [{"name": n, "x": math.cos(a), "y": math.sin(a), "zero": 0} for n, a in angles.items()]
    axis: dict[str, Any] = {"scale": alt.Scale(domain=[-1.1, 1.1]), "axis": None}
    x, y = alt.X("x:Q", **axis), alt.Y("y:Q", **axis)
    colour = alt.Color(
        "name:N", legend=None, scale=alt.Scale(domain=list(angles), range=list(SERIES[: len(angles)]))
    )
    return framed(
        alt.layer(
            _on(alt, circle).mark_line(color=GREY, opacity=0.6).encode(x=x, y=y, order="order:Q"),
            _on(alt, arrows)
            .mark_rule(strokeWidth=3)
            .encode(x=alt.X("zero:Q", **axis), y=alt.Y("zero:Q", **axis), x2="x:Q", y2="y:Q", color=colour),
            _on(alt, arrows)
            .mark_point(filled=True, size=90, opacity=1)
            .encode(x=x, y=y, color=colour, tooltip=[alt.Tooltip("name:N", title="arrow")]),
            title=alt.Title(title, subtitle=subtitle),
        ),
        size,
        size,
    )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as an HTML table, numbers to the right, in a box that scrolls sideways on a narrow screen.

    A cell that is a pair (text, share between 0 and 1) shows the share as percent and as its tint's strength.
    """
    head = "".join(
        f'<th scope="col" style="{_CELL};text-align:left">{html.escape(name)}</th>' for name in rows[0]
    )
    body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows)
    return (
        '<div style="overflow-x:auto" tabindex="0"><table style="border-collapse:collapse;font-size:0.875rem;'
        f'color:var(--foreground,inherit);font-variant-numeric:tabular-nums"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


_CELL = "padding:0.2rem 0.7rem;border-bottom:1px solid rgba(128,128,128,0.3);white-space:nowrap"


def _cell(value: Any) -> str:
    style = _CELL
    if isinstance(value, tuple):
        text, share = value
        style += f";background:rgba(59,127,196,{0.7 * share**0.5:.3f})"
        value = f"{text} {share:.0%}"
    elif isinstance(value, int | float):
        style += ";text-align:right"
        value = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    return f'<td style="{style}">{html.escape(str(value))}</td>'
