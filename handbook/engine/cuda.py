"""Runs a batch on a CUDA device: decode steps as one recorded graph each, prompts as `run_packed` does.

A decode step of a small model is hundreds of kernels of a few microseconds each: launching them one by one
from Python takes longer than they do. A CUDA graph is recorded once and launched as a whole (Gray 2019,
"Getting Started with CUDA Graphs"), but it always reads the same memory and has one shape. So a step is laid
out on a grid of few sizes: B sequences, T tokens of each (more than one where drafts are verified), W pages
of each, B, W and T - 1 powers of two. What is missing is filled up with repetitions: of a sequence's last
token, and of the first sequence. A repetition computes what the original does and writes it to the same
place.

Attention gathers each sequence's pages with one index and gives them to torch's own kernel; query heads that
share a key head stand beside each other as if they were further tokens, so that no key is repeated.

On a processor everything but the recording runs the same way, and tests hold it equal to `run_plain`.
**It has never run on a GPU.** Recording is untested, and so is speed; that no operation mixes devices is
tested on torch's `meta` device.

Axes: N = B * T rows, Z positions of a page, S = W * Z; others as in `executor`.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.engine.adapting import Beside, Lows, adapted
from handbook.engine.executor import packable, run_beside, run_packed, run_plain
from handbook.engine.store import PageStore
from handbook.engine.work import Batch, Work, rows_wanted
from handbook.model.attention import attend
from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer

MOST = 17
"""Tokens of a sequence that go on the grid at most: longer pieces are prompts."""


class Shape(NamedTuple):
    """Of a grid: sequences, tokens of each, pages of each."""

    sequences: int
    tokens: int
    pages: int


def rounded(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()


def shape_of(works: Sequence[Work]) -> Shape | None:
    """The grid that holds these works; None where one of them is a prompt, or a piece of one."""
    if any(len(work.tokens) != work.drafts + 1 or work.wanted <= work.drafts for work in works):
        return None
    tokens = max(len(work.tokens) for work in works)
    if tokens > MOST:
        return None
    pages = max(len(work.pages) for work in works)
    return Shape(rounded(len(works)), 1 if tokens == 1 else 1 + rounded(tokens - 1), rounded(pages))


class Grid:
    """The inputs of a step of one shape, always in the same memory, and what attention reads from them.

    inputs [B, 3 T + W]: tokens, positions, slots of a sequence's new tokens, its pages.
    """

    def __init__(self, shape: Shape, store: PageStore, config: ModelConfig) -> None:
        self.shape, self.store, self.windows = shape, store, config.windows
        self.group = config.heads // config.kv_heads
        device = store.keys.device
        width = 3 * shape.tokens + shape.pages
        self.inputs = torch.zeros(shape.sequences, width, dtype=torch.long, device=device)
        self.staged = torch.zeros(shape.sequences, width, dtype=torch.long, pin_memory=device.type == "cuda")
        at = [shape.tokens, shape.tokens, shape.tokens, shape.pages]
        self.tokens, self.positions, self.slots, self.pages = torch.split(self.inputs, at, dim=1)

    def fill(self, works: Sequence[Work]) -> None:
        """Lay works out, and send them to the device: one copy."""
        B, T, W = self.shape
        rows = [row(work, self.store.size, T, W) for work in works]
        rows += rows[:1] * (B - len(works))
        self.staged.copy_(torch.tensor(rows))
        self.inputs.copy_(self.staged, non_blocking=True)

    def look(self) -> None:
        """What follows from the inputs, once for all layers: what each sequence holds, and by width of the
        window who sees what of it."""
        size, device = self.store.size, self.inputs.device
        self.held = (self.pages[:, :, None] * size + torch.arange(size, device=device)).flatten(1)  # [B, S]
        places = torch.arange(self.shape.pages * size, device=device)
        here = self.positions[:, None, :, None]  # [B, 1, T, 1]
        self.seen: dict[int, Tensor] = {}
        for window in {0, *self.windows}:
            seen = places <= here  # [B, 1, T, S]
            seen = seen & (places > here - window) if window else seen
            self.seen[window] = seen.repeat(1, 1, self.group, 1)

    def attend(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, softcap: float | None
    ) -> Tensor:
        """See `handbook.model.cache.Attends`: q [1, H, N, D]; k, v [1, J, N, D] -> [1, H, N, D]."""
        (B, T, _), J = self.shape, k.shape[1]
        self.store.write(layer, self.slots.flatten(), k[0].transpose(0, 1), v[0].transpose(0, 1))
        keys, values = (x.transpose(1, 2) for x in self.store.read(layer, self.held, q.dtype))  # [B, J, S, D]
        mask = self.seen[self.windows[layer] if self.windows else 0]
        q = q.view(J, self.group, B, T, -1).permute(2, 0, 1, 3, 4).flatten(2, 3)  # [B, J, G T, D]
        if softcap is None:
            y = F.scaled_dot_product_attention(q, keys, values, mask, scale=scale)
        else:
            y = attend(q, keys, values, mask, scale, softcap)
        y = y.view(B, J, self.group, T, -1).permute(1, 2, 0, 3, 4)
        return y.reshape(1, J * self.group, B * T, -1)


def row(work: Work, size: int, T: int, W: int) -> list[int]:
    """A sequence's line of the grid; places behind its last token repeat that, pages behind its last too."""
    last = len(work.tokens) - 1
    ahead = [min(n, last) for n in range(T)]
    places = [work.start + n for n in ahead]
    slots = [work.pages[place // size] * size + place % size for place in places]
    pages = list(work.pages)
    return [*(work.tokens[n] for n in ahead), *places, *slots, *pages, *pages[-1:] * (W - len(pages))]


class CudaExecutor:
    """A model and its pages on one device.

    graphs: record decode steps; None does so where device and model can. A mixture of experts can't: it asks
    the device how many tokens each expert has. Raises ValueError for graphs that can't be recorded.
    """

    def __init__(self, model: Transformer, store: PageStore, graphs: bool | None = None) -> None:
        self.model, self.store = model, store
        self.packed = packable(model)
        able = model.device.type == "cuda" and model.config.mixture is None
        if graphs and not able:
            raise ValueError("only a model without experts, on a CUDA device, can be recorded")
        self.graphs = able if graphs is None else graphs
        self.beside: Beside | None = None
        self._steps: dict[Shape, tuple[Grid, Callable[[], Tensor]]] = {}
        self._pool: Any = None  # of memory, shared by all graphs
        if self.packed:
            places = torch.arange(min(model.config.context, len(store.keys[0])), device=model.device)
            self.ropes = {w: model.rotation(places, window=w) for w in {0, *model.config.windows}}
            dim = model.config.dim**0.5 if model.config.scale_embedding else 1.0
            self.scale = torch.tensor(dim, dtype=model.dtype, device=model.device)

    @property
    def label(self) -> str:
        """What computes, in words."""
        how = "decode steps recorded as graphs" if self.graphs else "no graphs"
        return (
            f"torch on {self.model.device}, {how}, {str(self.store.keys.dtype).removeprefix('torch.')} cache"
        )

    @torch.inference_mode()
    def run(self, batch: Batch) -> Tensor:
        """See `Executor`. Logits stay valid up to the next call. A batch with adapters is not recorded."""
        if self.beside is not None and adapted(batch):
            return run_beside(self.beside, self.store, batch, self.packed)
        shape = shape_of(batch.work) if batch.work and self.packed else None
        if shape is None:
            return (run_packed if self.packed else run_plain)(self.model, self.store, batch)
        self.store.prepare(batch)
        if shape not in self._steps:
            grid = Grid(shape, self.store, self.model.config)
            grid.fill(batch.work)  # what is computed while recording must be in bounds
            self._steps[shape] = grid, self._recorded(grid)
        grid, compute = self._steps[shape]
        grid.fill(batch.work)
        return self._chosen(compute(), batch.work, shape)

    def adapt(self, number: int, lows: Lows) -> None:
        """See `Adapting`."""
        self.beside = self.beside or Beside(self.model)
        self.beside.adapt(number, lows)

    def drop(self, number: int) -> None:
        """See `Adapting`."""
        if self.beside is not None:
            self.beside.drop(number)

    def _chosen(self, logits: Tensor, works: Sequence[Work], shape: Shape) -> Tensor:
        """Logits [N, V] of the grid -> [M, V] of what is there."""
        if all(len(work.tokens) == shape.tokens for work in works):
            return logits[: len(works) * shape.tokens]
        rows = [n * shape.tokens + t for n, work in enumerate(works) for t in range(rows_wanted(work))]
        return logits[torch.tensor(rows, device=logits.device)]

    def compute(self, grid: Grid) -> Tensor:
        """A step from the grid's inputs, all on the device: -> logits [N, V]."""
        model = self.model
        grid.look()
        positions = grid.positions.flatten()
        ropes = {window: (cos[positions], sin[positions]) for window, (cos, sin) in self.ropes.items()}
        x = F.embedding(grid.tokens.flatten(), model.embed.weight)[None]  # [1, N, C]
        if model.config.scale_embedding:
            x = x * self.scale
        for layer, block in enumerate(model.blocks):
            x = block(x, None, ropes[model.config.window(layer)], grid, layer, None)
        logits: Tensor = model.logits_of(x[0])
        return logits

    def _recorded(self, grid: Grid) -> Callable[[], Tensor]:
        """Something that computes the step of this grid whenever it is called."""
        if not self.graphs:
            return lambda: self.compute(grid)
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries set themselves up in their first calls
            for _ in range(2):
                self.compute(grid)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            logits = self.compute(grid)
        self._pool = graph.pool()

        def replay() -> Tensor:
            graph.replay()
            return logits

        return replay
