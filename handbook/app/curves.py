"""Loss curves as a drawing: plain SVG, with the book's own pen, so it needs neither a network nor a plotting
package."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from handbook.book.pen import INK, LINE, MUTED, PAPER, WIDTH, box, circle, drawing, line, text
from handbook.lab.charts import SERIES

if TYPE_CHECKING:
    from handbook.train.loop import Point

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 52, 12, 14, 46
SMOOTH = 0.9  # share of the running mean that stays from one step to the next


def loss_plot(curves: "Mapping[str, Sequence[Point]]") -> str:
    """Training loss, smoothed, as lines; loss on held-out text as dots. One colour a model. The vertical axis
    begins where the lowest dot or line is, and ends at 3 nats or below: what comes before
    is quick, and alike."""
    curves = {name: curve for name, curve in curves.items() if curve}
    smooth = {name: smoothed([point.losses["text"] for point in curve]) for name, curve in curves.items()}
    seen = {
        name: [(p.step, p.losses["held_out"]) for p in curve if "held_out" in p.losses]
        for name, curve in curves.items()
    }
    values = [y for line_ in smooth.values() for y in line_] + [y for dots in seen.values() for _, y in dots]
    last = max((len(line_) for line_ in smooth.values()), default=1)
    low, high = _limits(values)

    def place(step: float, loss: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * step / last
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / (high - low)

    parts = [box(0, 0, WIDTH, HEIGHT, PAPER, PAPER)]
    for tick in _ticks(low, high):
        y = place(0, tick)[1]
        parts += [
            line([(LEFT, y), (WIDTH - RIGHT, y)], LINE, 1),
            text(LEFT - 6, y + 5, f"{tick:g}", MUTED, "end", 14),
        ]
    for part in range(5):
        step = round(last * part / 4)
        parts.append(
            text(place(step, low)[0], HEIGHT - 26, f"{step:,}", MUTED, "end" if part == 4 else "middle", 14)
        )
    parts.append(text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 6, "steps", MUTED, "middle", 14))
    parts.append(
        text(
            13,
            TOP + (HEIGHT - TOP - BOTTOM) / 2,
            "loss (nats per character)",
            MUTED,
            "middle",
            14,
            turned=True,
        )
    )
    parts.append(box(WIDTH - 198, TOP + 1, 186, 24 + 20 * len(curves), PAPER, PAPER))  # no grid under names
    for i, name in enumerate(curves):
        colour = SERIES[i % len(SERIES)]
        shown = [place(step + 1, loss) for step, loss in enumerate(smooth[name]) if loss <= high]
        parts.append(line(shown, colour, 2))
        parts += [circle(*place(step, loss), 3.5, colour, PAPER) for step, loss in seen[name] if loss <= high]
        y = TOP + 18 + 20 * i
        parts += [
            line([(WIDTH - 190, y - 5), (WIDTH - 168, y - 5)], colour, 3),
            text(WIDTH - 160, y, name, INK, size=14),
        ]
    parts.append(text(WIDTH - 190, TOP + 18 + 20 * len(curves), "dots: held-out text", MUTED, size=13))
    final = "; ".join(f"{name} ends at {line_[-1]:.3f}" for name, line_ in smooth.items())
    return drawing(HEIGHT, "Loss while training", f"Training loss, smoothed: {final}.", parts) + "\n"


def smoothed(values: Sequence[float]) -> list[float]:
    """A running mean that forgets, without the pull towards its start."""
    out, mean, weight = [], 0.0, 0.0
    for value in values:
        mean, weight = SMOOTH * mean + (1 - SMOOTH) * value, SMOOTH * weight + (1 - SMOOTH)
        out.append(mean / weight)
    return out


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), min(max(values, default=3.0), 3.0)
    low = int(low * 4) / 4
    return low, max(high, low + 0.25)


def _ticks(low: float, high: float) -> list[float]:
    gap = 0.25 if high - low <= 1.5 else 0.5
    first = -int(-low // gap)
    return [n * gap for n in range(first, int(high / gap) + 1)]
