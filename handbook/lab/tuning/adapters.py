"""Adapters side by side in one batch: what a decode step costs with them, in bytes and in seconds."""

from dataclasses import replace

import torch

from handbook.engine.adapting import Adapting, Lows, lows_of, places
from handbook.engine.work import Batch
from handbook.lab import kit
from handbook.lab.serving import machine
from handbook.lab.serving.phases import decode_bytes
from handbook.lab.serving.steps import Bench, Run
from handbook.lab.tuning.memory import adapter_parameters
from handbook.lab.tuning.sides import SMALL, random_model
from handbook.model.adapters import Adapter, Factors
from handbook.model.config import ModelConfig
from handbook.model.load import Loaded
from handbook.model.transformer import Transformer

RANK, TEXTS, CONTEXT = 16, 8, 128


def random_adapter(model: Transformer, seed: int, rank: int) -> Adapter:
    """As large as a trained one may be: a hundredth of each weight."""
    draw, factors = torch.Generator().manual_seed(seed), {}
    for path, linear in places(model).items():
        a = torch.randn(rank, linear.in_features, generator=draw)
        b = torch.randn(linear.out_features, rank, generator=draw)
        spread = 0.01 * float(linear.weight.detach().float().std()) / rank**0.5
        factors[path] = Factors(a, b * spread, 1.0)
    return Adapter(f"random {seed}", factors)


def random_loaded() -> Loaded:
    """A random decoder that is wide enough for its products to count."""
    return replace(machine.random_model(), model=random_model(), config=SMALL)


class Mixed(Bench):
    """Pages for `TEXTS` sequences, and adapters 1 to `most` in the executor."""

    def __init__(self, small: bool, most: int, rank: int = RANK) -> None:
        loaded = kit.chat_model() if not small else random_loaded()
        super().__init__(loaded, TEXTS, CONTEXT + 16)
        assert isinstance(self.executor, Adapting)
        for number in range(1, most + 1):
            lows: Lows = lows_of(loaded.model, random_adapter(loaded.model, number, rank))
            self.executor.adapt(number, lows)

    def step(self, adapters: int) -> Run:
        """A decode step of all sequences, of which sequence n has adapter n mod `adapters`; 0 for none."""
        works = (self.work(n, CONTEXT, 1) for n in range(TEXTS))
        numbered = (
            work._replace(adapter=1 + n % adapters if adapters else 0) for n, work in enumerate(works)
        )
        batch = Batch(tuple(numbered))
        return lambda: self.run(batch)


def adapters_batch_cost(small: bool = True) -> list[float]:
    """Seconds of a decode step of eight sequences with four adapters of rank 16 among them over one with
    none, after 128 positions each. The engine on torch in fp32, one thread. Full: SmolLM2-135M, small: a
    random decoder. Raises ModelUnavailable."""
    bench = Mixed(small, 4)
    return kit.paired(bench.step(4), bench.step(0), 101 if small else 15)


def step_bytes(config: ModelConfig, texts: int, context: int, adapters: int, rank: int) -> tuple[int, int]:
    """What a decode step reads in bf16: of the model with its cache, and of the adapters that are in it."""
    read = 2 * adapter_parameters(config, rank) * min(adapters, texts)
    return decode_bytes(config, texts, context), read
