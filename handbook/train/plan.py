"""The dry run: what would be trained, what memory it takes line by line, how many steps, how long.

Weights, gradients, optimizer and what a block keeps for its backward pass are counted, logits worked out, all
for the longest row; time is that of a step which is really taken, on the first rows, and thrown away.

Book: model-training/fine-tuning-strategies
"""

import time
from collections.abc import Iterable
from copy import copy
from dataclasses import asdict, dataclass, replace
from typing import Any

import psutil
import torch
from torch import Tensor

from handbook.model.transformer import Transformer
from handbook.train.examples import Example
from handbook.train.forward import FAST, hidden
from handbook.train.lengths import Lengths
from handbook.train.logprobs import CHUNK
from handbook.train.loop import State, advance, begin, evaluated, lowered
from handbook.train.methods import Parts
from handbook.train.packing import Packed, pack
from handbook.train.session import Session

SAMPLE = 512  # tokens
LONG = 15.0  # seconds: a first step that takes longer is estimate enough
MOMENTS = {"adamw": 8.0, "adamw8bit": 2.03}  # bytes a trained number


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the memory plan. how: where the number comes from."""

    what: str
    bytes: int
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would be. tokens: of all steps, about; step_seconds: measured; seconds: of the run, looks at
    held-out data included; peak_bytes: of this process, so far; free_bytes: before it was loaded."""

    trainable: int
    parameters: int
    precision: str
    steps: int
    steps_per_epoch: int | None
    tokens: int
    lengths: Lengths | None
    examples: int
    held_out: int
    removed: dict[str, int]
    memory: tuple[Line, ...]
    free_bytes: int
    peak_bytes: int
    step_seconds: float
    seconds: float

    @property
    def bytes(self) -> int:
        """All lines together."""
        return sum(line.bytes for line in self.memory)


def plan_of(session: Session) -> Plan:
    """Takes a step or two and forgets them. Raises what training would raise at its start."""
    parts = session.parts
    free = psutil.virtual_memory().available
    state = begin(parts.model, parts.config)
    memory = memory_of(session)
    step, tokens = timed(state, parts)
    looks = 1 + parts.config.steps // session.every
    material = parts.material
    return Plan(
        trainable=session.assembled.trainable,
        parameters=session.assembled.parameters,
        precision=parts.config.precision,
        steps=parts.config.steps,
        steps_per_epoch=parts.steps_per_epoch,
        tokens=tokens * parts.config.steps,
        lengths=None if material is None else material.lengths,
        examples=0 if material is None else len(material.train) + len(material.held_out),
        held_out=0 if material is None else len(material.held_out),
        removed={} if material is None else material.removed,
        memory=memory,
        free_bytes=free,
        peak_bytes=peak_bytes(),
        step_seconds=step,
        seconds=step * parts.config.steps + looks * look_seconds(parts),
    )


def timed(state: State, parts: Parts) -> tuple[float, int]:
    """Seconds and tokens of a step, drawing answers included: of two, the second's seconds, where the first
    didn't take long; of a round of several steps, their mean."""
    tokens, seconds, begun = [], 0.0, time.perf_counter()
    for step in range(2 * parts.stride):
        if step == parts.stride:
            seconds = time.perf_counter() - begun
            if seconds > LONG:
                break
            begun = time.perf_counter()
        tokens.append(advance(state, parts.config, parts.batches(step), parts.objective).tokens)
    else:
        seconds = time.perf_counter() - begun
    return seconds / parts.stride, round(sum(tokens) / len(tokens))


def look_seconds(parts: Parts) -> float:
    """Seconds of a look at all held-out data, from one at its first row; of drawn answers a whole look."""
    if not parts.held_out:
        return 0.0
    started = time.perf_counter()
    if parts.look is not None:
        evaluated(parts.model, parts.look)
        return time.perf_counter() - started
    first = Parts(parts.model, parts.config, parts.batches, parts.objective, parts.held_out[:1])
    evaluated(parts.model, first.evaluate)
    return (time.perf_counter() - started) * len(parts.held_out)


def memory_of(session: Session) -> tuple[Line, ...]:
    """The plan, line by line; what the interpreter and torch take beside it is not in it."""
    assembled, settings, parts = session.assembled, session.settings, session.parts
    model, config = parts.model, assembled.loaded.config
    held = {p.data_ptr(): p for p in (*model.parameters(), *model.buffers())}.values()
    trained = [p for p in model.parameters() if p.requires_grad]
    tokens = parts.longest or max(int(micro.tokens.numel()) for micro in parts.batches(0))
    fused = is_fused(assembled.loaded.model)
    kept = fused or parts.material is None  # drawn answers are short
    again = not kept if settings.checkpointing is None else settings.checkpointing
    block = kept_by_a_block(assembled.loaded.model, tokens, parts.config.precision, fused)
    inputs = config.layers * tokens * config.dim * assembled.loaded.model.dtype.itemsize
    moments = MOMENTS[settings.optimizer]
    how = "the input of each block, and one block computed again" if again else "of all blocks"
    judge = [] if assembled.judge is None else list(assembled.judge.model.parameters())
    paid = [Line("reward model", bytes_of(judge), f"{sum(p.numel() for p in judge):,} numbers, frozen")]
    return (
        Line("weights", bytes_of(held), f"{sum(p.numel() for p in held):,} numbers as they are held"),
        Line("gradients", bytes_of(trained), f"{assembled.trainable:,} numbers that train"),
        Line(
            "optimizer", round(moments * assembled.trainable), f"{settings.optimizer}: {moments:g} bytes each"
        ),
        Line("activations", inputs + block if again else config.layers * block, f"{tokens:,} tokens, {how}"),
        Line(
            "logits",
            2 * 4 * CHUNK * config.vocab_size,
            f"{CHUNK} rows of {config.vocab_size:,} at a time, twice",
        ),
        *(paid if judge else ()),
    )


def bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def kept_by_a_block(model: Transformer, tokens: int, precision: str, fused: bool = False) -> int:
    """Bytes that torch keeps of one block for its backward pass, on a row of so many tokens: counted where
    autograd puts them away, on a row of SAMPLE tokens at most.

    Plain blocks are counted in a decoder of this one's first two, less one with the first alone (in which
    nothing comes in that has a gradient); fused ones all together, since they belong to the whole.
    """
    length = min(tokens, model.config.context, SAMPLE)
    row = pack([Example((0,) * length, (True,) * length)])
    if fused:
        return _kept(model, row, precision) * tokens // length // len(model.blocks)
    kept = [_kept(_first_blocks(model, count), row, precision) for count in (1, 2)]
    return (kept[1] - kept[0] if len(model.blocks) > 1 else kept[0]) * tokens // length


def is_fused(model: Transformer) -> bool:
    """Whether `forward.hidden` takes the fused path, which keeps little and computes no block again."""
    fast = FAST.get(model)
    return fast is not None and fast.fits(model)


def _first_blocks(model: Transformer, count: int) -> Transformer:
    """The same modules, fewer of them."""
    fewer = copy(model)
    fewer._modules = dict(model._modules)
    fewer.blocks = model.blocks[:count]
    fewer.config = replace(model.config, layers=len(fewer.blocks), windows=model.config.windows[:count])
    return fewer


def _kept(model: Transformer, row: Packed, precision: str) -> int:
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    found: dict[int, list[Tensor]] = {}  # by storage; held, so that no address comes twice

    def put_away(tensor: Tensor) -> Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in own:
            found.setdefault(address, []).append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(put_away, lambda tensor: tensor), lowered(model, precision):
        end = hidden(model, row, checkpointing=False)
    assert end.requires_grad
    return sum(map(_occupied, found.values()))


def _occupied(views: list[Tensor]) -> int:
    """Bytes that views of one storage stand for: it may be a room that was made for a longer row."""
    parts = {(view.storage_offset(), view.numel()): view.nbytes for view in views}
    return min(views[0].untyped_storage().nbytes(), sum(parts.values()))


def peak_bytes() -> int:
    """The most memory that this process has held; what it holds now where the system doesn't tell."""
    try:
        import resource
        import sys
    except ImportError:  # Windows
        return int(psutil.Process().memory_info().rss)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)


def as_json(plan: Plan, session: Session) -> dict[str, Any]:
    """Plain values, as docs/json.md has them."""
    lengths = plan.lengths
    return {
        "method": session.settings.method,
        "model": session.assembled.name,
        "trains": session.assembled.trains,
        "trainable": plan.trainable,
        "parameters": plan.parameters,
        "precision": plan.precision,
        "steps": plan.steps,
        "steps_per_epoch": plan.steps_per_epoch,
        "tokens": plan.tokens,
        "examples": plan.examples,
        "held_out": plan.held_out,
        "lengths": None if lengths is None else asdict(lengths),
        "removed": plan.removed,
        "memory": [{"what": line.what, "bytes": line.bytes, "how": line.how} for line in plan.memory],
        "bytes": plan.bytes,
        "free_bytes": plan.free_bytes,
        "peak_bytes": plan.peak_bytes,
        "step_seconds": plan.step_seconds,
        "seconds": plan.seconds,
    }
