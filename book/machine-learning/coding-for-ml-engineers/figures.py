"""Draws the figures of the chapter: one public function a figure, SVG out, its numbers computed here."""

import math

import numpy as np

from handbook.book.pen import ACCENT, INK, LINE, MUTED, PAPER, box, circle, drawing, label, line, text

VALUES = (9, 3, 5, 2, 7, 1)  # of the falling window
JOBS = ((1, 4), (3, 6), (3, 5), (4, 7))
ARRIVALS = (0, 4, 12, 13, 14)  # milliseconds
MOST, WAIT = 3, 10  # of a batch: requests, milliseconds


def falling_window() -> str:
    """The deque of a maximum over windows, before and after one value comes in."""
    left, cell, width = 60, 62, 5
    parts = [text(12, 28, "values", MUTED, size=14), text(12, 118, "before 7", MUTED, size=14)]
    parts.append(text(12, 208, "after 7", MUTED, size=14))
    for place, value in enumerate(VALUES):
        x = left + 20 + place * cell
        new = place == 4
        parts.append(box(x, 10, 46, 34, ACCENT if new else PAPER, INK, opacity=0.35 if new else 1))
        parts.append(text(x + 23, 33, str(value), INK, "middle", 18, bold=new))
    span = left + 20
    parts.append(line([(span, 56), (span + width * cell - 16, 56)], ACCENT, 2.5))
    parts.append(text(span + width * cell / 2 - 8, 76, "window of five, ends at 7", ACCENT, "middle", 14))
    for end, top in ((3, 96), (4, 186)):
        kept: list[int] = []
        for place in range(end + 1):
            while kept and VALUES[kept[-1]] <= VALUES[place]:
                kept.pop()
            kept.append(place)
        for place in range(end + 1):
            x = left + 20 + place * cell
            stays = place in kept
            parts.append(
                box(x, top, 46, 34, ACCENT if stays else PAPER, INK if stays else LINE, not stays, 0.2)
            )
            parts.append(text(x + 23, top + 23, str(VALUES[place]), INK if stays else MUTED, "middle", 18))
            if end == 4 and 0 < place < 4:
                parts.append(line([(x + 6, top + 29), (x + 40, top + 5)], MUTED, 1.5))
    parts.append(text(left + 20 + 23, 246, "the largest", INK, "middle", 14))
    parts.append(text(left + 20 + 4 * cell + 23, 246, "may become it", INK, "middle", 14))
    parts.append(text(left + 20 + 2 * cell + 23, 246, "never again", MUTED, "middle", 14))
    return drawing(
        262,
        "Candidates for the largest of a window",
        "Values 9 3 5 2 7 1. Before 7 comes in, the candidates are 9, 5 and 2, a falling sequence. 7 drives "
        "out 5 and 2, which are smaller and leave sooner; 9 stays, because it is larger. The largest of the "
        "window is the leftmost candidate, 9.",
        parts,
    )


def interval_sweep() -> str:
    """Four jobs over time, and how many are at work."""
    left, unit, top = 40, 60, 34

    def x(time: float) -> float:
        return left + time * unit

    parts = list[str]()
    for row, (start, end) in enumerate(JOBS):
        y = top + row * 32
        parts.append(box(x(start), y, (end - start) * unit, 22, ACCENT, INK, opacity=0.25))
        parts.append(text(x(start) + 8, y + 17, f"[{start}, {end})", INK, size=14))
    base, step = top + 4 * 32 + 128, 32
    for count in range(4):
        y = base - count * step
        parts.append(line([(left, y), (x(7.6), y)], LINE, 1))
        parts.append(text(left - 10, y + 5, str(count), MUTED, "end", 14))
    times = sorted({time for job in JOBS for time in job})
    points, now = [(x(0), float(base))], 0
    for time in times:
        points.append((x(time), base - now * step))
        now += sum(start == time for start, _ in JOBS) - sum(end == time for _, end in JOBS)
        points.append((x(time), base - now * step))
    points.append((x(7.6), float(base)))
    parts.append(line(points, ACCENT, 3))
    parts.append(line([(x(4), top - 8), (x(4), base)], INK, 1.3, dash=True))
    parts.append(text(x(4) + 6, top - 12, "at 4: one ends, then one begins", INK, size=14))
    for time in range(8):
        parts.append(text(x(time), base + 22, str(time), MUTED, "middle", 14))
    parts.append(text(left, top + 4 * 32 + 20, "at work", MUTED, size=14))
    return drawing(
        base + 34,
        "Four jobs and how many are at work",
        "Jobs from 1 to 4, 3 to 6, 3 to 5 and 4 to 7. The count is 1 from 1, 3 from 3 to 5, 2 until 6, 1 "
        "until 7. At 4 one job ends and another begins; the end is counted first, so the count stays 3.",
        parts,
    )


def strides() -> str:
    """One piece of memory under three shapes."""
    left, cell, top = 20, 40, 34
    whole = np.arange(12, dtype=np.float64).reshape(3, 4)
    parts = [text(left, 22, "memory: 12 numbers of 8 bytes", MUTED, size=14)]
    for n in range(12):
        parts.append(box(left + n * cell, top, cell - 3, 30, ACCENT, INK, opacity=0.12 + 0.1 * (n % 4)))
        parts.append(text(left + (n + 0.5) * cell - 1, top + 21, str(n), INK, "middle", 15))
    views = ((whole, "a", 20), (whole.T, "a.T", 218), (whole[:, ::2], "a[:, ::2]", 376))
    for view, name, x in views:
        rows, columns = view.shape
        parts.append(text(x, 104, name, INK, size=16, bold=True))
        parts.append(text(x, 124, f"shape {view.shape}", MUTED, size=14))
        parts.append(text(x, 143, f"strides {view.strides}", MUTED, size=14))
        for i in range(rows):
            for j in range(columns):
                n = int(view[i, j])
                px, py = x + j * cell, 156 + i * 36
                parts.append(box(px, py, cell - 3, 30, ACCENT, INK, opacity=0.12 + 0.1 * (n % 4)))
                parts.append(text(px + cell / 2 - 1, py + 21, str(n), INK, "middle", 15))
    return drawing(
        308,
        "One piece of memory, three views",
        "Twelve float64 numbers in a row. As an array of shape 3 by 4 its strides are 32 and 8 bytes. The "
        "transpose, 4 by 3, has 8 and 32; every other column, 3 by 2, has 32 and 16. None of them copies.",
        parts,
    )


def gradient_check() -> str:
    """The error of central differences of x cubed at 2, over the step."""
    left, right, base, high = 76.0, 500.0, 262.0, 40.0
    steps = [10 ** (-12 + n / 12) for n in range(145)]
    lowest, highest = -11.0, 0.5

    def x(step: float) -> float:
        return left + (right - left) * (math.log10(step) + 12) / 12

    def y(error: float) -> float:
        level = min(max(math.log10(max(error, 1e-30)), lowest), highest)
        return base - (base - high) * (level - lowest) / (highest - lowest)

    def errors(kind: type[np.floating]) -> list[tuple[float, float]]:
        """(step, the largest relative error of nearby steps): rounding is a matter of chance at each."""
        found = []
        for step in steps:
            near = [kind(step * (1 + n / 64)) for n in range(-8, 9)]
            off = []
            for h in near:
                above, below = (kind(2) + h) ** 3, (kind(2) - h) ** 3
                off.append(abs(float((above - below) / (2 * h)) / 12 - 1))
            found.append((step, max(off)))
        return found

    double = errors(np.float64)
    single = [(step, error) for step, error in errors(np.float32) if step > 1e-7]
    parts = [line([(left, base), (right, base)], MUTED), line([(left, base), (left, high)], MUTED)]
    for power in (-12, -9, -6, -3, 0):
        at = left + (right - left) * (power + 12) / 12
        parts.append(line([(at, base), (at, base + 6)], MUTED))
        parts.append(text(at, base + 24, f"1e{power}" if power else "1", MUTED, "middle", 14))
    for power in (-9, -6, -3, 0):
        level = base - (base - high) * (power - lowest) / (highest - lowest)
        parts.append(line([(left - 6, level), (left, level)], MUTED))
        parts.append(text(left - 10, level + 5, f"1e{power}" if power else "1", MUTED, "end", 14))
    parts.append(line([(x(s), y(e)) for s, e in double], ACCENT, 2.5))
    parts.append(line([(x(s), y(e)) for s, e in single], INK, 2.5, dash=True))
    best = min(double, key=lambda point: point[1])[0]
    parts.append(text(left + 12, high - 8, "relative error", MUTED, size=14))
    parts.append(text((left + right) / 2, base + 46, "step", MUTED, "middle", 14))
    parts.append(text(x(2e-11), y(3e-4), "float64", ACCENT, "start", 16, bold=True))
    parts.append(text(x(6e-6), y(1.5e-1), "float32", INK, "start", 16, bold=True))
    parts.append(text(x(3e-12), y(6e-11), "rounding", MUTED, size=14))
    parts.append(text(x(1e-3), y(3e-10), "the formula", MUTED, size=14))
    parts.append(line([(x(best), base - 4), (x(best), base)], ACCENT, 3))
    return drawing(
        318,
        "The error of a gradient check over its step",
        "Central differences of x cubed at 2. In float64 the relative error falls from about 1e-4 at a step "
        "of 1e-12 to about 1e-11 near 1e-5 and rises again with the square of the step. In float32 it is "
        "smallest near 1e-2, about 1e-5.",
        parts,
    )


def backward_pass() -> str:
    """The two layers of the worked example, values forward, gradients back."""
    nodes = (
        (16, "x", "(1, 2)", ""),
        (122, "z = x W1", "(3, -2)", "(4, 0)"),
        (252, "h = relu", "(3, 0)", "(4, 10)"),
        (368, "y = h w2", "6", "2"),
        (470, "L", "2", "1"),
    )
    parts = [text(16, 32, "forward", INK, size=14), text(16, 164, "backward", ACCENT, size=14)]
    widths = (60, 92, 84, 80, 38)
    for (x, name, value, back), width in zip(nodes, widths, strict=True):
        parts.append(label(x, 84, width, 44, name))
        parts.append(text(x + width / 2, 68, value.replace("-", "\u2212"), INK, "middle", 16))
        parts.append(text(x + width / 2, 164, back, ACCENT, "middle", 16, bold=True))
    for n in range(4):
        a, b = nodes[n][0] + widths[n], nodes[n + 1][0]
        parts.append(line([(a + 3, 98), (b - 3, 98)], INK, 1.5, head=True))
        if n:
            parts.append(line([(b - 3, 116), (a + 3, 116)], ACCENT, 1.5, head=True))
    parts.append(text(168, 196, "dW1 = x\u1d40 dz", ACCENT, "middle", 14))
    parts.append(text(168, 214, "(4, 0; 8, 0)", ACCENT, "middle", 14))
    parts.append(text(408, 196, "dw2 = h dy", ACCENT, "middle", 14))
    parts.append(text(408, 214, "(6, 0)", ACCENT, "middle", 14))
    parts.append(text(294, 196, "off: 10 stops", MUTED, "middle", 14))
    return drawing(
        230,
        "A forward and a backward pass",
        "Forward: x is (1, 2), z (3, -2), h (3, 0), y 6, the loss 2. Backward: dy 2, dh (4, 10), dz (4, 0), "
        "because the second unit was off; dw2 is (6, 0), dW1 has rows (4, 0) and (8, 0).",
        parts,
    )


def _batches() -> list[tuple[list[int], int, int]]:
    """(requests, opened, closed) of the worked example."""
    found, waiting = [], list(ARRIVALS)
    while waiting:
        opened = waiting[0]
        taken = [t for t in waiting if t <= opened + WAIT][:MOST]
        closed = taken[-1] if len(taken) == MOST else opened + WAIT
        found.append((taken, opened, closed))
        waiting = waiting[len(taken) :]
    return found


def batching_queue() -> str:
    """Requests on a line of time, and the two batches that take them."""
    left, unit = 40.0, 30.0

    def x(time: float) -> float:
        return left + time * unit

    parts = [line([(left, 70), (x(15.4), 70)], MUTED, 1.5, head=True)]
    for time in (0, 4, 12, 14):
        parts.append(text(x(time) + 5, 90, str(time), MUTED, size=14))
    parts.append(text(x(10), 90, "10", MUTED, "middle", 14))
    parts.append(text(x(15.4), 90, "ms", MUTED, "middle", 14))
    for n, (taken, opened, closed) in enumerate(_batches()):
        why = "full" if len(taken) == MOST else "time is up"
        parts.append(box(x(opened) - 8, 112, (closed - opened) * unit + 16, 40, ACCENT, INK, opacity=0.25))
        middle = (x(opened) + x(closed)) / 2
        parts.append(text(middle, 137, f"batch {n + 1}", INK, "middle", 15))
        parts.append(text(x(closed), 176, why, ACCENT, "end" if n == 0 else "middle", 14))
        for time in taken:
            parts.append(circle(x(time), 46, 8, ACCENT, INK))
            parts.append(line([(x(time), 56), (x(time), 110)], MUTED, 1, dash=True))
    parts.append(text(left - 8, 24, "requests", MUTED, size=14))
    return drawing(
        190,
        "Two batches, one closed by time and one by size",
        "Requests at 0, 4, 12, 13 and 14 milliseconds. The first batch opens at 0 and closes at 10, when its "
        "first request has waited 10 milliseconds, with two requests. The second opens at 12 and closes at "
        "14 with three, because it is full.",
        parts,
    )


def judge_processes() -> str:
    """Who holds what, and what crosses."""
    parts = [
        label(170, 14, 180, 58, "parent", "app or command line"),
        box(12, 128, 212, 150, ACCENT, INK, opacity=0.1),
        text(118, 154, "T, the examiner", INK, "middle", 16, bold=True),
        text(118, 180, "visible and hidden tests", INK, "middle", 14),
        text(118, 200, "expected values", INK, "middle", 14),
        text(118, 220, "comparisons", INK, "middle", 14),
        text(118, 256, "no submission", MUTED, "middle", 14),
        box(296, 128, 212, 150, ACCENT, INK, opacity=0.25),
        text(402, 154, "S", INK, "middle", 16, bold=True),
        text(402, 180, "the submission", INK, "middle", 14),
        text(402, 200, "NumPy, torch", INK, "middle", 14),
        text(402, 256, "no test, no expected value", MUTED, "middle", 14),
        line([(226, 186), (294, 186)], INK, 1.5, head=True),
        text(260, 178, "calls", INK, "middle", 14),
        line([(294, 216), (226, 216)], INK, 1.5, head=True),
        text(260, 236, "values", INK, "middle", 14),
        line([(140, 126), (205, 76)], ACCENT, 2, head=True),
        text(118, 104, "verdicts", ACCENT, "middle", 14),
        line([(330, 76), (390, 126)], MUTED, 1.5, head=True, dash=True),
        text(446, 104, "starts, watches, kills", MUTED, "middle", 14),
        box(4, 114, 512, 176, "none", LINE, dash=True),
        text(260, 308, "both in cells: limits, namespaces, Landlock, seccomp", MUTED, "middle", 14),
    ]
    return drawing(
        320,
        "The judge's three processes",
        "The parent starts, watches and kills, and reads verdicts. The examiner, T, holds visible and hidden "
        "tests, expected values and comparisons, and no submission. S holds the submission with NumPy and "
        "torch, and no test and no expected value. Calls go from T to S, values come back. Both are cells.",
        parts,
    )
