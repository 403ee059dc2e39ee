"""Runs a batch on compiled kernels, four products and attention a layer: decoders of Llama's form.

    qkv = linear(norm(x));  y = attend(qkv);  x += linear(y);  h = silu(gate) * up;  x += linear(h)

The residual stream is fp32 always. `precision` says what is multiplied: fp32, as the model is; bf16 weights
and activations, with sums in fp32; int8 weights with a scale for each output, and activations rounded with a
scale for each token; int4 weights and int8 activations with a scale for each 32 inputs. Everything that this
can't compute runs on `TorchExecutor`: `pick` says what was picked, and why.

Axes: M rows whose logits are wanted, V vocabulary.

Book: inference-ops/llm-serving-optimization
"""

import ctypes
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from handbook.engine.adapting import Lows, Sorted, adapted, paths_of, places
from handbook.engine.cuda import CudaExecutor
from handbook.engine.executor import Executor, TorchExecutor
from handbook.engine.fitting import unfit
from handbook.engine.kernels import abi
from handbook.engine.kernels.abi import Library
from handbook.engine.kernels.build import load
from handbook.engine.kernels.low import PackedLow, arena_for, halves_of, pack_low
from handbook.engine.kernels.pack import Arena, Linear, Precision, interleave, pack, pointer
from handbook.engine.kernels.rows import Rows
from handbook.engine.store import PageStore
from handbook.engine.twin import TwinExecutor, whole_numbers_pay
from handbook.engine.work import Batch, Work
from handbook.model.attention import Attention
from handbook.model.layers import RMSNorm, SwiGLU
from handbook.model.transformer import Block, Transformer

ADAPTED: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
CACHES = {torch.float32: abi.FP32, torch.bfloat16: abi.BF16, torch.int8: abi.INT8}


class Layer(NamedTuple):
    """A block's four products, packed."""

    qkv: Linear
    out: Linear
    gate_up: Linear
    down: Linear


class Adapted(NamedTuple):
    """An adapter for the kernels: one entry a layer and product. calls points into what packed holds."""

    packed: "list[PackedLow | None]"
    calls: "ctypes.Array[abi.LowStruct]"


def arena_of(model: Transformer, precision: Precision, kernels: Library) -> Arena:
    """Room for all that is packed: outputs are filled up to a multiple of 32."""
    most = sum((len(p) + 64) * p.shape[1] for p in model.parameters() if p.dim() == 2)
    return Arena(kernels, most * {"fp32": 4, "bf16": 2, "int8": 1, "int4": 1}[precision])


def pack_layer(block: Block, precision: Precision, arena: Arena) -> Layer:
    attention, mlp = block.attention, block.mlp
    assert isinstance(attention, Attention)
    assert isinstance(mlp, SwiGLU)
    norms = (block.attention_norm, block.mlp_norm)
    assert isinstance(norms[0], RMSNorm)
    assert isinstance(norms[1], RMSNorm)
    parts = (attention.query, attention.key, attention.value)
    qkv = torch.cat([part.weight for part in parts])
    bias = None if parts[0].bias is None else torch.cat([part.bias for part in parts])
    both = interleave(mlp.gate.weight, mlp.up.weight)
    both_bias = None if mlp.gate.bias is None else interleave(mlp.gate.bias, mlp.up.bias)
    return Layer(
        pack(qkv, precision, bias, norms[0].weight, norms[0].eps, arena=arena),
        pack(attention.out.weight, precision, attention.out.bias, after=abi.ADD, arena=arena),
        pack(both, precision, both_bias, norms[1].weight, norms[1].eps, after=abi.SILU, arena=arena),
        pack(mlp.down.weight, precision, mlp.down.bias, after=abi.ADD, arena=arena),
    )


class FastExecutor:
    """A packed model and its pages, which are fp32, bf16 or int8. Interface as `TorchExecutor`. The head is
    int8 where all else is int4.

    Raises ValueError for a model that is `unfit`, or a precision this build of the kernels lacks.
    """

    def __init__(
        self, model: Transformer, store: PageStore, kernels: Library, precision: Precision = "int8"
    ) -> None:
        config = model.config
        if faults := unfit(config):
            raise ValueError(f"the kernels don't compute {', '.join(faults)}")
        if not kernels.attends(config.head_dim):
            raise ValueError(f"the kernels lack heads of {config.head_dim}")
        if precision == "int4" and (config.dim % 32 or config.hidden_dim % 32):
            raise ValueError(f"int4 wants widths of 32, got {config.dim} and {config.hidden_dim}")
        if store.keys.dtype not in CACHES:
            raise ValueError(f"pages are {store.keys.dtype}, not float32, bfloat16 or int8")
        self.model, self.store, self.kernels, self.precision = model, store, kernels, precision
        arena = arena_of(model, precision, kernels)
        self.layers = [pack_layer(block, precision, arena) for block in model.blocks]  # type: ignore[arg-type]
        assert isinstance(model.norm, RMSNorm)
        head = model.embed.weight if model.head is None else model.head.weight
        bias = None if model.head is None else model.head.bias
        whole: Precision = "int8" if precision == "int4" else precision
        self.head = pack(head, whole, bias, model.norm.weight, model.norm.eps, arena=arena)
        self.embed = Rows(model.embed.weight)
        self.head_call = pointer(self.head.struct)
        caches = [
            abi.CacheStruct(*(p.data_ptr() for p in parts)) for parts in zip(*store.blocks, strict=True)
        ]
        self.calls = (abi.LayerStruct * len(caches))(
            *(
                abi.LayerStruct(*(pointer(linear.struct) for linear in layer), cache)
                for layer, cache in zip(self.layers, caches, strict=True)
            )
        )
        self.rope = model.rotation(torch.arange(0))
        self.room: tuple[Tensor, ...] = ()
        self.adapters: dict[int, Adapted] = {}

    @property
    def label(self) -> str:
        """What computes, in words."""
        lanes = self.kernels.lanes().decode()
        return f"compiled kernels, {self.precision} products, {_name(self.store)} cache, {lanes}"

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weights, the embeddings' among them."""
        packed = self.head.nbytes + sum(linear.nbytes for layer in self.layers for linear in layer)
        return packed + self.embed.nbytes

    def release(self) -> None:
        """Free the model's own weights, of which nothing is needed any more: they move to torch's `meta`
        device, where whoever wants to compute with them is told that they are not there."""
        self.model.to_empty(device="meta")
        trim()

    def adapt(self, number: int, lows: Lows) -> None:
        """See `Adapting`. As precise as the products; int8 beside int4."""
        there, kind = places(self.model), ADAPTED.get(self.precision, torch.int8)
        packed: list[PackedLow | None] = []
        arena = arena_for(lows.values(), kind, self.kernels)
        for layer in range(len(self.layers)):
            for paths in paths_of(layer):
                outputs = [there[path].out_features for path in paths]
                turns = len(paths) == 2  # gate and up
                found = [lows.get(path) for path in paths]
                packed.append(pack_low(found, halves_of(outputs, turns), kind, arena) if any(found) else None)
        calls = (abi.LowStruct * len(packed))(*(low.struct if low else abi.LowStruct() for low in packed))
        self.adapters[number] = Adapted(packed, calls)

    def drop(self, number: int) -> None:
        """See `Adapting`."""
        self.adapters.pop(number, None)

    def run(self, batch: Batch) -> Tensor:
        rows, threads = self._forward(batch)
        logits = torch.empty(len(rows), self.model.config.vocab_size)
        if len(rows):
            self.kernels.linear(self.head_call, rows.data_ptr(), logits.data_ptr(), len(rows), threads)
        return logits

    def best(self, batch: Batch) -> list[int]:
        """The likeliest token behind each row that `run` gives logits for, which are then not kept: [M]."""
        rows, threads = self._forward(batch)
        ids = array("i", bytes(4 * len(rows)))
        if ids:
            self.kernels.likeliest(self.head_call, rows.data_ptr(), ids.buffer_info()[0], len(rows), threads)
        return ids.tolist()

    @torch.inference_mode()
    def _forward(self, batch: Batch) -> tuple[Tensor, int]:
        """All blocks: -> the rows that are wanted [M, C], before the final norm, and threads."""
        self.store.prepare(batch)
        now = Sorted.of(batch)
        works, count, threads = now.batch.work, batch.tokens, torch.get_num_threads()
        x, *room = self._room(count)
        if not count:
            return x[:0], threads
        tokens = [token for work in works for token in work.tokens]
        wanted = now.wanted()
        self.embed.find(torch.tensor(tokens), x[:count])
        step, held = self._step(works, count, threads)
        rooms = (part.data_ptr() for part in (x, *room))
        chosen, kept = self._chosen(works) if adapted(batch) else (None, None)
        self.kernels.forward(self.calls, len(self.calls), step, *rooms, chosen)
        del held, kept
        if len(wanted) < count or now.order is not None:
            return x.index_select(0, torch.tensor(wanted, dtype=torch.long)), threads
        return x[:count], threads

    def _room(self, rows: int) -> tuple[Tensor, ...]:
        """x, qkv, attention's result and the network's hidden row, for so many rows at least."""
        if not self.room or len(self.room[0]) < rows:
            c, many = self.model.config, max(64, rows)
            widths = (c.dim, (c.heads + 2 * c.kv_heads) * c.head_dim, c.heads * c.head_dim, c.hidden_dim)
            self.room = tuple(torch.empty(many, width) for width in widths)
        return self.room

    def _step(self, works: Sequence[Work], rows: int, threads: int) -> "tuple[object, list[array[int]]]":
        """What attention has to know, and the memory that it points to."""
        sequence, position, tables, pages = (array("i") for _ in range(4))
        for number, work in enumerate(works):
            count = len(work.tokens)
            sequence.extend([number] * count)
            position.extend(range(work.start, work.start + count))
            tables.append(len(pages))
            pages.extend(work.pages)
        self._turn_up_to(max(position) + 1)
        c, held = self.model.config, [sequence, position, tables, pages]
        scale = c.head_dim**-0.5 if c.attention_scale is None else c.attention_scale
        sizes = (rows, c.heads, c.kv_heads, c.head_dim, self.store.size)
        addresses = [part.buffer_info()[0] for part in held]
        turning = [table.data_ptr() for table in self.rope]
        step = abi.StepStruct(*sizes, CACHES[self.store.keys.dtype], threads, scale, *addresses, *turning)
        return pointer(step), held

    def _chosen(self, works: Sequence[Work]) -> tuple[object, object]:
        """Which adapter each row has, and the memory that it points to."""
        numbers = sorted({work.adapter for work in works} & self.adapters.keys())
        of = array("i")
        for work in works:
            of.extend([numbers.index(work.adapter) if work.adapter in numbers else -1] * len(work.tokens))
        arrays = (ctypes.cast(self.adapters[n].calls, abi.Lows) for n in numbers)
        lows = (abi.Lows * len(numbers))(*arrays)
        chosen = abi.ChosenStruct(of.buffer_info()[0], lows)
        return pointer(chosen), (of, lows)

    def _turn_up_to(self, length: int) -> None:
        """Rotations of all positions below `length`: kept, and doubled when a text grows beyond them."""
        if len(self.rope[0]) < length:
            reach = min(max(length, 2 * len(self.rope[0]), 256), self.model.config.context)
            cos, sin = self.model.rotation(torch.arange(reach))
            self.rope = cos.contiguous(), sin.contiguous()


def trim() -> None:
    """Give back to the system what was freed, where the C library keeps it for later (glibc does)."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


class Choice(NamedTuple):
    """What computes, and one line that says why."""

    executor: Executor
    why: str


def pick(model: Transformer, store: PageStore, precision: Precision | None = "int8") -> Choice:
    """The fastest executor that computes this model on this machine, at this precision where there are
    kernels for it. Compiles them at the first call. Without them torch computes: int8 where the processor
    multiplies bytes, all else as the model is. None stays on torch. Raises ValueError for a model whose
    weights were released."""
    if model.device.type == "meta":
        raise ValueError("this model's weights were released: load it again")
    if model.device.type == "cuda":
        there = CudaExecutor(model, store)
        return Choice(there, there.label)
    if precision is None:
        return Choice(TorchExecutor(model, store), "torch")
    found = unfit(model.config) + ([] if model.device.type == "cpu" else [f"a model on {model.device.type}"])
    kernels = ", ".join(found) if found else load()
    if not isinstance(kernels, str):
        try:
            fast = FastExecutor(model, store, kernels, precision)
            return Choice(fast, fast.label)
        except ValueError as error:
            kernels = str(error)
    if precision == "int8" and not found and whole_numbers_pay():
        twin = TwinExecutor(model, store)
        return Choice(twin, f"{twin.label}: {kernels}")
    return Choice(TorchExecutor(model, store), f"torch, {_name(store)}: {kernels}")


def _name(store: PageStore) -> str:
    return str(store.keys.dtype).removeprefix("torch.")
