"""Speculative decoding: guess several tokens cheaply, let the model read them all in one step, keep the ones
it would have said itself.

Leviathan et al. 2022 (arXiv:2211.17192), Chen et al. 2023 (arXiv:2302.01318). A step that reads k + 1 tokens
costs hardly more than one that reads a single token while weights, not arithmetic, set its time.

Two ways to decide, both exact. `accept_by_rejection` is the papers': accept a draft x with probability
min(1, p(x)/q(x)), else draw from what is left over. `accept_same_draw` draws what the model would say anyway,
with that place's own random number, and keeps a draft while it is the same token. For drafts without
probabilities (q puts all on one token) both accept equally often, and the second gives, token for token, the
text that comes without speculation.

Axes: k drafts, V vocabulary.

Book: inference-ops/llm-serving-optimization
"""

from collections import deque
from collections.abc import Sequence
from statistics import median

from torch import Tensor

from handbook.engine.sampler import draw


def leftover(p: Tensor, q: Tensor) -> Tensor:
    """max(0, p - q), as probabilities: what p says more often than q did. p, q [V] -> [V].

    Leviathan et al. 2022, section 2.3.
    """
    rest = (p - q).clamp(min=0)
    total = rest.sum()
    return rest / total if total > 0 else p  # p = q: nothing is left over, and nothing is rejected


def accept_by_rejection(drafts: Sequence[int], q: Tensor, p: Tensor, uniforms: Sequence[float]) -> list[int]:
    """The accepted drafts and one token more: drafts, k ids drawn from q [k, V]; p [k + 1, V] the model's
    probabilities at each of them and behind; uniforms, two numbers in [0, 1) for each of k + 1 places.

    Whatever q is, the tokens are distributed as if they were drawn from p one by one. Leviathan et al. 2022,
    algorithm 1.
    """
    for place, token in enumerate(drafts):
        if uniforms[2 * place] * float(q[place, token]) >= float(p[place, token]):
            return [*drafts[:place], draw(leftover(p[place], q[place]), uniforms[2 * place + 1])]
    return [*drafts, draw(p[len(drafts)], uniforms[2 * len(drafts) + 1])]


def accept_same_draw(drafts: Sequence[int], drawn: Sequence[int]) -> list[int]:
    """The accepted drafts and one token more: drawn, what the model says at each of k + 1 places, given that
    the drafts before it are right; fewer where the text ends."""
    for place, (token, said) in enumerate(zip(drafts, drawn, strict=False)):
        if token != said:
            return list(drawn[: place + 1])
    return list(drawn)


def expected_tokens(acceptance: float, drafts: int) -> float:
    """Tokens that one step brings when each draft is right with probability `acceptance`, given those before
    it: (1 - a^(k+1)) / (1 - a). Leviathan et al. 2022, equation 1."""
    if acceptance >= 1:
        return drafts + 1.0
    return float((1 - acceptance ** (drafts + 1)) / (1 - acceptance))


def best_length(acceptance: float, cost: float, most: int) -> int:
    """How many drafts bring the most tokens for their time: argmax of `expected_tokens` over 1 + cost * k.

    cost: time of one draft, guessing and reading it, as a share of a step without any. The quotient has one
    peak: the first draft that doesn't raise it is one too many.
    """
    length, tokens, gain = 0, 1.0, acceptance
    while length < most and gain * (1 + cost * length) > cost * tokens:
        length, tokens, gain = length + 1, tokens + gain, gain * acceptance
    return length


class DraftLength:
    """How many tokens to guess next, by how many guesses were right lately and by what a draft costs.

    Starts hopeful and looks again after a pause, twice as long each time in vain: who stops guessing never
    learns that the text has changed. cost: see `best_length`; whoever measures it sets it.
    """

    def __init__(self, most: int, cost: float = 0.05, memory: float = 0.9, pause: int = 16) -> None:
        self.most, self.cost, self.memory, self.pause = most, cost, memory, pause
        self.acceptance = 0.7
        self._silent, self._wait = 0, pause

    @property
    def next(self) -> int:
        """Drafts to make now; 0 while they don't pay."""
        length = best_length(self.acceptance, self.cost, self.most)
        return length or int(self._silent >= self._wait and self.most > 0)

    def skipped(self) -> None:
        """A step went by without drafts."""
        self._silent += 1

    def saw(self, drafted: int, accepted: int) -> None:
        """So many of the drafts were right; the first wrong one ends what is known."""
        vain = self._silent >= self._wait and (accepted == 0 or self.cost >= 1)
        self._wait = min(2 * self._wait, 16 * self.pause) if vain else self.pause
        self._silent = 0
        for right in [True] * accepted + [False] * (accepted < drafted):
            self.acceptance = self.memory * self.acceptance + (1 - self.memory) * right


class Pace:
    """What a draft costs, as a share of its sequence's part of a step: learned from steps as they pass.

    A step of n sequences with x drafts each takes about a + b x; making a draft takes g. A sequence's part of
    the step is a / n, so a draft costs (b + g n) / a of it: little while weights set the time of a step, and
    much when many sequences do (Liu et al. 2024, arXiv:2406.14066, section 3, weighs the same two). a and b
    are the line of least squares through past steps, later ones counting more, drawn towards b = `usual` * a
    as by some steps that were not seen; g is a median.
    """

    def __init__(self, usual: float = 0.05, memory: float = 0.97) -> None:
        self.usual, self.memory = usual, memory
        self._sums: dict[int, list[float]] = {}  # of weights, x, x^2, t and x t; by the size of n
        self._making: deque[float] = deque(maxlen=15)

    def stepped(self, sequences: int, drafts: int, seconds: float) -> None:
        """A step of nothing but decodes took so long."""
        x = drafts / sequences
        sums = self._sums.setdefault(sequences.bit_length(), [0.0] * 5)
        if sums[0] > 3:  # an interruption is not the step's own time
            a, b = self._line(sums)
            seconds = min(seconds, 3 * (a + b * x))
        for n, value in enumerate((1.0, x, x * x, seconds, x * seconds)):
            sums[n] = self.memory * sums[n] + value

    def made(self, drafts: int, seconds: float) -> None:
        """Making so many drafts took so long."""
        self._making.append(seconds / drafts)

    def cost(self, sequences: int) -> float:
        """Of one draft when so many sequences decode; see `best_length`."""
        sums = self._sums.get(sequences.bit_length())
        if sums is None:
            return self.usual
        a, b = self._line(sums)
        making = median(self._making) * sequences if self._making else 0.0
        return (max(b, 0.0) + making) / a if a > 0 else self.usual

    def _line(self, sums: Sequence[float]) -> tuple[float, float]:
        """a and b: minimum of the weighted squares, and of UNSEEN * (b - usual * a)^2."""
        w, x, xx, t, xt = sums
        p, q, r = w + UNSEEN * self.usual**2, x - UNSEEN * self.usual, xx + UNSEEN
        over = p * r - q * q
        return (t * r - xt * q) / over, (p * xt - q * t) / over


UNSEEN = 1.0
"""Weight of the usual cost, in steps whose drafts differ by one."""


class PromptLookup:
    """Guesses that the text goes on as it did the last time its last few tokens stood in it.

    No model at all: right where answers copy from their prompt, as in editing, summaries and code. The idea
    is known as prompt lookup or n-gram drafting (Yang et al. 2023, LLMA, arXiv:2304.04487, section 3).
    """

    def __init__(self, longest: int = 3, shortest: int = 2) -> None:
        if not 1 <= shortest <= longest:
            raise ValueError(f"expected 1 <= shortest <= longest, got {shortest} and {longest}")
        self.longest, self.shortest = longest, shortest
        self._after: dict[tuple[int, ...], int] = {}  # last tokens -> where their continuation begins
        self._read = 0

    def guess(self, tokens: Sequence[int], most: int) -> list[int]:
        """Up to `most` tokens that may come after `tokens`, which only ever grows; the longest match wins."""
        for end in range(max(self._read, 1), len(tokens)):
            for size in range(self.shortest, min(self.longest, end) + 1):
                self._after[tuple(tokens[end - size : end])] = end
        self._read = len(tokens)
        for size in range(min(self.longest, len(tokens)), self.shortest - 1, -1):
            start = self._after.get(tuple(tokens[len(tokens) - size :]))
            if start is not None:
                return list(tokens[start : start + most])
        return []
