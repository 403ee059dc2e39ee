"""What is asked for: batches, and a stream of mixed lengths; the same for every side, from one seed."""

import random
from collections.abc import Sequence
from dataclasses import replace

from talk import Ask

SEED = 20
PROMPTS = (32, 1024)  # tokens, least and most of a stream
ANSWERS = (16, 256)
PREFIX = 512  # tokens that the prompts of a stream share


class Prompts:
    """Stretches of a text, as ids; those of another `draw` begin elsewhere, so that nothing is found in a
    cache by accident."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens, self.random = tokens, random.Random(SEED)

    def stretch(self, length: int) -> list[int]:
        twice = [*self.tokens, *self.tokens] if length > len(self.tokens) // 2 else self.tokens
        begin = self.random.randrange(len(twice) - length)
        return list(twice[begin : begin + length])

    def batch(self, count: int, prompt: int, tokens: int) -> list[Ask]:
        """All at once, all of one length."""
        return [Ask(0.0, self.stretch(prompt), tokens) for _ in range(count)]

    def copying(self, prompt: int, tokens: int) -> list[Ask]:
        """One request whose prompt says the same three times and stops on the way: the answer goes on."""
        part = self.stretch(prompt * 2 // 5)
        return [Ask(0.0, (part * 3)[:prompt], tokens)]

    def stream(self, count: int, prefix: bool, most: int = PROMPTS[1]) -> list[Ask]:
        """Long-tailed lengths, all at once. most: tokens of a prompt, without the shared beginning."""
        start = self.stretch(PREFIX) if prefix else []
        return [
            Ask(0.0, start + self.stretch(min(most, self._length(*PROMPTS))), self._length(*ANSWERS))
            for _ in range(count)
        ]

    def _length(self, least: int, most: int) -> int:
        """Log-normal: the median at four times the least, cut off at both ends."""
        return round(min(most, max(least, self.random.lognormvariate(0.0, 0.9) * 4 * least)))


def arriving(asks: Sequence[Ask], rate: float) -> list[Ask]:
    """The same requests as a Poisson process: `rate` a second on average."""
    draw, now, found = random.Random(SEED + 1), 0.0, []
    for ask in asks:
        now += draw.expovariate(rate)
        found.append(replace(ask, at=now))
    return found
