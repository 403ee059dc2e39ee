"""The reviews that each day will bring, as bars; plain SVG, with the book's own pen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from handbook.book.pen import ACCENT, LINE, MUTED, PAPER, WIDTH, box, drawing, line, text

if TYPE_CHECKING:
    from handbook.practice.workload import Load

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 220, 44, 12, 16, 48
SIZE = 16  # of letters
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
LABELS = 5  # days that are named


def load_chart(days: "Sequence[Load]") -> str:
    """Expected reviews by day. "" where there are no days, or none of them brings anything."""
    most = max((each.reviews for each in days), default=0.0)
    if most <= 0:
        return ""
    step = next((each for each in STEPS if most / each <= 5), STEPS[-1])
    top = step * -(-most // step)
    width = (WIDTH - LEFT - RIGHT) / len(days)
    bottom = HEIGHT - BOTTOM

    def up(reviews: float) -> float:
        return bottom - (bottom - TOP) * reviews / top

    parts = [box(0, 0, WIDTH, HEIGHT, PAPER, PAPER)]
    for number in range(int(top / step) + 1):
        y = up(number * step)
        parts.append(line([(LEFT, y), (WIDTH - RIGHT, y)], LINE, 1))
        parts.append(text(LEFT - 7, y + 5, f"{number * step:g}", MUTED, "end", SIZE))
    for number, each in enumerate(days):
        if each.reviews > 0:
            x, y = LEFT + number * width, up(each.reviews)
            gap = min(2.0, width * 0.2)
            parts.append(
                f'<rect x="{x + gap / 2:.4g}" y="{y:.4g}" width="{width - gap:.4g}" '
                f'height="{bottom - y:.4g}" fill="{ACCENT}"/>'
            )
    every = max(1, -(-len(days) // LABELS))
    for number in range(0, len(days), every):
        x = LEFT + (number + 0.5) * width
        at = "start" if number == 0 else "middle"
        day = days[number].day
        parts.append(text(x if number else LEFT, bottom + 19, f"{day.day} {day:%b}", MUTED, at, SIZE))
    parts.append(text(LEFT, HEIGHT - 7, "reviews expected on each day", MUTED, size=SIZE))
    fullest = max(days, key=lambda each: each.reviews)
    said = (
        f"{sum(each.reviews for each in days):.0f} reviews from {days[0].day.isoformat()} to "
        f"{days[-1].day.isoformat()}; most on {fullest.day.isoformat()}: {fullest.reviews:.0f}."
    )
    return drawing(HEIGHT, "Reviews to come", said, parts)
