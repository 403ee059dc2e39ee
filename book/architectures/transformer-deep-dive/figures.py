"""Draws the figures of the chapter: one public function a figure, SVG out, its numbers computed here."""

import math

from handbook.book.pen import ACCENT, INK, LINE, MUTED, PAPER, box, circle, drawing, label, line, text


def _plus(x: float, y: float) -> str:
    return circle(x, y, 12, PAPER) + text(x, y + 6, "+", INK, "middle", 18)


def attention_flow() -> str:
    stream = 66
    parts = [
        label(16, 8, 200, 46, "token embeddings", "[T, 576]"),
        line([(stream, 54), (stream, 580)], ACCENT, 3),
        text(stream - 14, 150, "residual stream", ACCENT, "middle", 14, turned=True),
        box(104, 82, 404, 456, "none", LINE, dash=True),
        text(500, 74, "one block, repeated 30 times", MUTED, "end", 14),
        line([(stream, 112), (116, 112)], head=True),
        label(120, 96, 92, 32, "RMSNorm"),
        line([(212, 112), (246, 112)], head=True),
        label(250, 96, 248, 32, "projections to q, k, v"),
        *(line([(x, 128), (x, 154)], head=True) for x in (290, 374, 458)),
        label(250, 158, 80, 62, "q", "9 heads", "[9, T, 64]"),
        label(334, 158, 80, 62, "k", "3 heads", "[3, T, 64]"),
        label(418, 158, 80, 62, "v", "3 heads", "[3, T, 64]"),
        *(line([(x, 220), (x, 238)], head=True) for x in (290, 374)),
        label(250, 242, 164, 30, "rotate by position"),
        *(line([(x, y), (x, 298)], head=True) for x, y in ((290, 272), (374, 272), (458, 220))),
        label(250, 302, 248, 50, "softmax(q kᵀ / √64) v", "reads other rows: [9, T, 64]"),
        line([(250, 327), (216, 327)], head=True),
        label(120, 302, 92, 50, "output", "[T, 576]"),
        line([(120, 327), (stream + 14, 327)], head=True),
        _plus(stream, 327),
        line([(stream, 392), (116, 392)], head=True),
        label(120, 376, 92, 32, "RMSNorm"),
        line([(212, 392), (246, 392)], head=True),
        label(250, 376, 248, 50, "SwiGLU: gate and up", "each row alone: [T, 1536]"),
        line([(374, 426), (374, 474)], head=True),
        label(250, 478, 248, 44, "down", "[T, 576]"),
        line([(250, 500), (stream + 14, 500)], head=True),
        _plus(stream, 500),
        line([(stream, 580), (116, 580)], head=True),
        label(120, 558, 92, 44, "RMSNorm", "last one"),
        line([(212, 580), (246, 580)], head=True),
        label(250, 558, 248, 44, "output head (tied)", "logits [T, 49152]"),
    ]
    return drawing(
        612,
        "The decoder block of SmolLM2-135M, with shapes",
        "Embeddings enter the residual stream. In each of 30 blocks, attention (normalise, project to "
        "9 query heads and 3 key and value heads, rotate queries and keys, softmax, output "
        "projection) and a SwiGLU network (normalise, gate and up to 1536, down to 576) each add to "
        "the stream. A last norm and the tied output head give the logits.",
        parts,
    )


def _worked_weights() -> list[list[float]]:
    """The chapter's worked example: softmax of the masked, scaled products, one row a query."""
    queries, keys = ((1, 0), (0, 2), (1, 1)), ((1, 0), (0, 1), (1, 1))
    rows = []
    for i, q in enumerate(queries):
        terms = [math.exp((q[0] * k[0] + q[1] * k[1]) / math.sqrt(2)) for k in keys[: i + 1]]
        rows.append([term / sum(terms) for term in terms])
    return rows


def causal_matrix() -> str:
    cell, left, top = 92, 112, 62
    parts = [text(left + 1.5 * cell, 22, "keys: whom it may look at", MUTED, "middle")]
    for i, row in enumerate(_worked_weights()):
        y = top + i * cell
        parts.append(text(left - 12, y + cell / 2 + 5, f"query {i + 1}", at="end"))
        parts.append(text(left + (i + 0.5) * cell, top - 12, f"key {i + 1}", at="middle"))
        for j in range(3):
            x = left + j * cell
            if j < len(row):
                parts += [
                    box(x, y, cell, cell),
                    box(x, y, cell, cell, ACCENT, INK, opacity=0.5 * row[j]),
                ]
                parts.append(
                    text(
                        x + cell / 2,
                        y + cell / 2 + 6,
                        f"{row[j]:.3f}",
                        INK,
                        "middle",
                        18,
                    )
                )
            else:
                parts += [
                    box(x, y, cell, cell, LINE, opacity=0.45),
                    text(x + cell / 2, y + 54, "-∞", MUTED, "middle", 18),
                ]
        parts.append(text(left + 3 * cell + 16, y + cell / 2 + 5, "sum 1", MUTED))
    return drawing(
        top + 3 * cell + 12,
        "Attention weights of the worked example under a causal mask",
        "A three by three matrix. Query 1 gives weight 1 to key 1. Query 2 gives 0.196 and 0.804 to "
        "keys 1 and 2. Query 3 gives 0.248, 0.248 and 0.503 to all three. Cells above the diagonal "
        "are masked with minus infinity before the softmax.",
        parts,
    )


def _vector(
    cx: float, cy: float, angle: float, length: float, name: str, stroke: str, label_at: float
) -> list[str]:
    x, y = cx + length * math.cos(angle), cy - length * math.sin(angle)
    far = length + 20
    tx, ty = cx + far * math.cos(angle + label_at), cy - far * math.sin(angle + label_at)
    return [
        line([(cx, cy), (x, y)], stroke, 3, head=True),
        text(tx, ty + 5, name, stroke, "middle", 16, True),
    ]


def rope_rotation() -> str:
    unit, parts = 66.0, []
    for cx, m, n in ((132.0, 3, 1), (388.0, 7, 5)):
        cy, q, k = 158.0, 0.5 * m, math.pi / 4 + 0.5 * n
        dot = math.sqrt(2) * math.cos(q - k)
        for radius in (unit, unit * math.sqrt(2)):
            parts.append(circle(cx, cy, radius, stroke=LINE, dash=True))
        parts += [
            line([(cx - 106, cy), (cx + 106, cy)], LINE, 1),
            line([(cx, cy - 106), (cx, cy + 106)], LINE, 1),
            line([(cx, cy), (cx + unit, cy)], LINE, 3),
            line([(cx, cy), (cx + unit, cy - unit)], LINE, 3),
            *_vector(cx, cy, q, unit, "q", ACCENT, 0.3),
            *_vector(cx, cy, k, unit * math.sqrt(2), "k", INK, -0.05),
            text(cx, 26, f"q at {m}, k at {n}", at="middle", bold=True),
            text(cx, 288, f"turned by {0.5 * m:g} and {0.5 * n:g}", MUTED, "middle"),
            text(cx, 310, f"q · k = {dot:.3f}", at="middle"),
        ]
    parts.append(text(260, 338, "grey: before rotation, 0.5 radians per position", MUTED, "middle", 14))
    return drawing(
        350,
        "RoPE: the same distance gives the same product",
        "Two circles. Left, q at position 3 and k at position 1 are turned by 1.5 and 0.5 radians. "
        "Right, q at position 7 and k at position 5 are turned by 3.5 and 2.5 radians. The angle "
        "between them is the same and both products are 1.382.",
        parts,
    )


def cache_comparison() -> str:
    layers, heads, size, latent, rotary = 60, 128, 128, 512, 64
    rows = [
        ("MHA, 128 KV heads", 2 * heads * size),
        ("GQA, 8 KV heads", 2 * 8 * size),
        ("MLA, 512 + 64", latent + rotary),
        ("MQA, 1 KV head", 2 * size),
    ]
    parts = [text(12, 24, "cache per token, 60 layers, 16 bits", MUTED)]
    for i, (name, values) in enumerate(rows):
        y, kib = 44 + i * 62, values * layers * 2 / 1024
        length = 496 * values / rows[0][1]
        parts += [
            text(12, y + 14, name),
            text(
                508,
                y + 14,
                f"{kib:,.4g} KiB  (1/{rows[0][1] / values:.3g})" if i else f"{kib:,.0f} KiB",
                MUTED,
                "end",
            ),
            box(12, y + 22, length, 20, ACCENT if "MLA" in name else INK, "none"),
        ]
    return drawing(
        296,
        "KV cache per token for the shape of DeepSeek-V2, to scale",
        "Bars to scale: multi-head attention 3,840 KiB per token, grouped-query attention with 8 KV "
        "heads 240 KiB, latent attention 67.5 KiB, multi-query attention 30 KiB.",
        parts,
    )


def prefill_decode() -> str:
    prompt, steps, cell = 6, 5, 17
    base, start = 268, 132
    parts = [
        text(12, 60, "rows"),
        text(12, 78, "computed"),
        text(12, base - 40, "rows held"),
        text(12, base - 22, "in the cache"),
        text(start + 44, 20, "prefill", ACCENT, "middle", 16, True),
        text(start + 110 + steps * 31, 20, "decode", ACCENT, "middle", 16, True),
        line([(start - 8, 128), (512, 128)], LINE, 1),
        line([(start - 8, base), (512, base)], MUTED, 1.5, head=True),
        text(12, base + 20, "rows by then", MUTED, size=14),
    ]
    for step in range(steps + 1):
        x = start + 10 if step == 0 else start + 58 + step * 56
        width = 68 if step == 0 else 22
        for row in range(prompt if step == 0 else 1):
            parts.append(box(x, 110 - row * 15, width, 13, ACCENT, opacity=0.85))
        for row in range(prompt + step):
            new = row >= (0 if step == 0 else prompt + step - 1)
            fill, opacity = (ACCENT, 0.85) if new else (LINE, 0.6)
            parts.append(box(x, base - (row + 1) * (cell - 6), width, cell - 6, fill, MUTED, opacity=opacity))
        if step:
            parts.append(text(x + 11, base + 20, str(prompt + step), MUTED, "middle", 14))
    parts.append(text(start + 44, base + 20, f"{prompt} rows", MUTED, "middle", 14))
    return drawing(
        300,
        "Prefill and decode, and the growth of the KV cache",
        "Prefill computes six prompt rows in one pass and stores six rows. Each decode step computes "
        "one row, reads all stored rows and stores one more, so the cache grows from 6 to 11 rows "
        "over five steps.",
        parts,
    )


def tiled_attention() -> str:
    cell, left, top, tiles = 62, 78, 74, 4
    parts = [
        text(left + 2 * cell, 22, "blocks of keys and values", MUTED, "middle"),
        text(18, top + 2 * cell, "blocks of queries", MUTED, "middle", turned=True),
    ]
    for j in range(tiles):
        parts.append(label(left + j * cell + 4, 34, cell - 8, 30, f"K{j + 1} V{j + 1}"))
        parts.append(
            label(
                34, top + j * cell + 14, 36, 34, f"Q{j + 1}", fill=ACCENT if j == 2 else PAPER, opacity=0.25
            )
        )
        for i in range(tiles):
            done, now = i == 2 and j < 2, i == 2 and j == 2
            fill, opacity = (ACCENT, 0.8) if now else (ACCENT, 0.25) if done else (LINE, 0.15)
            parts.append(box(left + j * cell, top + i * cell, cell, cell, fill, LINE, opacity=opacity))
    y = top + 2 * cell
    parts += [
        text(left + 2.5 * cell, y + 36, "tile", PAPER, "middle"),
        line([(left + 8, y + 12), (left + 4 * cell - 6, y + 12)], INK, 1.5, head=True),
        box(352, top - 8, 156, 4 * cell + 16, "none", MUTED, dash=True),
        text(430, top + 14, "on chip, for Q3", at="middle", bold=True),
        label(366, top + 28, 128, 50, "m", "largest so far"),
        label(366, top + 88, 128, 50, "l", "sum of exp"),
        label(366, top + 148, 128, 50, "o", "weighted values"),
        text(430, top + 222, "new m: rescale", MUTED, "middle", 14),
        text(430, top + 240, "l and o", MUTED, "middle", 14),
        line([(left + 3 * cell + 4, y + 34), (348, y + 34)], head=True),
        text(left + 2 * cell, top + 4 * cell + 26, "the 4 by 4 scores are never stored", MUTED, "middle", 14),
    ]
    return drawing(
        364,
        "Tiled attention with online softmax",
        "A grid of four query blocks by four key blocks. For the third query block the tiles are "
        "visited from left to right; only a running maximum m, a running sum and a running output are "
        "kept on chip and rescaled when the maximum grows. The full matrix of scores is never stored.",
        parts,
    )


def moe_routing() -> str:
    choices = {
        1: ((1, 0.7), (2, 0.3)),
        2: ((2, 0.6), (3, 0.4)),
        3: ((2, 0.8), (4, 0.2)),
        4: ((1, 0.5), (3, 0.5)),
    }
    slots: dict[int, list[str]] = {expert: [] for expert in (1, 2, 3, 4)}
    parts = [text(52, 22, "tokens", MUTED, "middle"), text(200, 22, "router: two best", MUTED, "middle")]
    parts.append(text(430, 22, "experts, 2 slots each", MUTED, "middle"))
    for token, chosen in choices.items():
        y = 62 + (token - 1) * 72
        parts.append(label(14, y - 18, 76, 36, f"token {token}"))
        for order, (expert, weight) in enumerate(chosen):
            fits = len(slots[expert]) < 2
            end = 52 + (expert - 1) * 72 + 11 * (len(slots[expert]) if fits else 1.8)
            parts.append(
                line(
                    [(90, y - 6 + 12 * order), (352, end)],
                    MUTED if fits else ACCENT,
                    1 + 3 * weight,
                    True,
                    not fits,
                )
            )
            slots[expert].append(f"t{token}: {weight}" if fits else "")
    for expert, held in slots.items():
        y = 62 + (expert - 1) * 72
        parts.append(box(358, y - 30, 152, 60))
        parts.append(text(366, y + 5, f"E{expert}", bold=True))
        for slot in range(2):
            name = held[slot] if slot < len(held) else ""
            parts.append(
                box(
                    400,
                    y - 24 + 25 * slot,
                    102,
                    22,
                    ACCENT if name else PAPER,
                    LINE,
                    opacity=0.2 if name else 1,
                )
            )
            parts.append(text(451, y - 8 + 25 * slot, name or "free", INK if name else MUTED, "middle", 14))
    parts += [
        line([(16, 350), (56, 350)], ACCENT, 3, dash=True),
        text(66, 355, "dropped: expert 2 is full, token 3 keeps only E4 and its residual", MUTED, size=14),
    ]
    return drawing(
        370,
        "Mixture of experts: top-2 routing with capacity",
        "Four tokens choose two of four experts each, with weights. Experts have two slots. Expert 2 "
        "is chosen three times, so the choice of token 3 is dropped, while expert 4 has a free slot.",
        parts,
    )


def attention_windows() -> str:
    """Who sees whom among eight positions: causal, a window of three, the window and two sinks."""
    tokens, window, sinks, cell, top = 8, 3, 2, 18, 62
    parts = []
    for column, (name, wide, kept) in enumerate(
        (("causal", tokens, 0), (f"window of {window}", window, 0), (f"window, {sinks} sinks", window, sinks))
    ):
        left = 10 + column * 178
        parts += [
            text(left + tokens * cell / 2, 22, name, INK, "middle", 16, True),
            text(left + tokens * cell / 2, 48, "keys", MUTED, "middle", 14),
        ]
        for query in range(tokens):
            for key in range(tokens):
                near, sink = query - wide < key <= query, key < kept and key <= query
                fill = ACCENT if near or sink else LINE
                opacity = 0.25 if near and not sink else 0.7 if sink else 0.12
                x, y = left + key * cell, top + query * cell
                parts.append(box(x, y, cell, cell, fill, LINE, opacity=opacity))
        last = top + (tokens - 1) * cell
        parts.append(box(left - 2, last - 2, tokens * cell + 4, cell + 4, "none", INK))
        held = min(tokens, wide + kept)
        parts.append(text(left + tokens * cell / 2, last + 46, f"{held} of {tokens} held", MUTED, "middle"))
    parts.append(
        text(260, top + tokens * cell + 62, "one row a query; framed: the newest", MUTED, "middle", 14)
    )
    return drawing(
        top + tokens * cell + 74,
        "Causal mask, sliding window, and window with sinks",
        "Three grids of eight queries by eight keys. Causal: the lower triangle. Window of three: a band of "
        "three along the diagonal, so the last query sees keys 6 to 8. Window and two sinks: the band, "
        "and the first two keys for every query.",
        parts,
    )


def latent_forms() -> str:
    heads, plain, turning, value, rank = 128, 128, 64, 128, 512
    parts = [line([(260, 16), (260, 420)], LINE, 1)]
    for left, title, when, out in (
        (10, "unfolded", "for prefill", "mean of values"),
        (270, "absorbed", "for decode", f"mean latent, {rank} to {value}"),
    ):
        parts += [
            text(left + 120, 26, title, ACCENT, "middle", 17, True),
            text(left + 120, 46, when, MUTED, "middle", 14),
            label(left + 10, 64, 220, 34, out),
            line([(left + 120, 132), (left + 120, 102)], head=True),
            label(left + 10, 360, 110, 50, "latent", f"{rank}, cached", fill=ACCENT, opacity=0.15),
            label(left + 130, 360, 100, 50, "rotary key", f"{turning}, cached", fill=ACCENT, opacity=0.15),
        ]
    parts += [
        line([(75, 360), (75, 322)], head=True),
        label(20, 274, 110, 44, "unfold", f"for {heads} heads"),
        line([(75, 274), (75, 254)], head=True),
        line([(190, 360), (190, 254)], head=True),
        label(20, 204, 220, 46, f"{heads} keys and values", f"{plain} + {turning} and {value} wide"),
        line([(130, 204), (130, 182)], head=True),
        label(20, 132, 220, 46, "attention", f"{plain + turning + value:,} products a head"),
        text(130, 436, "unfolds every key it reads", MUTED, "middle", 14),
        line([(325, 360), (325, 182)], head=True),
        line([(470, 360), (470, 182)], head=True),
        label(280, 132, 220, 46, "attention", f"{2 * rank + turning:,} products a head"),
        label(346, 274, 104, 44, "query", f"{plain} to {rank}"),
        line([(398, 274), (398, 182)], head=True),
        text(390, 436, "reads the cache as it is", MUTED, "middle", 14),
    ]
    return drawing(
        448,
        "The two forms of latent attention",
        "Left, unfolded: the cached latent of 512 is multiplied out to keys and values for 128 heads, which "
        "together with the shared rotary key of 64 go into ordinary attention: 320 products per head and "
        "cached token. Right, absorbed: the query is multiplied instead, from 128 to 512, attention runs on "
        "latent and rotary key themselves, 1,088 products per head and cached token, and only the mean "
        "latent is multiplied out, from 512 to 128.",
        parts,
    )


def sort_and_scatter() -> str:
    """The chapter's worked example: four tokens, two of three experts each."""
    chosen = ((2, 0), (0, 1), (2, 1), (0, 2))
    shade = (0.06, 0.22, 0.42)
    flat = [expert for pair in chosen for expert in pair]
    order = sorted(range(len(flat)), key=lambda a: flat[a])
    left, width, tall = 18, 61, 34
    given, ordered, experts, added = 36, 172, 212, 348
    parts = []
    for place, a in enumerate(order):
        x, start = left + place * width, left + a * width
        centre, token = x + 28, left + (a // 2) * 2 * width + 59
        dark = shade[flat[a]]
        parts += [
            label(start, given, width - 4, tall, f"t{a // 2}", fill=ACCENT, opacity=dark),
            line([(start + 28, given + tall + 2), (centre, ordered - 3)], MUTED, 1.2),
            label(x, ordered, width - 4, tall, f"t{a // 2}", fill=ACCENT, opacity=dark),
            line([(centre, experts + tall + 2), (token, added - 3)], MUTED, 1.2),
        ]
    for expert, opacity in enumerate(shade):
        count, first = flat.count(expert), [flat[a] for a in order].index(expert)
        x = left + first * width
        parts.append(
            label(
                x,
                experts,
                count * width - 4,
                tall,
                f"expert {expert}",
                fill=ACCENT,
                opacity=opacity,
            )
        )
    parts += [
        label(left + token * 2 * width, added, 2 * width - 4, tall, f"token {token}") for token in range(4)
    ]
    for y, words, wide in (
        (given - 18, "assignments, in the order of tokens", 0),
        (ordered - 42, "sort by expert", 104),
        (added - 42, "weigh, and add up by token", 216),
    ):
        parts += [box(left - 4, y - 16, wide, 24, PAPER, "none"), text(left, y, words, MUTED)]
    return drawing(
        392,
        "Sort by expert, run each once, scatter back",
        "Eight assignments of four tokens, two each, in the order of tokens. Sorted, the three of expert 0 "
        "stand together, then the two of expert 1, then the three of expert 2. Each expert runs once on its "
        "piece, and the results are added back to the four tokens.",
        parts,
    )


def attention_share() -> str:
    """Share of a token's FLOPs that attention's products take, 4LHDS against 2 per multiplying weight."""
    models = (
        ("SmolLM2-135M", 4 * 30 * 576, 134_479_872, ACCENT),
        ("Llama 3 8B", 4 * 32 * 4096, 7_504_658_432, INK),
    )
    left, right, top, bottom, low, high = 62.0, 500.0, 40.0, 262.0, 256, 131_072

    def place(tokens: float, share: float) -> tuple[float, float]:
        across = math.log(tokens / low) / math.log(high / low)
        return left + (right - left) * across, bottom - (bottom - top) * share

    parts = [text(12, 22, "attention's share of a token's FLOPs", MUTED)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = place(low, share)[1]
        parts += [
            line([(left, y), (right, y)], LINE, 1),
            text(left - 8, y + 5, f"{share:.0%}", MUTED, "end", 14),
        ]
    for tokens, name in ((256, "256"), (1024, "1k"), (4096, "4k"), (16_384, "16k"), (131_072, "128k")):
        parts.append(text(place(tokens, 0)[0], bottom + 22, name, MUTED, "middle", 14))
    parts.append(
        text((left + right) / 2, bottom + 46, "tokens of context (logarithmic)", MUTED, "middle", 14)
    )
    for name, per_token, weights, colour in models:
        curve = [low * 2 ** (i / 4) for i in range(37)]
        parts.append(
            line([place(s, per_token * s / (per_token * s + 2 * weights)) for s in curve], colour, 3)
        )
        x, y = place(2 * weights / per_token, 0.5)
        parts.append(circle(x, y, 5, colour, colour))
        left_side = colour == ACCENT
        parts.append(
            text(
                x - 12 if left_side else x + 12,
                y + (-8 if left_side else 22),
                name,
                colour,
                "end" if left_side else "start",
                15,
                True,
            )
        )
    return drawing(
        320,
        "Share of FLOPs spent in attention's own products, by context",
        "Two curves over context length from 256 to 131,072 tokens. SmolLM2-135M reaches one half at "
        "about 3,900 tokens, Llama 3 8B at about 28,600.",
        parts,
    )
