"""Plots of a training run, as plain SVG with the book's pen: a value over steps, and what was held out."""

import math
from collections.abc import Sequence

from handbook.app.curves import smoothed
from handbook.book.pen import INK, LINE, MUTED, PAPER, WIDTH, box, circle, drawing, line, text
from handbook.lab.charts import SERIES

Points = Sequence[tuple[float, float]]


def panel(
    title: str,
    unit: str,
    points: Points,
    held_out: Points = (),
    steps: float | None = None,
    small: bool = False,
    smooth: bool = True,
) -> str:
    """One plot. points: (step, value) of training, drawn faint as they are and, with `smooth`, as a running
    mean on top; held_out: dots, joined. steps: where the axis ends, beyond the last point while a run goes
    on. small: with larger letters, for a drawing shown at half the width."""
    size, height = (22, 280) if small else (15, 320)
    left, right, top, bottom = (80, 14, 14, 58) if small else (48, 12, 14, 46)
    values = [y for _, y in points]
    mean = list(zip([x for x, _ in points], smoothed(values) if smooth else values, strict=True))
    ordered, spare = sorted(values), len(values) // 50  # the wildest may leave the plot
    most = ordered[spare : len(ordered) - spare]
    low, high, ticks = limits([y for _, y in (*mean[len(mean) // 20 :], *held_out)] + most[:1] + most[-1:])
    last = max([1.0, steps or 0.0, *(x for x, _ in (*points, *held_out))])

    def place(step: float, value: float) -> tuple[float, float]:
        x = left + (WIDTH - left - right) * step / last
        share = min(max((high - value) / (high - low), 0.0), 1.0)
        return x, top + (height - top - bottom) * share

    parts = [box(0, 0, WIDTH, height, PAPER, PAPER)]
    for tick in ticks:
        y = place(0, tick)[1]
        parts.append(line([(left, y), (WIDTH - right, y)], LINE, 1))
        parts.append(text(left - 8, y + size / 3, short(tick), MUTED, "end", size))
    for part in range(3):
        step = round(last * part / 2)
        end = ("start", "middle", "end")[part]
        parts.append(text(place(step, low)[0], height - bottom + size + 6, f"{step:,}", MUTED, end, size))
    parts.append(text(left + (WIDTH - left - right) / 2, height - 8, "steps", MUTED, "middle", size))
    colour = SERIES[0]
    if len(points) > 1:
        if smooth:
            parts.append(f'<g opacity="0.35">{line([place(*each) for each in points], colour, 1)}</g>')
        parts.append(line([place(*each) for each in mean], colour, 3 if small else 2.2))
    elif points:
        parts.append(circle(*place(*points[0]), 3.5, colour, colour))
    if held_out:
        parts.append(line([place(*each) for each in held_out], SERIES[1], 1.5, dash=True))
        parts += [circle(*place(*each), 6 if small else 4.5, SERIES[1], PAPER) for each in held_out]
        parts.append(text(WIDTH - right, height - 8, "dots: held-out", INK, "end", size))
    said = [f"{title} ({unit})." if unit else f"{title}."]
    if mean:
        said.append(f"Training, smoothed, from {short(mean[0][1])} to {short(mean[-1][1])}.")
    if held_out:
        said.append(f"Held-out from {short(held_out[0][1])} to {short(held_out[-1][1])}.")
    return drawing(height, title, " ".join(said), parts)


def limits(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Where an axis begins and ends around values, on round numbers, and its ticks: three to seven."""
    found = [value for value in values if math.isfinite(value)]
    low, high = min(found, default=0.0), max(found, default=1.0)
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-300):
        room = abs(low) / 10 or 1.0
        low, high = low - room, high + room
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    gap = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.floor(low / gap + 1e-9), math.ceil(high / gap - 1e-9)
    return first * gap, last * gap, [n * gap for n in range(first, last + 1)]


def short(value: float) -> str:
    """A number of an axis, in few characters."""
    if value == 0 or abs(value) < 1e-12:
        return "0"
    if abs(value) >= 1e4 or abs(value) < 1e-3:
        digits, power = f"{value:.2e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{value:.4g}"
