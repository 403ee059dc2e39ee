"""Readiness by area as a drawing: a whisker from low to high, a dot in its middle, and the bar for solid.

Plain SVG, with the book's own pen; a table beside it says the same with its evidence.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from handbook.book.pen import ACCENT, INK, LINE, MUTED, PAPER, WIDTH, box, circle, drawing, line, text
from handbook.practice.diagnostic import BAR

if TYPE_CHECKING:
    from handbook.practice.readiness import Readiness

LEFT, RIGHT, TOP, ROW, BOTTOM = 192, 16, 30, 34, 44
SIZE = 16  # of letters


def readiness_chart(rows: "Sequence[Readiness]") -> str:
    """One row an area; an area where nothing was asked says so. "" where there is no area."""
    if not rows:
        return ""
    height = TOP + ROW * len(rows) + BOTTOM
    across = WIDTH - LEFT - RIGHT

    def place(share: float) -> float:
        return LEFT + across * min(1.0, max(0.0, share))

    bottom = TOP + ROW * len(rows)
    parts = [box(0, 0, WIDTH, height, PAPER, PAPER)]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(line([(place(tick), TOP - 6), (place(tick), bottom)], LINE, 1))
        parts.append(text(place(tick), bottom + 18, f"{tick:g}", MUTED, "middle", SIZE))
    parts.append(line([(place(BAR), TOP - 6), (place(BAR), bottom)], MUTED, 1.5, dash=True))
    parts.append(text(place(BAR), TOP - 12, f"solid from {BAR:g}", MUTED, "middle", SIZE))
    parts.append(
        text(
            LEFT + across / 2,
            height - 6,
            "share of the weight of criteria that is met",
            MUTED,
            "middle",
            SIZE,
        )
    )
    for number, row in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        parts.append(text(LEFT - 10, y + 5, _short(row.title), INK, "end", SIZE))
        if row.low is None or row.high is None:
            parts.append(text(LEFT + 8, y + 5, "nothing asked yet", MUTED, size=SIZE))
            continue
        low, high = place(row.low), place(row.high)
        parts.append(line([(low, y), (high, y)], ACCENT, 2.5))
        parts += [line([(x, y - 6), (x, y + 6)], ACCENT, 2.5) for x in (low, high)]
        parts.append(circle((low + high) / 2, y, 5.5, ACCENT, PAPER))
    return drawing(height, "How ready you are, by area", "; ".join(map(said, rows)) + ".", parts)


def said(row: "Readiness") -> str:
    """`RAG pipelines: 0.31 to 0.64, by 5 answers`."""
    if row.low is None or row.high is None:
        return f"{row.title}: nothing asked yet"
    return (
        f"{row.title}: {row.low:.2f} to {row.high:.2f}, by {row.asked} answer{'' if row.asked == 1 else 's'}"
    )


def _short(title: str, most: int = 22) -> str:
    return title if len(title) <= most else title[: most - 1].rstrip() + "…"
