"""Draws the figures of the chapter: one public function a figure, SVG out, its numbers computed here."""

import math

from handbook.book.pen import ACCENT, INK, LINE, MUTED, PAPER, box, circle, drawing, label, line, text

BANDWIDTH, PEAK = 3.35, 989.0  # of an H100: TB/s, TFLOP/s in bf16
WEIGHTS, CACHE, WORK = 15.0, 0.262144, 16.05  # Llama 3 8B, 2,000 tokens each: GB, GB and GFLOP a sequence


def _intensity(sequences: int) -> float:
    return sequences * WORK / (WEIGHTS + sequences * CACHE)


def roofline() -> str:
    left, right, top, base = 70, 508, 30, 300
    low, high = (0.5, 1.0), (4000.0, 2000.0)

    def x(value: float) -> float:
        return left + (right - left) * math.log(value / low[0]) / math.log(high[0] / low[0])

    def y(value: float) -> float:
        return base - (base - top) * math.log(value / low[1]) / math.log(high[1] / low[1])

    ridge, limit = PEAK / BANDWIDTH, WORK / CACHE
    parts = [
        line([(left, top), (left, base)], MUTED),
        line([(left, base), (right, base)], MUTED),
        text((left + right) / 2, base + 44, "FLOPs per byte", MUTED, "middle", 14),
        text(20, (top + base) / 2, "TFLOP/s", MUTED, "middle", 14, turned=True),
        line([(x(low[0]), y(BANDWIDTH * low[0])), (x(ridge), y(PEAK)), (x(high[0]), y(PEAK))], INK, 2.5),
        text(x(3.2), y(30), "3.35 TB/s", MUTED, "end", 14),
        text(x(ridge), y(PEAK) - 10, "989 TFLOP/s", MUTED, "middle", 14),
        line([(x(limit), y(BANDWIDTH * limit)), (x(limit), base)], ACCENT, 1.5, dash=True),
        text(x(limit) + 8, base - 58, "no decode beyond 61:", ACCENT, size=14),
        text(x(limit) + 8, base - 40, "each sequence reads", ACCENT, size=14),
        text(x(limit) + 8, base - 22, "its own cache", ACCENT, size=14),
    ]
    for tick in (1, 10, 100, 1000):
        parts.append(text(x(tick), base + 20, f"{tick:,}", MUTED, "middle", 14))
        parts.append(text(left - 8, y(tick) + 5, f"{tick:,}", MUTED, "end", 14))
        parts.append(line([(x(tick), base), (x(tick), base + 5)], MUTED))
    for sequences in (1, 8, 64, 256):
        at = _intensity(sequences)
        parts.append(circle(x(at), y(BANDWIDTH * at), 6, ACCENT, PAPER))
        shift = (12, 22) if sequences < 64 else (-12, 8)
        end = "start" if sequences < 64 else "end"
        name = f"decode, {sequences}" if sequences == 1 else str(sequences)
        parts.append(text(x(at) + shift[0], y(BANDWIDTH * at) + shift[1] - 10, name, INK, end, 14))
    at = 2000 * WEIGHTS / (WEIGHTS + CACHE)
    parts.append(circle(x(at), y(PEAK), 6, ACCENT, PAPER))
    parts.append(text(right, y(PEAK) + 26, "prefill, 2,000 tokens", INK, "end", 14))
    return drawing(
        354,
        "Roofline of an H100 with prefill and decode of Llama 3 8B",
        "Both axes logarithmic. A slanted roof of 3.35 TB/s meets a flat one of 989 TFLOP/s at 295 FLOPs "
        "per byte. Decode with 2,000 tokens of context lies on the slanted part: 1 sequence at 1 FLOP per "
        "byte, 8 at 7.5, 64 at 32, 256 at 50, and never beyond 61. Prefill of 2,000 tokens lies under the "
        "flat part.",
        parts,
    )


LENGTHS = (2, 8, 3, 3, 4, 2, 1, 1)


def _static() -> list[tuple[int, int, int]]:
    """Slot, first step and request of each of LENGTHS in batches of four."""
    later = max(LENGTHS[:4])
    return [(n % 4, later * (n // 4), n) for n in range(len(LENGTHS))]


def _continuous() -> list[tuple[int, int, int]]:
    """The same where the first free slot takes the next request."""
    free, placed = [0] * 4, []
    for n, length in enumerate(LENGTHS):
        slot = min(range(4), key=lambda s: free[s])
        placed.append((slot, free[slot], n))
        free[slot] += length
    return placed


def static_continuous() -> str:
    left, wide, high, steps = 74, 36, 26, 12
    parts = []
    for top, name, placed in ((48, "static", _static()), (216, "continuous", _continuous())):
        last = max(start + LENGTHS[n] for _, start, n in placed)
        parts.append(text(left, top - 14, f"{name}: {last} steps", INK, size=16, bold=True))
        for slot in range(4):
            y = top + slot * (high + 4)
            parts.append(text(left - 10, y + 18, f"slot {slot + 1}", MUTED, "end", 14))
            for step in range(last):
                parts.append(box(left + step * wide, y, wide - 2, high, LINE, "none", opacity=0.35))
        for slot, start, n in placed:
            y = top + slot * (high + 4)
            x, width = left + start * wide, LENGTHS[n] * wide - 2
            parts.append(box(x, y, width, high, ACCENT, INK, opacity=0.2 if n < 4 else 0.5))
            parts.append(text(x + width / 2, y + 18, str(n + 1), INK, "middle", 14))
    for step in range(steps):
        parts.append(text(left + (step + 0.5) * wide, 358, str(step + 1), MUTED, "middle", 14))
    parts.append(text(left, 382, "grey: a slot that does nothing", MUTED, size=14))
    return drawing(
        392,
        "Static and continuous batching of eight requests in four slots",
        "Requests of 2, 8, 3, 3, 4, 2, 1 and 1 tokens. Static: requests 1 to 4 hold their slots for eight "
        "steps, 5 to 8 for four more, half of the slot-steps idle. Continuous: request 5 enters slot 1 at "
        "step 3, requests 6 and 7 slots 3 and 4 at step 4, request 8 slot 4 at step 5, and all end with "
        "step 8.",
        parts,
    )


FIXED, EACH, PROMPT, ROOM = (
    10.0,
    0.03,
    1000,
    480,
)  # ms a step, ms a prompt token, tokens, tokens beside decodes


def chunked_prefill() -> str:
    left, scale, parts = 18, 6.0, list[str]()
    pieces = [min(ROOM, PROMPT - at) for at in range(0, PROMPT, ROOM)]
    rows = (("whole", [0, PROMPT, 0, 0, 0]), ("in chunks", [0, *pieces, 0]))
    for top, (name, steps) in zip((70, 234), rows, strict=True):
        times = [FIXED + EACH * n for n in steps]
        first = sum(times[1 : 1 + sum(n > 0 for n in steps)])
        parts.append(text(left, top - 36, name, INK, size=16, bold=True))
        words = f"longest gap {max(times):.4g} ms, first token after {first:.4g} ms"
        parts.append(text(502, top - 36, words, MUTED, "end", 14))
        at = 0.0
        for n, taken in zip(steps, times, strict=True):
            x, width = left + at * scale, taken * scale
            parts.append(box(x, top, width - 2, 44, LINE, MUTED, opacity=0.35))
            if n:
                inner = EACH * n * scale
                parts.append(box(x + width - 2 - inner, top, inner, 44, ACCENT, MUTED, opacity=0.4))
                if n > 100:
                    parts.append(text(x + width - inner / 2, top + 27, f"{n:,}", INK, "middle", 14))
            at += taken
            for answer in range(3):
                parts.append(circle(left + at * scale - 2, top + 60 + 16 * answer, 4, INK, PAPER))
        arrival = left + FIXED * scale
        parts.append(line([(arrival, top - 26), (arrival, top - 2)], ACCENT, 1.5, head=True))
    parts.append(text(left + FIXED * scale + 8, 56, "prompt arrives", ACCENT, size=14))
    parts.append(
        text(left, 350, "dots: tokens of three running answers; colour: the prompt's", MUTED, size=14)
    )
    parts.append(text(left, 369, "share of a step; 10 ms are needed in any case", MUTED, size=14))
    return drawing(
        380,
        "A prompt computed whole and in chunks",
        "Two timelines of 80 ms. Whole: after a step of 10 ms one of 40 ms, during which no running "
        "answer gets a token, then steps of 10 ms. In chunks of 480, 480 and 40 tokens: steps of 24.4, "
        "24.4 and 11.2 ms, each with a token for every answer; the prompt's own first token comes after "
        "60 in place of 40 ms.",
        parts,
    )


def _table(x: float, y: float, name: str, pages: tuple[int, ...]) -> list[str]:
    parts = [text(x, y + 22, name, INK, size=16, bold=True)]
    for n, page in enumerate(pages):
        parts.append(box(x + 26 + n * 38, y, 36, 32))
        parts.append(text(x + 44 + n * 38, y + 22, str(page), INK, "middle"))
    return parts


def _page(
    x: float, y: float, number: int, words: tuple[str, ...], holders: int, new: bool = False
) -> list[str]:
    cell, size = 27, 4
    parts = [
        text(x, y - 8, f"page {number}", MUTED, size=14),
        text(x + size * cell, y - 8, f"held by {holders}", ACCENT if holders > 1 else MUTED, "end", 14),
    ]
    for place in range(size):
        word = words[place] if place < len(words) else ""
        fill, opacity = (ACCENT, 0.45 if new else 0.18) if word else (PAPER, 1)
        parts.append(box(x + place * cell, y, cell, 32, fill, MUTED, opacity=opacity))
        parts.append(text(x + (place + 0.5) * cell, y + 21, word, INK, "middle", 14))
    return parts


def block_tables() -> str:
    first, last = ("t1", "t2", "t3", "t4"), ("t5", "t6")
    x = (146, 272, 398)
    parts = [
        text(10, 24, "After the prompt of six tokens", INK, size=16, bold=True),
        *_table(10, 58, "A", (0, 1)),
        *_table(10, 100, "B", (0, 1)),
        *_page(x[0], 78, 0, first, 2),
        *_page(x[1], 78, 1, last, 2),
        line([(10, 154), (510, 154)], LINE, 1),
        text(10, 184, "A writes its seventh token: a copy first", INK, size=16, bold=True),
        *_table(10, 218, "A", (0, 2)),
        *_table(10, 260, "B", (0, 1)),
        *_page(x[0], 238, 0, first, 2),
        *_page(x[1], 238, 1, last, 1),
        *_page(x[2], 238, 2, (*last, "a7"), 1, new=True),
        line(
            [(x[1] + 40, 276), (x[1] + 40, 296), (x[2] + 40, 296), (x[2] + 40, 274)], ACCENT, 1.5, head=True
        ),
        text((x[1] + x[2]) / 2 + 40, 314, "two positions copied", ACCENT, "middle", 14),
        line([(10, 334), (510, 334)], LINE, 1),
        text(10, 364, "B writes: it is alone in page 1, nothing is copied", INK, size=16, bold=True),
        *_table(10, 396, "A", (0, 2)),
        *_table(10, 438, "B", (0, 1)),
        *_page(x[0], 416, 0, first, 2),
        *_page(x[1], 416, 1, (*last, "b7"), 1, new=True),
        *_page(x[2], 416, 2, (*last, "a7"), 1),
    ]
    return drawing(
        480,
        "Block tables of two samples of one prompt, with copy on write",
        "Pages of four positions. First both tables list pages 0 and 1, each held by two. When A writes "
        "its seventh token it gets page 2 with a copy of the two positions of page 1, which is then held "
        "by B alone. When B writes, nothing is copied. Page 0 stays shared.",
        parts,
    )


def speculative_step() -> str:
    drafts, model = ("old", "man", "sat", "down"), ("old", "man", "stood", "", "")
    left, wide, parts = 12, 84, list[str]()
    for n, word in enumerate(("the", *drafts)):
        x, read = left + n * (wide + 16), n < 3
        parts.append(
            label(x, 54, wide, 36, word, fill=LINE if n == 0 else PAPER, opacity=0.5 if n == 0 else 1)
        )
        parts.append(line([(x + wide / 2, 90), (x + wide / 2, 116)], MUTED if read else LINE, head=True))
        drawn = model[n]
        parts.append(line([(x + wide / 2, 164), (x + wide / 2, 190)], MUTED if read else LINE, head=True))
        if drawn:
            wrong = n == 2
            parts.append(
                label(x, 194, wide, 36, drawn, fill=ACCENT if wrong else PAPER, opacity=0.4 if wrong else 1)
            )
        else:
            parts.append(box(x, 194, wide, 36, PAPER, LINE, dash=True))
            parts.append(text(x + wide / 2, 217, "not used", MUTED, "middle", 14))
    parts += [
        text(left, 24, "last token", MUTED, size=14),
        text(left + wide + 16, 24, "drafts, guessed cheaply", MUTED, size=14),
        line([(left + wide + 16, 36), (left + 5 * wide + 64, 36)], MUTED, 1.5),
        label(left, 120, 5 * wide + 64, 40, "one step of the model reads all five", fill=LINE, opacity=0.3),
        text(left, 262, "what the model itself says behind each", MUTED, size=14),
        text(left, 300, "given out:", INK),
        *(label(112 + n * 84, 278, 76, 34, word) for n, word in enumerate(("old", "man"))),
        label(112 + 2 * 84, 278, 76, 34, "stood", fill=ACCENT, opacity=0.4),
        text(372, 300, "three tokens, one step", MUTED, size=14),
    ]
    return drawing(
        326,
        "One step of speculative decoding",
        "Behind the last token 'the' stand the drafts old, man, sat, down. One step of the model reads "
        "all five. Behind 'the' it says old, behind old man, behind man stood: two drafts are right, the "
        "third is replaced by stood, and the fourth is not looked at. Three tokens are given out.",
        parts,
    )


def disaggregation() -> str:
    left, parts = 96, list[str]()

    def decode(x: float, y: float) -> str:
        return box(x, y, 14, 30, LINE, MUTED, opacity=0.5)

    def prefill(x: float, y: float, name: str, width: float = 74) -> list[str]:
        return [
            box(x, y, width, 30, ACCENT, MUTED, opacity=0.4),
            text(x + width / 2, y + 20, name, INK, "middle", 14),
        ]

    parts += [text(12, 28, "Shared", INK, size=16, bold=True), text(12, 66, "device", MUTED, size=14)]
    x, y = float(left), 46.0
    for kind in ("d", "d", "d", "P1", "d", "d", "P2", "d", "d", "d", "P3", "d"):
        if kind == "d":
            parts.append(decode(x, y))
            x += 17
        else:
            parts += prefill(x, y, kind)
            x += 77
    gap = left + 3 * 17
    parts += [
        line([(gap, 86), (gap + 74, 86)], INK, 2),
        text(gap + 37, 106, "nobody gets a token", INK, "middle", 14),
        line([(12, 128), (510, 128)], LINE, 1),
        text(12, 158, "Apart", INK, size=16, bold=True),
        text(12, 196, "prefill", MUTED, size=14),
        text(12, 276, "decode", MUTED, size=14),
    ]
    starts = (left + 30, left + 136, left + 262)
    for n, start in enumerate(starts):
        parts += prefill(start, 176, f"P{n + 1}")
        parts.append(line([(start + 74, 208), (start + 96, 250)], ACCENT, 2, head=True))
    parts += [decode(left + 17 * n, 256) for n in range(24)]
    parts += [
        text(starts[0] + 76, 236, "its cache, once", ACCENT, "end", size=14),
        text(left, 308, "steps of equal length", MUTED, size=14),
    ]
    return drawing(
        322,
        "Prefill and decode on one device, and apart",
        "Above, one device: short decode steps interrupted by three long prefills, during which nobody "
        "gets a token. Below, a prefill device computes the three prompts and sends each cache once to a "
        "decode device, whose steps go on evenly.",
        parts,
    )


def queueing_knee() -> str:
    left, right, top, base, most = 62, 500, 24, 280, 20.0

    def x(load: float) -> float:
        return left + (right - left) * load

    def y(wait: float) -> float:
        return base - (base - top) * wait / most

    loads = [n / 200 for n in range(191)]
    parts = [
        line([(left, top), (left, base), (right, base)], MUTED),
        line([(x(1), top), (x(1), base)], LINE, 1.5, dash=True),
        line([(x(load), y(load / (1 - load))) for load in loads], ACCENT, 3),
        text((left + right) / 2, base + 46, "load: arrivals over what can be served", MUTED, "middle", 14),
        text(18, (top + base) / 2, "mean wait, in services", MUTED, "middle", 14, turned=True),
    ]
    for tick in (0, 5, 10, 15, 20):
        parts.append(text(left - 8, y(tick) + 5, str(tick), MUTED, "end", 14))
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(text(x(tick), base + 22, f"{tick:.0%}", MUTED, "middle", 14))
    for load in (0.5, 0.7, 0.9, 0.95):
        wait = load / (1 - load)
        parts.append(circle(x(load), y(wait), 6, ACCENT, PAPER))
        parts.append(text(x(load) - 12, y(wait) - 8, f"{load:.0%}: {wait:.2g}", INK, "end", 14))
    return drawing(
        336,
        "Mean wait against load, one server, random arrivals and services",
        "The wait is load over one minus load: 1 service at 50%, 2.3 at 70%, 9 at 90%, 19 at 95%, and "
        "without bound towards 100%.",
        parts,
    )
