"""Rollouts: the model that is being trained answers prompts, on our engine, with the weights it has now.

Where adapters are all that trains, the engine is opened once over the frozen base, and takes the adapter anew
for every round (`Engine.load_adapter`): small steps are not lost in the rounding of merged weights. Else it
is opened anew, which packs all weights again.

The engine computes in other precisions than the training forward. So what it says about probabilities is not
trained on: those of the drawn tokens are computed again by the forward that is trained, and the first step's
ratio is 1. `Answer.logprob` keeps the engine's, to tell how far the two are apart.

Book: model-training/preference-alignment
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from handbook.model.transformer import Transformer
from handbook.records import Sampling
from handbook.train.lora import adapter_of, lora_layers, without_adapters

PAGE = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What was drawn. tokens: with the one that ended it, where it ended by itself (`whole`); text: without.
    logprob: what the engine gave all of the text's tokens together."""

    tokens: tuple[int, ...]
    text: str
    whole: bool
    logprob: float = 0.0


def ending(tokenizer: Tokenizer) -> int:
    """The token that ends an answer. Raises HandbookError where there is none, or more than one."""
    if len(tokenizer.stops) != 1:
        raise HandbookError(
            f"Answers should end in one token, and this tokenizer has {len(tokenizer.stops)} for it.",
            "Choose a chat model whose turns end in one token.",
        )
    return next(iter(tokenizer.stops))


def base_of(model: Transformer) -> Transformer:
    """The decoder without its adapters, over the same memory."""
    with torch.device("meta"):
        plain = Transformer(model.config)
    with without_adapters(model):
        state = {}
        for name in plain.state_dict():
            path, _, leaf = name.rpartition(".")
            state[name] = getattr(model.get_submodule(path), leaf).detach()
    plain.load_state_dict(state, assign=True)
    return plain.eval().requires_grad_(False)


class Voice:
    """The engine that a policy in training speaks with. precision: as `Engine` has it; where there is no
    compiler it is torch's."""

    def __init__(self, loaded: Loaded, precision: Precision | None = "bf16") -> None:
        self.loaded, self.precision = loaded, precision
        self.end = ending(loaded.tokenizer)
        self._engine: Engine | None = None
        self._room = 0
        self._rounds = 0

    @property
    def beside(self) -> bool:
        """Whether adapters that the engine can add are all that trains."""
        layers = lora_layers(self.loaded.model).values()
        theirs = {id(p) for layer in layers for p in (layer.a, layer.b)}
        others = (p for p in self.loaded.model.parameters() if p.requires_grad and id(p) not in theirs)
        return bool(theirs) and not any(layer.magnitude is not None for layer in layers) and not any(others)

    def answers(
        self,
        prompts: Sequence[Sequence[int]],
        most: int,
        samples: int = 1,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> list[list[Answer]]:
        """`samples` answers of up to `most` tokens to each prompt, the same for the same seed and weights.

        temperature: 1 draws from the policy itself, which is what the objectives assume; 0 takes the
        likeliest.
        """
        model = self.loaded.model
        training = model.training
        model.eval()
        try:
            engine, name = self._opened(len(prompts) * samples, max(map(len, prompts)) + most)
            drawn = draw(engine, prompts, most, samples, temperature, seed, name)
            if name is not None:
                engine.unload_adapter(name)
        finally:
            model.train(training)
        return [[_answer(pieces, self.end) for pieces in each] for each in drawn]

    def _opened(self, count: int, longest: int) -> tuple[Engine, str | None]:
        """An engine with room for so many texts, and the adapter's name in it."""
        beside, running = self.beside, min(count, 256)
        room = running * (-(-longest // PAGE) + 1)
        if self._engine is None or room > self._room or not beside:
            model = base_of(self.loaded.model) if beside else self.loaded.model
            loaded = replace(self.loaded, model=model)
            limits = Limits(tokens=max(512, running), running=running)
            memory = room * page_bytes(self.loaded.config, PAGE, 4)
            self._engine, self._room = Engine(loaded, memory, PAGE, limits, precision=self.precision), room
            self._engine.ahead = None  # what is drawn by chance is not to be guessed
        if not beside:
            return self._engine, None
        self._rounds += 1
        name = f"policy {self._rounds}"
        self._engine.load_adapter(name, adapter_of(self.loaded.model))
        return self._engine, name


def draw(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    most: int,
    samples: int,
    temperature: float,
    seed: int,
    adapter: str | None,
) -> list[list[list[Piece]]]:
    """The pieces of each answer to each prompt, as the engine gives them out."""
    drawn: list[list[list[Piece]]] = [[[] for _ in range(samples)] for _ in prompts]
    for number, prompt in enumerate(prompts):
        own = int(randomness(seed, number) * 2**53)
        sampling = Sampling(max_tokens=most, temperature=temperature, seed=own)

        def deliver(piece: Piece, number: int = number) -> None:
            drawn[number][piece.sample].append(piece)

        engine.ask(str(number), prompt, sampling, deliver, samples=samples, logprobs=0, adapter=adapter)
    while engine.busy:
        engine.step()
    return drawn


def _answer(pieces: Sequence[Piece], end: int) -> Answer:
    likely = [each for piece in pieces for each in piece.likely]
    tokens = tuple(each.token for each in likely)
    reason = pieces[-1].reason
    if reason not in ("stop", "length"):
        raise HandbookError(f"An answer broke off: {reason}.", "Look at what the engine's log says of it.")
    whole = reason == "stop"
    text = "".join(piece.text for piece in pieces)
    return Answer((*tokens, end) if whole else tokens, text, whole, sum(each.logprob for each in likely))
