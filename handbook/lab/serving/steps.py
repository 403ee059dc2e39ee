"""Single steps, timed: many sequences beside one, drafts beside none, pages moved beside pages computed.

Steps go straight to the executor, over a cache that is filled at random: what a step costs does not hang on
what it reads.
"""

from collections.abc import Callable, Sequence

import torch

from handbook.engine.executor import TorchExecutor
from handbook.engine.fast import pick
from handbook.engine.kernels.pack import Precision
from handbook.engine.store import PageStore
from handbook.engine.work import Batch, Move, Work
from handbook.lab import kit
from handbook.lab.serving.machine import subject
from handbook.model.load import Loaded

PAGE = 16
Run = Callable[[], object]
INT8: Precision = "int8"


class Bench:
    """A model over pages with room for `sequences` of `room` positions, in memory of its own.

    precision: of compiled kernels, where there are some; then the pages are bf16.
    """

    def __init__(
        self,
        loaded: Loaded,
        sequences: int,
        room: int,
        swap: int = 0,
        precision: Precision | None = None,
    ) -> None:
        self.each = -(-room // PAGE)
        dtype = torch.bfloat16 if precision else loaded.model.dtype
        store = PageStore(loaded.config, sequences * self.each, PAGE, swap, dtype)
        for block in (store.keys, store.values):
            block.normal_()
        self.store = store
        self.executor, self.label = pick(loaded.model, store, precision)
        self.run = self.executor.run

    def pages(self, sequence: int) -> range:
        return range(sequence * self.each, (sequence + 1) * self.each)

    def work(self, sequence: int, start: int, count: int, drafts: int = 0) -> Work:
        tokens = tuple(n % 50 for n in range(count))
        return Work(sequence, start, tokens, self.pages(sequence), drafts, drafts + 1)

    def decode(self, sequences: int, context: int, drafts: int = 0) -> Run:
        """A step that reads one token and `drafts` more of each of so many sequences, each after `context`
        positions."""
        batch = Batch(tuple(self.work(n, context, drafts + 1, drafts) for n in range(sequences)))
        return lambda: self.run(batch)

    def prefill(self, length: int, pieces: int = 1) -> Run:
        """A prompt, read in so many steps."""
        size = -(-length // pieces)
        starts = range(0, length, size)
        batches = [Batch((self.work(0, start, min(size, length - start)),)) for start in starts]
        return lambda: [self.run(batch) for batch in batches]

    def round_trip(self, length: int) -> Run:
        """A sequence's pages, moved to the other memory and back."""
        here = tuple(self.pages(0)[: -(-length // PAGE)])
        there = tuple(range(len(here)))
        out, back = Batch((), out=(Move(here, there),)), Batch((), back=(Move(there, here),))
        return lambda: (self.run(out), self.run(back))


def pairs(small: bool, full: int) -> int:
    """Pairs of timings: steps of the random model are so short that a busy machine hits one in a few."""
    return 41 if small else full


def gains(sequences: int, small: bool) -> list[float]:
    """Tokens per second of `sequences` over those of one, after 128 positions each."""
    bench = Bench(subject(small), sequences, 144)
    ratios = kit.paired(bench.decode(sequences, 128), bench.decode(1, 128), pairs(small, 25))
    return [sequences / ratio for ratio in ratios]


def batch_gain_8(small: bool = True) -> list[float]:
    return gains(8, small)


def batch_gain_32(small: bool = True) -> list[float]:
    return gains(32, small)


def verifying(sequences: int, small: bool) -> list[float]:
    """Seconds of a step with 8 drafts for each of `sequences` over one without, after 256 positions each."""
    bench = Bench(subject(small), sequences, 272)
    plain, ahead = bench.decode(sequences, 256), bench.decode(sequences, 256, drafts=8)
    return kit.paired(ahead, plain, pairs(small, 25 if sequences == 1 else 9))


def verify_8_cost(small: bool = True) -> list[float]:
    return verifying(1, small)


def verify_8_cost_16(small: bool = True) -> list[float]:
    return verifying(16, small)


def swap_over_recompute(small: bool = True) -> list[float]:
    bench = Bench(subject(small), 1, 512, swap=512 // PAGE)
    ratios = kit.paired(bench.prefill(512), bench.round_trip(512), 11 if small else 7)
    return [1 / ratio for ratio in ratios]


def gather_share(small: bool = True) -> list[float]:
    """Of a step of 32 sequences after 256 positions: copying their keys and values together in every layer,
    from pages in no order, as the executor in torch does."""
    loaded = subject(small)
    bench = Bench(loaded, 32, 257)
    pages = torch.randperm(32 * bench.each).view(32, bench.each)
    slots = (pages[:, :, None] * PAGE + torch.arange(PAGE)).flatten(1)[:, :257]
    blocks = [block for pair in zip(bench.store.keys, bench.store.values, strict=True) for block in pair]

    def gather() -> None:
        for block in blocks:
            block[slots]

    ratios = kit.paired(bench.decode(32, 256), gather, 11 if small else 9)
    return [1 / ratio for ratio in ratios]


def roofs(sequences: Sequence[int], context: int, small: bool) -> dict[str, list[tuple[int, float]]]:
    """Tokens per second of decoding at each number of sequences, the best of three steps: on torch, and in
    int8 by whatever this machine has for it, if anything. For the lab's plot."""
    loaded = subject(small)
    found: dict[str, list[tuple[int, float]]] = {}
    for precision in (None, INT8):
        bench = Bench(loaded, max(sequences), context + PAGE, precision=precision)
        if precision and isinstance(bench.executor, TorchExecutor):
            break
        with kit.quiet():
            found[bench.label] = [(n, n / _best(bench.decode(n, context))) for n in sequences]
    return found


def _best(step: Run) -> float:
    step()
    return min(kit.seconds(step) for _ in range(3))
