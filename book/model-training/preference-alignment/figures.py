"""Draws the figures of the chapter: one public function a figure, SVG out, its numbers computed here."""

import math
from collections.abc import Callable, Sequence

from handbook.book.pen import ACCENT, INK, LINE, MUTED, PAPER, box, circle, drawing, line, text

EPSILON = 0.2
REFERENCE, REWARDS, BETA = (0.5, 0.3, 0.2), (0.0, 1.0, -1.0), 0.5
# `handbook bench alignment --method hacking --seed 0 --beta 0`: round, the checker's reward, what is right
RUN = (
    (0, 0.066, 0.020),
    (8, 0.172, 0.074),
    (16, 0.344, 0.164),
    (24, 0.586, 0.359),
    (32, 0.711, 0.395),
    (40, 0.762, 0.402),
    (48, 0.809, 0.309),
    (56, 0.832, 0.078),
    (64, 0.875, 0.055),
    (72, 0.840, 0.047),
)


class _Axes:
    """A frame with its two scales."""

    def __init__(
        self,
        left: float,
        right: float,
        top: float,
        base: float,
        x: tuple[float, float],
        y: tuple[float, float],
    ) -> None:
        self.left, self.right, self.top, self.base = left, right, top, base
        self.low, self.high, self.floor, self.roof = *x, *y

    def at(self, x: float, y: float) -> tuple[float, float]:
        return (
            self.left + (self.right - self.left) * (x - self.low) / (self.high - self.low),
            self.base - (self.base - self.top) * (y - self.floor) / (self.roof - self.floor),
        )

    def frame(self, xs: Sequence[float], ys: Sequence[float], x_name: str, y_name: str) -> list[str]:
        parts = [
            line([(self.left, self.top), (self.left, self.base), (self.right, self.base)], MUTED),
            text(self.left - 40, self.top - 16, y_name, MUTED, size=14),
            text(self.right, self.base + 40, x_name, MUTED, "end", 14),
        ]
        for x in xs:
            parts.append(text(self.at(x, self.floor)[0], self.base + 20, _number(x), MUTED, "middle", 14))
        for y in ys:
            parts.append(text(self.left - 8, self.at(self.low, y)[1] + 5, _number(y), MUTED, "end", 14))
        return parts

    def curve(
        self,
        f: Callable[[float], float],
        stroke: str,
        width: float = 2.5,
        dash: bool = False,
        steps: int = 120,
    ) -> str:
        xs = [self.low + (self.high - self.low) * n / steps for n in range(steps + 1)]
        points = [(x, f(x)) for x in xs]
        return line(
            [self.at(*p) for p in points if self.floor <= p[1] <= self.roof], stroke, width, dash=dash
        )


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "\u2212")


def four_ways() -> str:
    columns = ("PPO", "GRPO", "DPO", "ORPO")
    rows = (
        ("policy", ("trains",) * 4),
        ("value model", ("trains", "", "", "")),
        ("reward", ("frozen", "or a check", "", "")),
        ("reference", ("frozen", "frozen", "frozen", "")),
        ("draws answers", ("yes", "in groups", "", "")),
        ("pairs used for", ("the reward", "the reward", "the policy", "the policy")),
    )
    left, wide, top, high = 128, 98, 52, 44
    parts = []
    for column, name in enumerate(columns):
        parts.append(text(left + (column + 0.5) * wide, 34, name, INK, "middle", 16, bold=True))
    for row, (name, cells) in enumerate(rows):
        y = top + row * high
        parts.append(text(left - 10, y + 24, name, INK, "end", 14))
        for column, cell in enumerate(cells):
            x = left + column * wide
            fill = ACCENT if cell == "trains" else LINE
            shade = 0.4 if cell == "trains" else 0.45 if cell and row < 4 else 0.0
            stroke = INK if cell and row < 4 else LINE
            parts.append(box(x + 3, y, wide - 6, high - 8, fill, stroke, not cell, shade))
            if cell:
                parts.append(text(x + wide / 2, y + 23, cell, INK, "middle", 14))
    below = top + len(rows) * high + 16
    parts.append(text(12, below, "shaded: trains; grey: held and frozen; dashed: left out", MUTED, size=14))
    return drawing(
        below + 14,
        "What four methods hold",
        "A table. PPO trains a policy and a value model beside a frozen reward model and a frozen reference, "
        "and draws answers. GRPO has no value model, and where code checks answers no reward model; it draws "
        "groups. DPO has the policy and a frozen reference and draws nothing. ORPO has only the policy.",
        parts,
    )


def ppo_clip() -> str:
    def gain(ratio: float, advantage: float) -> float:
        return min(ratio * advantage, min(max(ratio, 1 - EPSILON), 1 + EPSILON) * advantage)

    parts = []
    for start, advantage, name in ((0, 1.0, "A > 0: a good token"), (264, -1.0, "A < 0: a bad token")):
        floor, roof = (0.0, 2.0) if advantage > 0 else (-2.0, 0.0)
        axes = _Axes(start + 46, start + 246, 60, 240, (0, 2), (floor, roof))
        parts += axes.frame((0, 0.8, 1.2, 2), (floor, roof), "ratio", "gain")
        parts.append(text(start + 246, 44, name, INK, "end", 14, bold=True))
        for edge in (1 - EPSILON, 1 + EPSILON):
            parts.append(line([axes.at(edge, floor), axes.at(edge, roof)], LINE, 1, dash=True))
        parts.append(axes.curve(lambda r, a=advantage: r * a, MUTED, 1.5, True))  # type: ignore[misc]
        parts.append(axes.curve(lambda r, a=advantage: gain(r, a), ACCENT, 3))  # type: ignore[misc]
        stopped = (1.6, gain(1.6, 1.0)) if advantage > 0 else (0.4, gain(0.4, -1.0))
        x, y = axes.at(*stopped)
        above = 22
        parts.append(text(x, y + above, "no gradient", INK, "middle", 14))
    parts.append(text(46, 304, "solid: the clipped gain; dashed: ratio times advantage", MUTED, size=14))
    return drawing(
        318,
        "The clipped gain by the ratio",
        "Two panels with epsilon 0.2. For a positive advantage the gain rises with the ratio up to 1.2 and "
        "is flat beyond. For a negative one it is flat below 0.8 and falls without a limit above. Dashed the "
        "unclipped line.",
        parts,
    )


def kl_estimators() -> str:
    axes = _Axes(60, 400, 50, 270, (-2, 2), (-2, 4))
    parts = axes.frame(
        (-2, -1, 0, 1, 2), (-2, 0, 2, 4), "d = log policy \u2212 log reference", "estimate, nats"
    )
    parts.append(line([axes.at(-2, 0), axes.at(2, 0)], LINE, 1))
    parts.append(line([axes.at(0, -2), axes.at(0, 4)], LINE, 1, dash=True))
    parts.append(axes.curve(lambda d: d, MUTED, 2))
    parts.append(axes.curve(lambda d: d * d / 2, INK, 2, True))
    parts.append(axes.curve(lambda d: math.expm1(-d) + d, ACCENT, 3))
    for name, value, stroke, lift in (
        ("k1 = d", 2.0, MUTED, -6),
        ("k2 = d\u00b2/2", 2.0, INK, 12),
        ("k3", math.expm1(-2) + 2, ACCENT, 14),
    ):
        parts.append(text(408, axes.at(2, value)[1] + lift, name, stroke, size=14, bold=True))
    for row, words in enumerate(("the reference likes", "the token more")):
        parts.append(text(98, axes.at(-2, 3.4)[1] - 8 + 18 * row, words, MUTED, size=14))
    return drawing(
        326,
        "Three estimators of KL by a token",
        "By d, the policy's log-probability less the reference's, from -2 to 2. k1 is the line d itself, "
        "negative on the left. k2 is a parabola. k3 touches zero at 0, rises steeply on the left to 4.39 "
        "and slowly on the right to 1.14.",
        parts,
    )


def grpo_group() -> str:
    parts = []
    panels = ((1, True), (1, False), (4, True), (4, False))
    for number, (right, divided) in enumerate(panels):
        start, top = 12 + 256 * (number % 2), 26 + 180 * (number // 2)
        rewards = [1.0] * right + [0.0] * (8 - right)
        mean = sum(rewards) / 8
        spread = math.sqrt(sum((r - mean) ** 2 for r in rewards) / 7) if divided else 1.0
        advantages = [(r - mean) / spread for r in rewards]
        name = f"{right} of 8 right, {'divided' if divided else 'not divided'}"
        parts.append(text(start, top, name, INK, size=14, bold=True))
        zero, scale = top + 112, 32.0
        parts.append(line([(start, zero), (start + 240, zero)], MUTED))
        for place, advantage in enumerate(advantages):
            tall = abs(advantage) * scale
            x = start + 4 + place * 30
            y = zero - tall if advantage > 0 else zero
            parts.append(box(x, y, 22, tall, ACCENT if advantage > 0 else LINE, INK, opacity=0.5))
        for place in (0, 7):
            advantage = advantages[place]
            y = zero - advantage * scale + (-6 if advantage > 0 else 18)
            said = f"{advantage:.3g}".replace("-", "\u2212")
            parts.append(text(start + 15 + place * 30, y, said, INK, "middle", 14))
    return drawing(
        384,
        "Advantages of a group, with and without the division",
        "Four panels of eight answers. One right of eight: 2.47 and -0.354 divided by the deviation, "
        "0.875 and -0.125 without. Four right of eight: 0.935 and -0.935 divided, 0.5 and -0.5 without.",
        parts,
    )


def hacking() -> str:
    axes = _Axes(60, 380, 50, 270, (0, 72), (0, 1))
    parts = axes.frame((0, 24, 48, 72), (0, 0.5, 1), "rounds", "share of held-out sums, at temperature 1")
    for column, stroke in ((1, ACCENT), (2, INK)):
        points = [axes.at(row[0], row[column]) for row in RUN]
        parts.append(line(points, stroke, 2.5))
        parts += [circle(x, y, 4, stroke, PAPER) for x, y in points]
    last = RUN[-1]
    parts.append(text(390, axes.at(72, last[1])[1], "the checker's", ACCENT, size=14, bold=True))
    parts.append(text(390, axes.at(72, last[1])[1] + 18, f"reward {last[1]:.2f}", ACCENT, size=14))
    parts.append(text(390, axes.at(72, last[2])[1] - 12, "ends, and right", INK, size=14, bold=True))
    parts.append(text(390, axes.at(72, last[2])[1] + 6, f"{last[2]:.2f}", INK, size=14))
    best = max(RUN, key=lambda row: row[2])
    x, y = axes.at(best[0], best[2])
    parts.append(text(x, y - 12, f"best {best[2]:.2f}", INK, "middle", 14))
    told = ", ".join(f"{n}: {reward:.2f} and {truth:.2f}" for n, reward, truth in RUN)
    return drawing(
        326,
        "A checker's reward and the truth over 72 rounds",
        f"Rounds, with the checker's reward and the share that ends and is right: {told}.",
        parts,
    )


def dpo_losses() -> str:
    def pull(margin: float, beta: float) -> float:
        """What a nat of margin takes off the loss."""
        return beta / (1 + math.exp(beta * margin))

    parts = []
    loss = _Axes(56, 244, 56, 240, (-20, 20), (0, 2.5))
    parts += loss.frame((-20, 0, 20), (0, 1, 2), "margin, nats", "loss")
    force = _Axes(330, 508, 56, 240, (-20, 20), (0, 0.5))
    parts += force.frame((-20, 0, 20), (0, 0.25, 0.5), "margin, nats", "pull by a nat")
    for beta, stroke, dash in ((0.1, ACCENT, False), (0.5, INK, True)):
        parts.append(loss.curve(lambda m, b=beta: math.log1p(math.exp(-b * m)), stroke, 2.5, dash))  # type: ignore[misc]
        parts.append(force.curve(lambda m, b=beta: pull(m, b), stroke, 2.5, dash))  # type: ignore[misc]
    start = loss.at(0, math.log(2))
    parts += [circle(*start, 5, PAPER, INK), text(start[0] + 10, start[1] - 8, "start: ln 2", INK, size=14)]
    for row, (name, stroke, dash) in enumerate((("beta 0.1", ACCENT, False), ("beta 0.5", INK, True))):
        x = 56 + 150 * row
        parts.append(line([(x, 306), (x + 34, 306)], stroke, 2.5, dash=dash))
        parts.append(text(x + 42, 311, name, stroke, size=14))
    return drawing(
        326,
        "DPO's loss and its pull by the margin",
        "Left the loss by the margin from -20 to 20 nats: with beta 0.5 steep, nearly zero from 8 nats on; "
        "with beta 0.1 shallow, 0.13 at 20. Both pass ln 2 at 0. Right what one more nat takes off the "
        "loss: with beta 0.5 from nearly 0.5 at the left over 0.25 at 0 to nearly 0; with beta 0.1 from "
        "0.088 over 0.05 to 0.012.",
        parts,
    )


def margin_sides() -> str:
    """Logits that move along features: the chosen answer's is 1, the rejected one's 3, that of all else 0."""

    def moved(margin: float) -> tuple[float, float, float]:
        s = margin / 2
        total = math.log(0.1 * math.exp(-s) + 0.1 * math.exp(-3 * s) + 0.8)
        return -s - total, -3 * s - total, -total

    axes = _Axes(60, 370, 50, 270, (0, 4), (-6, 1))
    parts = axes.frame((0, 1, 2, 3, 4), (-6, -4, -2, 0), "margin, nats", "log policy over reference")
    parts.append(line([axes.at(0, 0), axes.at(4, 0)], LINE, 1))
    for column, stroke, dash in ((0, ACCENT, False), (1, INK, False), (2, MUTED, True)):
        parts.append(axes.curve(lambda m, c=column: moved(m)[c], stroke, 2.5, dash))  # type: ignore[misc]
    chosen, rejected, rest = moved(4)
    for name, value, stroke in (
        (f"all else {rest:+.2f}", rest, MUTED),
        (f"chosen {chosen:+.2f}", chosen, ACCENT),
        (f"rejected {rejected:+.2f}", rejected, INK),
    ):
        said = name.replace("-", "\u2212")
        parts.append(text(380, axes.at(4, value)[1] + 5, said, stroke, size=14, bold=True))
    x, upper = axes.at(3, moved(3)[0])
    lower = axes.at(3, moved(3)[1])[1]
    parts.append(line([(x, upper + 4), (x, lower - 4)], ACCENT, 1.5, head=True))
    parts.append(text(x - 8, (upper + lower) / 2 + 5, "margin", ACCENT, "end", 14))
    return drawing(
        326,
        "Both sides of the margin in a toy with shared features",
        f"By the margin from 0 to 4 nats. The chosen answer's log of policy over reference falls to "
        f"{chosen:.2f}, the rejected one's to {rejected:.2f}; that of everything else, eight tenths of the "
        f"mass at the start, rises to {rest:.2f}.",
        parts,
    )


def equivalence() -> str:
    weights = [p * math.exp(r / BETA) for p, r in zip(REFERENCE, REWARDS, strict=True)]
    optimum = [w / sum(weights) for w in weights]
    shifted = [p * math.exp(s) for p, s in zip(REFERENCE, (-1, 1, 0), strict=True)]
    partial = [w / sum(shifted) for w in shifted]
    groups = (
        ("reference", REFERENCE, LINE, 0.4),
        ("RLHF's optimum,", optimum, ACCENT, 0.3),
        ("DPO, only A with B", partial, ACCENT, 0.65),
    )
    top, base, parts = 40.0, 240.0, []
    for number, (name, values, fill, opacity) in enumerate(groups):
        start = 20 + number * 172
        parts.append(line([(start, base), (start + 144, base)], MUTED))
        for place, value in enumerate(values):
            x, tall = start + 6 + place * 46, (base - top) * value / 0.9
            parts.append(box(x, base - tall, 36, tall, fill, INK, opacity=opacity))
            digits = 2 if value > 0.02 else 3
            parts.append(text(x + 18, base - tall - 6, f"{value:.{digits}f}", INK, "middle", 14))
            parts.append(text(x + 18, base + 18, "ABC"[place], MUTED, "middle", 14))
        parts.append(text(start + 72, base + 42, name, INK, "middle", 14, bold=True))
    parts.append(text(20 + 172 + 72, base + 60, "DPO on all pairs", INK, "middle", 14, bold=True))
    return drawing(
        314,
        "Three answers under four trainings",
        "Probabilities of A, B, C. Reference: 0.5, 0.3, 0.2. RLHF's optimum and DPO with all pairs: 0.18, "
        "0.81, 0.010. DPO with only A and B compared: 0.15, 0.68, 0.17.",
        parts,
    )
