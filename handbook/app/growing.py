"""Time over the size of the input as a drawing: what was measured, and the line that it looks like.

Both axes are logarithmic, so that a power of the size is a straight line and its slope the exponent. Plain
SVG, with the book's own pen.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from handbook.book.pen import LINE, MUTED, PAPER, WIDTH, box, circle, drawing, line, text
from handbook.lab.charts import SERIES

if TYPE_CHECKING:
    from handbook.practice.verdicts import Growth

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 300, 78, 16, 14, 54
SIZE = 17  # of letters; the drawing is shown smaller than it is drawn


def growth_chart(growth: "Growth") -> str:
    """The drawing, "" where fewer than two sizes were timed."""
    points = [(n, t) for n, t in zip(growth.sizes, growth.seconds, strict=False) if n > 0 and t > 0]
    if len(points) < 2:
        return ""
    across, up = _ends([n for n, _ in points]), _ends([t for _, t in points])

    def place(n: float, t: float) -> tuple[float, float]:
        x = (math.log10(n) - across[0]) / (across[1] - across[0])
        y = (math.log10(t) - up[0]) / (up[1] - up[0])
        return LEFT + (WIDTH - LEFT - RIGHT) * x, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y

    parts = [box(0, 0, WIDTH, HEIGHT, PAPER, PAPER)]
    for t in _ticks(up):
        y = place(points[0][0], t)[1]
        parts.append(line([(LEFT, y), (WIDTH - RIGHT, y)], LINE, 1))
        parts.append(text(LEFT - 8, y + 6, seconds_shown(t), MUTED, "end", SIZE))
    for n in _ticks(across):
        x = place(n, points[0][1])[0]
        parts.append(text(x, HEIGHT - BOTTOM + SIZE + 5, _size(n), MUTED, "middle", SIZE))
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(text(middle, HEIGHT - 8, "size n of the input", MUTED, "middle", SIZE))
    fitted = _fitted(points, growth.exponent)
    if fitted:
        parts.append(line([place(*each) for each in fitted], SERIES[1], 2.5, dash=True))
    parts.append(line([place(*each) for each in points], SERIES[0], 1.5))
    parts += [circle(*place(*each), 5, SERIES[0], PAPER) for each in points]
    said = "; ".join(f"{_size(n)}: {seconds_shown(t)}" for n, t in points)
    return drawing(HEIGHT, "Time over the size of the input", f"CPU time, {said}.", parts)


def _fitted(points: Sequence[tuple[int, float]], exponent: float | None) -> list[tuple[float, float]]:
    """Two ends of a line of that slope through the middle of the larger half, which the slope was taken of;
    no lower than the lowest point."""
    if not isinstance(exponent, int | float) or not math.isfinite(exponent) or abs(exponent) < 0.05:
        return []
    half = points[-max(4, len(points) // 2 + 1) :]
    n = math.exp(sum(math.log(each) for each, _ in half) / len(half))
    t = math.exp(sum(math.log(each) for _, each in half) / len(half))
    lowest = min(each for _, each in points)
    start = max(points[0][0], n * (lowest / t) ** (1 / exponent)) if exponent > 0 else points[0][0]
    return [(each, t * (each / n) ** exponent) for each in (start, points[-1][0])]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Where a logarithmic axis begins and ends: the values, with some room."""
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max(0.04 * (high - low), 0.08)
    return low - room, high + room


def _ticks(ends: tuple[float, float]) -> list[float]:
    """Powers of ten, every second or third where there are many; with 2 and 5 between where there are few."""
    tens = [10.0**k for k in range(math.ceil(ends[0]), math.floor(ends[1]) + 1)]
    if len(tens) >= 3:
        return tens[:: math.ceil(len(tens) / 6)]
    finer = [m * 10.0**k for k in range(math.floor(ends[0]), math.ceil(ends[1]) + 1) for m in (1, 2, 5)]
    return [each for each in finer if ends[0] <= math.log10(each) <= ends[1]]


def seconds_shown(value: float) -> str:
    """A time in its natural unit: `20 µs`, `1.5 ms`, `2 s`."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e-6:.2g} µs" if value else "0 s"


def _size(value: float) -> str:
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:g}"
