"""Draws the figures of the chapter: one public function a figure, SVG out, its numbers computed here."""

import json
import math
from pathlib import Path

from handbook.book.pen import ACCENT, INK, LINE, MUTED, PAPER, box, circle, drawing, line, text
from handbook.quantize.nf4 import NF4

LINEAR, OTHER, TRAINED = (6.979321856, 1.05093939, 0.04194304)  # Llama 3 8B, billions; LoRA of rank 16
LENGTHS = (3, 2, 4)
COUNTED = (1, 2, 4, 6, 7, 8)  # places of the row whose token is to be produced
SPREAD = 2.6  # largest of 64 normal numbers over their deviation, on average


def memory_bars() -> str:
    whole = LINEAR + OTHER
    bars = (
        ("full, AdamW", ((2 * whole, "weights"), (2 * whole, "gradients"), (12 * whole, "master, moments"))),
        ("LoRA, rank 16", ((2 * whole, "weights in 16 bits"), (16 * TRAINED, "all that trains"))),
        (
            "QLoRA, rank 16",
            (
                (LINEAR * (4 + 8 / 64 + 32 / (64 * 256)) / 8, "linear layers in NF4"),
                (2 * OTHER, "embedding, head"),
                (16 * TRAINED, "all that trains"),
            ),
        ),
    )
    left, scale, parts = 12, 3.7, list[str]()
    for top, (name, lines) in zip((30, 128, 236), bars, strict=True):
        total = sum(size for size, _ in lines)
        parts.append(text(left, top, name, INK, size=16, bold=True))
        parts.append(text(508, top, f"{total:.3g} GB", INK, "end", 16, bold=True))
        x = float(left)
        for number, (size, _) in enumerate(lines):
            fill, opacity = (LINE, 0.5) if number == 0 else (ACCENT, 0.2 + 0.25 * number)
            parts.append(box(x, top + 10, size * scale, 30, fill, INK, opacity=opacity))
            x += size * scale
        if top == 30:
            at = float(left)
            for size, what in lines:
                parts.append(text(at + 2, top + 60, f"{what} {size:.3g}", MUTED, size=14))
                at += size * scale if size > 20 else max(size * scale, 128)
        else:
            words = [f"{what} {size:.2g}" for size, what in lines]
            parts.append(text(left, top + 60, "; ".join(words), MUTED, size=14))
    limit = left + 80 * scale
    for ends in ((34, 76), (98, 276)):
        parts.append(line([(limit, y) for y in ends], ACCENT, 1.5, dash=True))
    parts.append(text(limit + 8, 160, "one device of 80 GB", ACCENT, size=14))
    return drawing(
        310,
        "Memory from step to step for Llama 3 8B",
        "Three bars to one scale. Full fine-tuning with AdamW: 16 GB of weights, 16 of gradients, 96 of "
        "master weights and moments, 128 together. LoRA of rank 16: 16 GB of weights and 0.67 for all that "
        "trains, 16.7. QLoRA: 3.6 GB of linear layers in NF4, 2.1 of embedding and head, 0.67 that trains, "
        "6.37. A line marks a device of 80 GB. Activations are not in it.",
        parts,
    )


def lora_shapes() -> str:
    parts = [
        text(12, 26, "frozen", MUTED, size=14),
        box(12, 40, 190, 190, LINE, INK, opacity=0.4),
        text(107, 132, "W", INK, "middle", 22, bold=True),
        text(107, 156, "O \u00d7 I", MUTED, "middle", 14),
        text(107, 254, "4,096 \u00d7 4,096:", MUTED, "middle", 14),
        text(107, 274, "16,777,216 numbers", MUTED, "middle", 14),
        text(232, 143, "+  s ·", INK, "middle", 20),
        text(272, 26, "trained", ACCENT, size=14),
        box(272, 40, 26, 190, ACCENT, INK, opacity=0.4),
        text(285, 141, "B", INK, "middle", 18, bold=True),
        text(285, 254, "O \u00d7 r", MUTED, "middle", 14),
        text(314, 143, "·", INK, "middle", 20),
        box(330, 122, 178, 26, ACCENT, INK, opacity=0.4),
        text(419, 141, "A", INK, "middle", 18, bold=True),
        text(419, 170, "r \u00d7 I", MUTED, "middle", 14),
        text(508, 254, "r = 16: 131,072 numbers, 0.8%", MUTED, "end", 14),
        line([(419, 72), (419, 114)], ACCENT, 1.5, head=True),
        text(419, 62, "x comes in: I numbers", INK, "middle", 14),
        line([(342, 210), (304, 210)], ACCENT, 1.5, head=True),
        text(348, 215, "r numbers go on", INK, size=14),
    ]
    return drawing(
        288,
        "The shapes of LoRA",
        "A square of O by I, the frozen weight, 16,777,216 numbers at a width of 4,096. Beside it a tall "
        "thin matrix B of O by r times a flat one A of r by I, scaled by s: with r = 16 together 131,072 "
        "numbers, 0.8%. The input passes A first, r numbers go on to B.",
        parts,
    )


def packed_row() -> str:
    left, top, cell = 130, 66, 34
    starts = [sum(LENGTHS[:n]) for n in range(len(LENGTHS))]
    document = [n for n, length in enumerate(LENGTHS) for _ in range(length)]
    total = len(document)
    parts = [text(12, 26, "columns: what may be seen", MUTED, size=14)]
    for place in range(total):
        x = left + place * cell
        shade = (0.18, 0.34, 0.5)[document[place]]
        parts.append(box(x, top - 26, cell - 2, 22, ACCENT, MUTED, opacity=shade))
        parts.append(text(x + cell / 2 - 1, top - 10, str(place), INK, "middle", 14))
        y = top + place * cell
        parts.append(text(left - 10, y + 22, f"place {place}", MUTED, "end", 14))
        for other in range(total):
            seen = document[other] == document[place] and other <= place
            leak = not seen and other <= place
            fill, opacity = (ACCENT, shade) if seen else (PAPER, 1)
            parts.append(
                box(left + other * cell, y, cell - 2, cell - 2, fill, MUTED if seen else LINE, leak, opacity)
            )
    below = top + total * cell + 22
    for row, name in enumerate(("position", "target")):
        parts.append(text(left - 10, below + 24 * row, name, INK, "end", 14))
        for place in range(total):
            position = place - starts[document[place]]
            counts = place + 1 in COUNTED and place + 1 not in starts
            ids = f"{10 * (document[place] + 1) + position + 2}" if counts else "\u2013"
            word = str(position) if row == 0 else ids
            parts.append(text(left + (place + 0.5) * cell - 1, below + 24 * row, word, INK, "middle", 14))
    parts.append(text(left, below + 52, "dashed: seen if the mask is only causal", MUTED, size=14))
    return drawing(
        below + 66,
        "A packed row of three documents and its mask",
        "Nine places: documents of three, two and four tokens. The mask has three triangles on its diagonal, "
        "of 6, 3 and 10 cells; 26 more would be seen if the mask were only causal. Positions are 0 1 2, "
        "0 1, 0 1 2 3; the last place of each document has no target.",
        parts,
    )


def nf4_levels() -> str:
    left, right, base, high = 24.0, 496.0, 190.0, 150.0

    def x(value: float) -> float:
        return left + (right - left) * (value + 1) / 2

    def y(value: float) -> float:
        return base - high * math.exp(-((value * SPREAD) ** 2) / 2)

    values = [n / 100 - 1 for n in range(201)]
    parts = [
        line([(x(v), y(v)) for v in values], INK, 2.5),
        line([(left, base), (right, base)], MUTED),
        text(12, 26, "weights of a block, over its largest", MUTED, size=14),
        text(left, base + 66, "NF4: sixteen values", INK, size=14, bold=True),
        text(left, base + 154, "int4: fifteen even steps", INK, size=14, bold=True),
    ]
    for value in NF4:
        parts.append(line([(x(value), y(value)), (x(value), base)], LINE, 1, dash=True))
        parts.append(line([(x(value), base + 8), (x(value), base + 48)], ACCENT, 3))
    for step in range(-7, 8):
        parts.append(line([(x(step / 7), base + 104), (x(step / 7), base + 136)], MUTED, 3))
    for value, name in ((-1.0, "\u22121"), (0.0, "0"), (1.0, "1")):
        parts.append(text(x(value), base + 88, name, MUTED, "middle", 14))
    return drawing(
        356,
        "NF4's values over the spread of weights",
        "A bell curve from -1 to 1 with deviation 1/2.6, the spread of 64 normal weights divided by their "
        "largest. Below it NF4's sixteen values: nine lie between -0.4 and 0.34, close together where "
        "weights are many. Below these, fifteen even steps of int4.",
        parts,
    )


def rank_loss() -> str:
    """From ranks.jsonl, which `handbook bench ranks --out` wrote."""
    losses: dict[tuple[str, int], list[float]] = {}
    for row in (Path(__file__).parent / "ranks.jsonl").read_text(encoding="utf-8").splitlines():
        run = json.loads(row)
        kind = run["trial"]["modules"] if run["name"].startswith("LoRA") else run["name"]
        losses.setdefault((kind, run["trial"]["rank"] * kind.startswith(("all", "att"))), []).append(
            run["after"]
        )
    mean = {key: sum(values) / len(values) for key, values in losses.items()}
    left, right, top, base, low, high = 64.0, 400.0, 44.0, 290.0, 1.59, 1.7

    def y(value: float) -> float:
        return base - (base - top) * (value - low) / (high - low)

    def x(rank: int) -> float:
        return left + 14 + (right - left - 28) * math.log2(rank) / 6

    parts = [
        line([(left, top), (left, base), (right, base)], MUTED),
        text(12, 24, "held-out loss, nats per answer token", MUTED, size=14),
        text((left + right) / 2, base + 46, "rank", MUTED, "middle", 14),
    ]
    parts += [text(left - 8, y(v) + 5, f"{v:.2f}", MUTED, "end", 14) for v in (1.6, 1.65, 1.7)]
    words = []
    for name, label in (("base", "untouched"), ("full", "all weights")):
        value = mean[name, 0]
        parts.append(line([(left, y(value)), (right, y(value))], INK, 1.5, dash=True))
        parts.append(text(right + 6, y(value) + 5, f"{label} {value:.3f}", INK, size=14))
        words.append(f"{label} {value:.3f}")
    ranks = sorted(rank for kind, rank in mean if kind == "all-linear")
    parts += [text(x(rank), base + 20, str(rank), MUTED, "middle", 14) for rank in ranks]
    for kind, label, colour in (("attention", "attention only", INK), ("all-linear", "all layers", ACCENT)):
        there = [rank for rank in ranks if (kind, rank) in mean]
        parts.append(line([(x(rank), y(mean[kind, rank])) for rank in there], colour, 2.5))
        for rank in there:
            for value in losses[kind, rank]:
                fill = PAPER if kind == "attention" else ACCENT
                parts.append(circle(x(rank), y(value), 4.5, fill, colour, width=2))
        words.append(f"{label}: " + ", ".join(f"rank {rank} {mean[kind, rank]:.3f}" for rank in there))
    parts.append(text(right - 4, y(1.632), "○ attention only", INK, "end", 14))
    parts.append(text(right - 4, y(1.624), "● all linear layers", ACCENT, "end", 14))
    return drawing(
        346,
        "Held-out loss over the rank of a LoRA",
        f"Losses after 64 rows of 512 tokens, a mark a seed, means joined. {'; '.join(words)}.",
        parts,
    )


def adapters_batch() -> str:
    shades = (0.0, 0.25, 0.25, 0.55, 0.55, 0.55)  # none, the first adapter, the second
    top, high, parts = 66, 34, list[str]()
    parts += [
        text(12, 26, "rows of a batch", MUTED, size=14),
        text(192, 26, "W, read once", INK, size=14, bold=True),
        text(508, 26, "adapters, for their rows", ACCENT, "end", 14),
        box(192, top - 22, 120, len(shades) * high + 40, LINE, INK, opacity=0.4),
        text(252, top + 3 * high, "W", INK, "middle", 22, bold=True),
    ]
    for number, shade in enumerate(shades):
        y = top + number * high
        parts.append(box(12, y, 110, high - 6, ACCENT, MUTED, opacity=shade))
        parts.append(text(67, y + 19, f"row {number + 1}", INK, "middle", 14))
        parts.append(line([(126, y + 14), (188, y + 14)], MUTED, head=True))
        parts.append(line([(316, y + 14), (362, y + 14)], ACCENT if shade else MUTED, head=True))
    parts.append(text(372, top + 19, "nothing is added", MUTED, size=14))
    for first, count, shade in ((1, 2, 0.25), (3, 3, 0.55)):
        y = top + first * high
        tall = count * high - 6
        parts += [
            box(372, y, 20, tall, ACCENT, INK, opacity=shade),
            text(382, y + tall / 2 + 5, "A", INK, "middle", 14),
            box(398, y, 20, tall, ACCENT, INK, opacity=shade),
            text(408, y + tall / 2 + 5, "B", INK, "middle", 14),
            text(428, y + tall / 2 + 5, f"{count} rows", INK, size=14),
        ]
    parts.append(
        text(12, top + 6 * high + 44, "Llama 3 8B, rank 16: 16 GB once, 84 MB an adapter", MUTED, size=14)
    )
    return drawing(
        top + 6 * high + 58,
        "Two adapters and the base in one batch",
        "Six rows pass one product with W, read once. Row 1 has no adapter. Rows 2 and 3 then get what the "
        "first adapter's A and B add, rows 4 to 6 what the second's add. Rows of an adapter stand together.",
        parts,
    )
