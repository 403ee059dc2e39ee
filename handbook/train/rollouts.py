"""Rollouts: the model that is being trained answers prompts, on our engine, with the weights it has now.

The engine packs weights for its kernels, so it is opened anew for every round: that costs a second on the
135M model, and then hundreds of answers are drawn side by side, prompts read once for all their answers. It
computes in other precisions than the training forward. So what it says about probabilities is not used: those
of the drawn tokens are computed again by the forward that is trained, and a first step's ratio is then 1.

Book: model-training/preference-alignment
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from handbook.engine.asked import Piece
from handbook.engine.engine import Engine
from handbook.engine.kernels.pack import Precision
from handbook.engine.sampler import randomness
from handbook.engine.store import page_bytes
from handbook.engine.work import Limits
from handbook.errors import HandbookError
from handbook.model.load import Loaded
from handbook.model.tokenizer import Tokenizer
from handbook.records import Sampling

PAGE = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What was drawn. tokens: with the one that ended it, where it ended by itself (`whole`); text:
    without."""

    tokens: tuple[int, ...]
    text: str
    whole: bool


def ending(tokenizer: Tokenizer) -> int:
    """The token that ends an answer. Raises HandbookError where there is none, or more than one."""
    if len(tokenizer.stops) != 1:
        raise HandbookError(
            f"Answers should end in one token, and this tokenizer has {len(tokenizer.stops)} for it.",
            "Choose a chat model whose turns end in one token.",
        )
    return next(iter(tokenizer.stops))


@contextmanager
def opened(
    loaded: Loaded, prompts: int, longest: int, samples: int = 1, precision: Precision | None = "bf16"
) -> Iterator[Engine]:
    """An engine with the model's weights as they are now, adapters merged where it has some.

    Room for so many prompts at once, of up to `longest` tokens with their answers. precision: as `Engine` has
    it; without a compiler it is torch's. The engine is of no use once the block has ended.
    """
    model, size = loaded.model, -(-longest // PAGE) + 1
    training = model.training
    pages = prompts * samples * size
    memory = pages * page_bytes(loaded.config, PAGE, 4)
    running = min(prompts * samples, 256)
    limits = Limits(tokens=max(512, running), running=running)
    model.eval()
    try:
        engine = Engine(loaded, memory, PAGE, limits, precision=precision)
        engine.ahead = None  # what is drawn at temperature 1 is not to be guessed
        yield engine
    finally:
        model.train(training)


@torch.no_grad()
def draw_answers(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    most: int,
    samples: int = 1,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[list[Answer]]:
    """`samples` answers of up to `most` tokens to each prompt, the same for the same seed and weights.

    temperature: 1 draws from the policy itself, which is what the objectives assume; 0 takes the likeliest.
    """
    end = ending(engine.loaded.tokenizer)
    drawn: list[list[list[Piece]]] = [[[] for _ in range(samples)] for _ in prompts]
    for number, prompt in enumerate(prompts):
        own = int(randomness(seed, number) * 2**53)
        sampling = Sampling(max_tokens=most, temperature=temperature, seed=own)

        def deliver(piece: Piece, number: int = number) -> None:
            drawn[number][piece.sample].append(piece)

        engine.ask(str(number), prompt, sampling, deliver, samples=samples, logprobs=0)
    while engine.busy:
        engine.step()
    return [[_answer(pieces, end) for pieces in each] for each in drawn]


def _answer(pieces: Sequence[Piece], end: int) -> Answer:
    tokens = tuple(likely.token for piece in pieces for likely in piece.likely)
    reason = pieces[-1].reason
    if reason not in ("stop", "length"):
        raise HandbookError(f"An answer broke off: {reason}.", "Look at what the engine's log says of it.")
    whole = reason == "stop"
    return Answer((*tokens, end) if whole else tokens, "".join(piece.text for piece in pieces), whole)
