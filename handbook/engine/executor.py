"""Runs a scheduled batch on torch: tokens and pages in, logits out.

Two ways to the same numbers. `run_plain` takes one sequence after another through the decoder as it is, with
a cache that gathers the sequence's pages: any family, and the oracle. `run_packed` puts the tokens of all
sequences into one long row, so that every weight is read once for all of them, and only attention looks at
sequences apart. Tests hold them equal.

Axes: N tokens of a batch, W works in it, M rows whose logits are wanted, C width, V vocabulary; H, J, D, S as
in attention.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.engine.adapting import Beside, Lows, Sorted, adapted
from handbook.engine.store import PageStore
from handbook.engine.work import Batch, Work, rows_wanted
from handbook.model.attention import attend_fused
from handbook.model.transformer import Transformer
from handbook.model.variants import window_mask


class Executor(Protocol):
    """What the engine needs of whoever computes."""

    def run(self, batch: Batch) -> Tensor:
        """Logits [M, V]: for each work that wants tokens, in order, one row behind its last token, and before
        it one behind each draft's predecessor."""
        ...


class SequenceCache:
    """One sequence's pages as the decoder's cache: appending writes them, and gathers all up to there."""

    def __init__(self, store: PageStore, work: Work) -> None:
        self.store, self.length = store, work.start
        end = work.start + len(work.tokens)
        self.slots = store.slots(work.pages, 0, end).to(store.keys.device)  # [S]

    @property
    def nbytes(self) -> int:
        return self.store.nbytes

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """k, v [1, J, T, D] -> all that the sequence has, [1, J, S, D]: copies."""
        self.store.write(layer, self.slots[self.length :], k[0].transpose(0, 1), v[0].transpose(0, 1))
        keys, values = self.store.read(layer, self.slots, k.dtype)
        return keys.transpose(0, 1)[None], values.transpose(0, 1)[None]

    def truncate(self, n: int) -> None:
        raise NotImplementedError("pages are taken back by the scheduler")


Choose = Callable[[Iterable[Work]], None]
"""Told whose rows pass through the model next; see `Beside.choose`."""


@torch.inference_mode()
def run_plain(model: Transformer, store: PageStore, batch: Batch, choose: Choose | None = None) -> Tensor:
    """One sequence after another: -> logits [M, V]."""
    store.prepare(batch)
    rows = []
    for work in batch.work:
        if choose is not None:
            choose((work,))
        tokens = torch.tensor([work.tokens], device=model.device)
        last_only = work.drafts == 0
        logits = model(tokens, SequenceCache(store, work), last_only=last_only)[0]
        if wanted := rows_wanted(work):
            rows.append(logits[-wanted:])
    return torch.cat(rows) if rows else torch.empty(0, model.config.vocab_size)


class Packed:
    """A batch's tokens in one row, and what attention has to know to keep sequences apart."""

    def __init__(self, model: Transformer, store: PageStore, works: Sequence[Work]) -> None:
        self.store, self.works, self.windows = store, works, model.config.windows
        self.device = device = store.keys.device
        self.ends = [work.start + len(work.tokens) for work in works]
        self.tokens = torch.tensor([t for work in works for t in work.tokens], device=device)  # [N]
        self.positions = torch.cat([torch.arange(w.start, e) for w, e in zip(works, self.ends, strict=True)])
        new = [store.slots(w.pages, w.start, end) for w, end in zip(works, self.ends, strict=True)]
        self.new = torch.cat(new).to(device)
        single = [n for n, work in enumerate(works) if len(work.tokens) == 1]
        self.single = single if len(single) > 1 else []
        self.alone = sorted(set(range(len(works))) - set(self.single))
        begins = torch.tensor([0, *(len(w.tokens) for w in works)]).cumsum(0).tolist()
        self.spans = list(pairwise(begins))
        if self.single:
            self.rows = torch.tensor([self.spans[n][0] for n in self.single], device=device)
            self.lengths = torch.tensor([self.ends[n] for n in self.single], device=device)
        self.tables = [self._table([n]) for n in self.alone]
        self.together = self._table(self.single) if self.single else None
        self._seen: dict[int, Tensor] = {}  # by window

    def _table(self, numbers: Sequence[int]) -> Tensor:
        """Pages of some works, short ones filled up with page 0: [W, pages]."""
        held = [self.works[n].pages[: -(-self.ends[n] // self.store.size)] for n in numbers]
        most = max(map(len, held))
        return torch.tensor([[*pages, *[0] * (most - len(pages))] for pages in held], device=self.device)

    def attend(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, softcap: float | None
    ) -> Tensor:
        """See `handbook.model.cache.Attends`: q [1, H, N, D]; k, v [1, J, N, D] -> [1, H, N, D]."""
        self.store.write(layer, self.new, k[0].transpose(0, 1), v[0].transpose(0, 1))
        window = self.windows[layer] if self.windows else 0
        out = torch.empty_like(q) if self.alone else q
        if self.together is not None:
            kind = torch.float32 if self.device.type == "cpu" else q.dtype  # of one query, bf16 is the slower
            k, v = (x.transpose(1, 2) for x in self.store.read_pages(layer, self.together, kind))
            one = q[0, :, self.rows] if self.alone else q[0]  # [H, W, D]
            one = one.transpose(0, 1)[:, :, None].to(kind)
            y = attend_fused(one, k, v, self._places(k.shape[2], window), scale, softcap)
            y = y[:, :, 0].transpose(0, 1).to(q.dtype)
            if not self.alone:
                return y[None]
            out[0, :, self.rows] = y
        for n, table in zip(self.alone, self.tables, strict=True):
            (begin, end), length = self.spans[n], self.ends[n]
            k, v = (x[:, :length].transpose(1, 2) for x in self.store.read_pages(layer, table, q.dtype))
            mask = self._mask(end - begin, length, window)
            out[:, :, begin:end] = attend_fused(q[:, :, begin:end], k, v, mask, scale, softcap)
        return out

    def _places(self, S: int, window: int) -> Tensor:
        """Which places each of those who decode may look at: [W, 1, 1, S]."""
        if window not in self._seen:
            places = torch.arange(S, device=self.device)
            seen = places < self.lengths[:, None]
            if window:
                seen &= places >= self.lengths[:, None] - window
            self._seen[window] = seen[:, None, None]
        return self._seen[window]

    def _mask(self, T: int, S: int, window: int) -> Tensor | None:
        if T == 1 and not 0 < window < S:
            return None
        return window_mask(T, S, window=window or S).to(self.device)

    def logit_rows(self) -> Tensor:
        """Rows of the packed tokens whose logits are wanted: [M]."""
        rows = [
            row
            for work, (_, end) in zip(self.works, self.spans, strict=True)
            for row in range(end - rows_wanted(work), end)
        ]
        return torch.tensor(rows, dtype=torch.long, device=self.device)


def packable(model: Transformer) -> bool:
    """Whether `run_packed` knows this model: latents are not packed yet, and an extension that hangs on each
    text's own length has no common rotation."""
    scaling = model.config.rope_scaling
    return model.config.latent is None and (scaling is None or scaling.kind not in ("dynamic", "longrope"))


@torch.inference_mode()
def run_packed(
    model: Transformer,
    store: PageStore,
    batch: Batch,
    choose: Choose | None = None,
    rows: Sequence[int] | None = None,
) -> Tensor:
    """All sequences at once: -> logits [M, V]. For models that are `packable`. rows: those whose logits are
    wanted, in another order than that of the works."""
    store.prepare(batch)
    if not batch.work:
        return torch.empty(0, model.config.vocab_size)
    if choose is not None:
        choose(batch.work)
    packed = Packed(model, store, batch.work)
    positions = packed.positions.to(model.device)
    ropes = {w: model.rotation(positions, window=w) for w in {0, *model.config.windows}}
    x = F.embedding(packed.tokens, model.embed.weight)[None]  # [1, N, C]
    if model.config.scale_embedding:
        x = x * torch.tensor(model.config.dim**0.5, dtype=x.dtype, device=x.device)
    for layer, block in enumerate(model.blocks):
        x = block(x, None, ropes[model.config.window(layer)], packed, layer, None)
    wanted = packed.logit_rows() if rows is None else torch.tensor(rows, dtype=torch.long, device=x.device)
    logits: Tensor = model.logits_of(x[0, wanted])
    return logits


class TorchExecutor:
    """A model and its pages. packed: None takes the fast way where the model can go it."""

    def __init__(self, model: Transformer, store: PageStore, packed: bool | None = None) -> None:
        if packed and not packable(model):
            raise ValueError("this model's attention cannot be packed; leave packed=None")
        self.model, self.store = model, store
        self.packed = packable(model) if packed is None else packed
        self.beside: Beside | None = None

    def run(self, batch: Batch) -> Tensor:
        if self.beside is not None and adapted(batch):
            return run_beside(self.beside, self.store, batch, self.packed)
        return (run_packed if self.packed else run_plain)(self.model, self.store, batch)

    def adapt(self, number: int, lows: Lows) -> None:
        """See `Adapting`."""
        self.beside = self.beside or Beside(self.model)
        self.beside.adapt(number, lows)

    def drop(self, number: int) -> None:
        """See `Adapting`."""
        if self.beside is not None:
            self.beside.drop(number)


def run_beside(beside: Beside, store: PageStore, batch: Batch, packed: bool) -> Tensor:
    """A batch in which some have adapters: -> logits [M, V]."""
    if not packed:
        return run_plain(beside.model, store, batch, beside.choose)
    now = Sorted.of(batch)
    return run_packed(beside.model, store, now.batch, beside.choose, now.wanted())
