"""One conversation, one token after another: prefill reads the prompt at once, decode adds one token a step.

The plain form: one sequence, a contiguous cache. What runs in the app is `handbook.engine.engine`, and tests
hold its texts equal to this one's.

Book: architectures/transformer-deep-dive
"""

import secrets
from collections.abc import Iterator, Sequence
from time import perf_counter

import torch
from torch import Tensor

from handbook.engine.sampler import randomness, sample
from handbook.errors import ChatError
from handbook.model.cache import KVCache
from handbook.model.load import Loaded
from handbook.model.tokenizer import StreamDecoder
from handbook.model.transformer import Transformer
from handbook.records import Delta, Sampling, Usage


@torch.inference_mode()
def step(model: Transformer, ids: Sequence[int], cache: KVCache | None) -> Tensor:
    """Logits [V] after the last of ids. Computes what the cache doesn't hold yet; without one, everything."""
    new = ids if cache is None else ids[cache.length :]
    logits: Tensor = model(torch.tensor([new], device=model.device), cache, last_only=True)  # [1, 1, V]
    return logits[0, 0]


class Generation:
    """The continuation of a prompt. Iterate over it for token ids; `usage` is right at any time, also when
    the iteration was left early.

    Ends before a stop token, at max_tokens, or where the context is full. use_cache=False computes the whole
    prefix for every token, to see what the cache saves; the ids are the same.

    Raises ChatError for an empty prompt, or one that leaves no room in the model's context.
    """

    def __init__(
        self, loaded: Loaded, prompt_ids: Sequence[int], sampling: Sampling, use_cache: bool = True
    ) -> None:
        room = loaded.config.context - len(prompt_ids)
        if not prompt_ids or room < 1:
            raise ChatError(
                f"The prompt has {len(prompt_ids)} tokens; 1 to {loaded.config.context - 1} were expected.",
                "Send a shorter conversation.",
            )
        self.model, self.stops = loaded.model, loaded.tokenizer.stops
        self.sampling, self.budget = sampling, min(sampling.max_tokens, room)
        self.prompt, self.ids = list(prompt_ids), list(prompt_ids)
        self.cache = self.model.new_cache(len(prompt_ids) + self.budget) if use_cache else None
        self.prefill_seconds = self.decode_seconds = 0.0

    def __iter__(self) -> Iterator[int]:
        seed = secrets.randbits(64) if self.sampling.seed is None else self.sampling.seed
        begin = perf_counter()
        logits = step(self.model, self.ids, self.cache)
        self.prefill_seconds = perf_counter() - begin
        for produced in range(self.budget):
            begin = perf_counter()  # what the consumer does between two tokens doesn't count
            if produced:
                logits = step(self.model, self.ids, self.cache)
            uniform = randomness(seed, len(self.ids))
            token = sample(logits, self.sampling, self.ids, uniform, len(self.prompt))
            self.decode_seconds += perf_counter() - begin
            if token in self.stops:
                return
            self.ids.append(token)
            yield token

    @property
    def usage(self) -> Usage:
        """Prompt and reply in tokens, and the seconds that each took."""
        produced = len(self.ids) - len(self.prompt)
        return Usage(len(self.prompt), produced, self.prefill_seconds, self.decode_seconds)


def generate(
    loaded: Loaded, prompt_ids: Sequence[int], sampling: Sampling, use_cache: bool = True
) -> Generation:
    """Continue a prompt, token by token: see `Generation`."""
    return Generation(loaded, prompt_ids, sampling, use_cache)


def stream(
    loaded: Loaded, prompt_ids: Sequence[int], sampling: Sampling, use_cache: bool = True
) -> Iterator[Delta]:
    """`generate` as text: whole characters only, up to the first stop string. The last piece carries the
    usage."""
    generation = generate(loaded, prompt_ids, sampling, use_cache)
    decoder, gate = StreamDecoder(loaded.tokenizer), StopGate(sampling.stop)
    for token in generation:
        if text := gate.push(decoder.push(token)):
            yield Delta(text)
        if gate.closed:
            break
    rest = "" if gate.closed else gate.push(decoder.finish()) + gate.finish()
    yield Delta(rest, generation.usage)


class StopGate:
    """Lets text through up to the first stop string. What may be the beginning of one waits until it is
    clear.

    A stop string may come in pieces, over several tokens.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._waiting = ""
        self.closed = False

    def push(self, text: str) -> str:
        """The part of the text so far that is certain to come before any stop string, and was not given out
        yet."""
        if self.closed:
            return ""
        text = self._waiting + text
        found = [at for at in map(text.find, self._stops) if at >= 0]
        if found:
            self.closed, self._waiting = True, ""
            return text[: min(found)]
        hold = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._waiting = text[len(text) - hold :]
        return text[: len(text) - hold]

    def finish(self) -> str:
        """What waited, at the end: it was no stop string."""
        waiting, self._waiting = self._waiting, ""
        return waiting


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, but not all of it."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
