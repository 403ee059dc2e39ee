"""Packing on real lengths: places that padding wastes, what that costs in time, and what a lost mask does.

Documents are the instruction set's conversations in SmolLM2-135M's tokens, 2,048 of them at most, in batches
of eight as a shuffle brings them.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from random import Random

import torch

from handbook.lab import kit
from handbook.lab.tuning.sides import CONFIG, LORA, SMALL, in_turns, random_model, ratios, twin
from handbook.model.load import Loaded
from handbook.model.transformer import Transformer
from handbook.settings import load as load_settings
from handbook.train import sets
from handbook.train.assembly import precision_of
from handbook.train.encoding import encode_conversations
from handbook.train.examples import Example
from handbook.train.formats import read_conversations
from handbook.train.logprobs import row_logprobs
from handbook.train.loop import State, advance, begin
from handbook.train.lora import add_lora
from handbook.train.packing import Packed, bins, pack
from handbook.train.precision import prepare
from handbook.train.sft import Sft, sft_loss

BATCH, LONGEST = 8, 2048


@cache
def examples() -> tuple[Example, ...]:
    """The instruction set, encoded. Raises ModelUnavailable, DataUnavailable."""
    loaded: Loaded = kit.chat_model()
    records = read_conversations(sets.here(sets.INSTRUCTIONS, load_settings()))
    return encode_conversations(loaded, records, LONGEST).examples


def batches(lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Indices of documents as a shuffle brings them, `size` at a time; what is left over is left out."""
    order = list(range(len(lengths)))
    Random(seed).shuffle(order)
    return [order[at : at + size] for at in range(0, len(order) - size + 1, size)]


def padding(lengths: Sequence[int], size: int, seed: int) -> float:
    """Share of the places of padded batches in which there is nothing."""
    rows = [[lengths[index] for index in batch] for batch in batches(lengths, size, seed)]
    return 1 - sum(map(sum, rows)) / sum(len(row) * max(row) for row in rows)


def unfilled(lengths: Sequence[int], budget: int, seed: int) -> float:
    """Share of the places of packed rows, each of `budget` tokens, in which there is nothing."""
    return 1 - sum(lengths) / (budget * len(bins(lengths, budget, seed, epoch=0)))


def packing_waste(small: bool = True) -> list[float]:
    """Padding in batches of eight, for 20 shuffles (small: 5)."""
    lengths = [len(example) for example in examples()]
    return [padding(lengths, BATCH, seed) for seed in range(5 if small else 20)]


def drawn_examples(count: int, seed: int = 0) -> list[Example]:
    """Random tokens in documents spread as the set's are (log-normal), a quarter as long; three of four
    count. For where neither set nor model is there."""
    random = Random(seed)
    found = []
    for _ in range(count):
        length = max(12, min(185, round(random.lognormvariate(3.7, 0.7))))
        tokens = tuple(random.randrange(SMALL.vocab_size) for _ in range(length))
        found.append(Example(tokens, tuple(place >= length // 4 for place in range(length))))
    return found


def padded_row(batch: Sequence[Example]) -> Packed:
    """A padded batch for the same code: each document filled up to the longest with tokens whose targets
    don't count, which stand behind all that do and so change nothing."""
    longest = max(map(len, batch))
    return pack(
        [
            Example(one.tokens + (0,) * (rest := longest - len(one)), one.counted + (False,) * rest)
            for one in batch
        ]
    )


def packing_speed(small: bool = True) -> list[float]:
    """Tokens per second (padding is none) of a LoRA's training steps on a packed row over those on the same
    documents padded, batch by batch.

    Three batches of eight. Full: of the instruction set, through SmolLM2-135M, computed as `handbook train
    sft` would on this machine. Small: drawn documents, a random decoder in fp32. Raises ModelUnavailable,
    DataUnavailable.
    """
    state, found = learner(small), list[float]()
    everything: Sequence[Example] = drawn_examples(24) if small else examples()
    for batch in batches([len(one) for one in everything], BATCH, seed=0)[:3]:
        documents = [everything[index] for index in batch]
        rows = {"packed": pack(documents), "padded": padded_row(documents)}
        sides = {name: _step_on(state, row) for name, row in rows.items()}
        if not found:
            _step_on(state, pack(documents[:1]))()  # what is made at a first step
        found += ratios(in_turns(sides, 1, warm=0), "padded", "packed")
    return found


def learner(small: bool) -> State:
    """A LoRA over a copy of the model, before its first step."""
    if small:
        model = twin(random_model())
        add_lora(model, LORA)
        return begin(model, CONFIG)
    model = deepcopy(kit.chat_model().model)
    add_lora(model, LORA)
    precision = precision_of("auto")
    prepare(model, precision)
    return begin(model, replace(CONFIG, precision=precision))


def _step_on(state: State, row: Packed) -> Callable[[], object]:
    return lambda: advance(state, CONFIG, [row], Sft(checkpointing=False))


def packing_leak(small: bool = True) -> list[float]:
    """Loss of a packed row's answers when its documents see those before them, less the loss when they don't,
    in nats per token; positions begin anew in both.

    SmolLM2-135M untrained, rows of four documents of the instruction set: full three, small one of its three
    shortest. Raises ModelUnavailable, DataUnavailable.
    """
    return leaks(small, again=True)


def packing_leak_running(small: bool = True) -> list[float]:
    """As `packing_leak`, and positions run on through the row where documents see each other: text that is
    plainly concatenated."""
    return leaks(small, again=False)


def leaks(small: bool, again: bool) -> list[float]:
    """Row by row. again: positions begin anew at each document."""
    model, found = kit.chat_model().model, list[float]()
    everything = examples()
    chosen = batches([len(one) for one in everything], 4, seed=0)[:3]
    if small:
        chosen = [sorted(range(len(everything)), key=lambda index: len(everything[index]))[:3]]
    with kit.quiet():
        for batch in chosen:
            row = pack([everything[index] for index in batch])
            found.append(loss_of(model, leaking(row, again)) - loss_of(model, row))
    return found


def leaking(row: Packed, again: bool = True) -> Packed:
    """The same row as one document for attention. again: positions begin anew, as in the row."""
    positions = row.positions if again else torch.arange(len(row.tokens))
    return replace(row, bounds=(0, row.bounds[-1]), positions=positions)


def loss_of(model: Transformer, row: Packed) -> float:
    with torch.no_grad():
        return float(sft_loss(row_logprobs(model, row, checkpointing=False), row.targets))
