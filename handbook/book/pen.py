"""A few strokes to draw figures with: SVG out, in the page's colours, so that it follows light and dark.

Coordinates are SVG's (y grows downwards) in a drawing 520 units wide; text of 14 to 18 units stays readable
on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

INK, MUTED, ACCENT = "var(--ink, #1d1d1b)", "var(--ink-2, #5f5f5a)", "var(--accent, #9a3b1f)"
PAPER, LINE = "var(--paper, #fffdf8)", "var(--line, #c9c5bb)"
WIDTH = 520
_HEADS = {MUTED: "head-muted", INK: "head-ink", ACCENT: "head-accent", LINE: "head-line"}
_DEFS = "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="10" markerHeight="10" '
    f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>'
    for colour, name in _HEADS.items()
)


def drawing(height: float, title: str, desc: str, parts: Sequence[str]) -> str:
    """The whole drawing. title names it; desc says what it shows, for those who cannot see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img">\n'
        f"<title>{escape(title)}</title>\n<desc>{escape(desc)}</desc>\n<defs>{_DEFS}</defs>\n"
        + "\n".join(parts)
        + "\n</svg>"
    )


def text(
    x: float,
    y: float,
    words: str,
    fill: str = INK,
    at: str = "start",
    size: float = 16,
    bold: bool = False,
    turned: bool = False,
) -> str:
    """One line of text. at: which end of it stands at x (start, middle, end). turned: reads upwards."""
    extra = ' font-weight="600"' if bold else ""
    extra += f' transform="rotate(-90 {x:g} {y:g})"' if turned else ""
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{fill}" text-anchor="{at}" font-size="{size:g}"{extra}>'
        f"{escape(words)}</text>"
    )


def box(
    x: float,
    y: float,
    w: float,
    h: float,
    fill: str = PAPER,
    stroke: str = INK,
    dash: bool = False,
    opacity: float = 1,
) -> str:
    """A rectangle; opacity is that of its fill."""
    dashed = ' stroke-dasharray="5 4"' if dash else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="3" fill="{fill}" '
        f'fill-opacity="{opacity:g}" stroke="{stroke}" stroke-width="1.3"{dashed}/>'
    )


def line(
    points: Sequence[tuple[float, float]],
    stroke: str = MUTED,
    width: float = 1.5,
    head: bool = False,
    dash: bool = False,
) -> str:
    """A line through the points; head: with an arrow head at the last; stroke is then a colour above."""
    path = " ".join(f"{x:.4g},{y:.4g}" for x, y in points)
    extra = (f' marker-end="url(#{_HEADS[stroke]})"' if head else "") + (
        ' stroke-dasharray="5 4"' if dash else ""
    )
    return f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width:g}"{extra}/>'


def circle(
    x: float,
    y: float,
    r: float,
    fill: str = "none",
    stroke: str = INK,
    dash: bool = False,
    width: float = 1.3,
) -> str:
    dashed = ' stroke-dasharray="3 4"' if dash else ""
    return (
        f'<circle cx="{x:.4g}" cy="{y:.4g}" r="{r:.4g}" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="{width:g}"{dashed}/>'
    )


def label(x: float, y: float, w: float, h: float, *lines: str, fill: str = PAPER, opacity: float = 1) -> str:
    """A box with centred lines; from the second on they are smaller and muted."""
    top = y + h / 2 + 5 - 9 * (len(lines) - 1)
    words = [
        text(x + w / 2, top + 18 * i, words, INK if i == 0 else MUTED, "middle", 16 if i == 0 else 14)
        for i, words in enumerate(lines)
    ]
    return box(x, y, w, h, fill, opacity=opacity) + "".join(words)
