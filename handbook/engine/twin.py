"""What the compiled kernels compute in int8, with torch alone: for machines without a compiler, and as their
oracle over a whole model.

The same weights, rotated and rounded alike, and activations with a scale for each token; whole numbers are
multiplied by torch's own int8 product, which is exact, and attention is `Packed`'s. The same precision says
the same here as there, but for roundings of fp32 that fall the other way.

Axes: M rows, K inputs, N outputs, H, J, D as in attention.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.engine.adapting import Group, Low, Lows, Sorted, groups_of, paths_of, places
from handbook.engine.executor import Packed
from handbook.engine.fitting import unfit
from handbook.engine.kernels.low import rounded
from handbook.engine.kernels.pack import BLOCK, PART, quantize, rotate
from handbook.engine.kernels.rows import Rows
from handbook.engine.store import PageStore
from handbook.engine.work import Batch
from handbook.hardware.probe import probe
from handbook.model.attention import Attention
from handbook.model.layers import RMSNorm, SwiGLU, rms_norm
from handbook.model.rope import apply_rope
from handbook.model.transformer import Block, Transformer


def whole_numbers_pay() -> bool:
    """Whether this processor multiplies bytes at once, so that torch's int8 product is the faster one."""
    return bool({"AMX-INT8", "AVX-512 VNNI"} & set(probe().isa))


class Product(NamedTuple):
    """An int8 weight: whole numbers [K, N], scales [N], and the norm before it."""

    whole: Tensor
    scales: Tensor
    bias: Tensor | None
    norm: Tensor | None
    eps: float

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None = None, norm: RMSNorm | None = None) -> "Product":
        """Of a weight [N, K]."""
        whole = torch.empty(weight.shape, dtype=torch.int8)
        scales = torch.empty(len(weight))
        for part in (slice(begin, begin + PART) for begin in range(0, len(weight), PART)):
            rows = weight[part].detach().float()
            whole[part], scales[part] = quantize(rotate(rows) if rows.shape[1] % BLOCK == 0 else rows)
        before = (None, 0.0) if norm is None else (norm.weight.detach().float(), norm.eps)
        return cls(whole.t(), scales, None if bias is None else bias.detach().float(), *before)

    def by(self, x: Tensor, hadamard: Tensor, added: "Added" = ()) -> Tensor:
        """x [M, K] -> [M, N], fp32. added: what adapters add, which read x as it is before it is rounded."""
        if self.norm is not None:
            x = rms_norm(x, self.norm, self.eps)
        before = x
        if x.shape[1] % BLOCK == 0:
            x = (x.view(-1, BLOCK) @ hadamard).view(x.shape)
        largest = x.abs().amax(dim=1, keepdim=True).clamp(min=1e-30)
        whole = (x * (127.0 / largest)).round_().to(torch.int8)
        y = torch._int_mm(whole, self.whole) * self.scales
        y *= largest / 127.0
        for (begin, end, _), parts in added:
            for column, low in parts:
                more = F.linear(F.linear(before[begin:end], low.a), low.b)
                y[begin:end, column : column + len(low.b)] += more
        return y if self.bias is None else y.add_(self.bias)


Added = Sequence[tuple[Group, Sequence[tuple[int, Low]]]]
"""For some rows, what is added to a product from which column on."""


class Layer(NamedTuple):
    """A block's four products."""

    qkv: Product
    out: Product
    gate_up: Product
    down: Product


def layer_of(block: Block) -> Layer:
    attention, mlp = block.attention, block.mlp
    assert isinstance(attention, Attention)
    assert isinstance(mlp, SwiGLU)
    norms = (block.attention_norm, block.mlp_norm)
    assert isinstance(norms[0], RMSNorm)
    assert isinstance(norms[1], RMSNorm)
    parts, both = (attention.query, attention.key, attention.value), (mlp.gate, mlp.up)
    biases = [
        None if some[0].bias is None else torch.cat([part.bias for part in some]) for some in (parts, both)
    ]
    return Layer(
        Product.of(torch.cat([part.weight for part in parts]), biases[0], norms[0]),
        Product.of(attention.out.weight, attention.out.bias),
        Product.of(torch.cat([part.weight for part in both]), biases[1], norms[1]),
        Product.of(mlp.down.weight, mlp.down.bias),
    )


def _rounded(low: Low) -> Low:
    whole, scales = rounded(low)
    return Low(whole.a, whole.b * scales)


class TwinExecutor:
    """A model in int8 and its pages. Interface as `TorchExecutor`. Raises ValueError for a model that is
    `unfit`."""

    def __init__(self, model: Transformer, store: PageStore) -> None:
        if faults := unfit(model.config):
            raise ValueError(f"int8 products don't compute {', '.join(faults)}")
        self.model, self.store = model, store
        self.layers = [layer_of(block) for block in model.blocks]  # type: ignore[arg-type]
        assert isinstance(model.norm, RMSNorm)
        head = model.embed.weight if model.head is None else model.head.weight
        self.head = Product.of(head, None if model.head is None else model.head.bias, model.norm)
        self.embed = Rows(model.embed.weight)
        self.hadamard = rotate(torch.eye(BLOCK))
        self.adapters: dict[int, list[list[list[tuple[int, Low]]]]] = {}  # of each: by layer and product

    @property
    def label(self) -> str:
        """What computes, in words."""
        return f"torch, int8 products, {str(self.store.keys.dtype).removeprefix('torch.')} cache"

    def release(self) -> None:
        """As `FastExecutor.release`."""
        self.model.to_empty(device="meta")

    def adapt(self, number: int, lows: Lows) -> None:
        """See `Adapting`. Rounded as the kernels' are."""
        there = places(self.model)
        layers = []
        for layer in range(len(self.layers)):
            products = []
            for paths in paths_of(layer):
                begins = accumulate((there[path].out_features for path in paths), initial=0)
                parts = zip(begins, paths, strict=False)
                products.append([(at, _rounded(lows[path])) for at, path in parts if path in lows])
            layers.append(products)
        self.adapters[number] = layers

    def drop(self, number: int) -> None:
        """See `Adapting`."""
        self.adapters.pop(number, None)

    @torch.inference_mode()
    def run(self, batch: Batch) -> Tensor:
        now = Sorted.of(batch)
        batch = now.batch
        groups = [group for group in groups_of(batch.work) if group.number in self.adapters]
        self.store.prepare(batch)
        c, turn = self.model.config, self.hadamard
        if not batch.work:
            return torch.empty(0, c.vocab_size)
        packed = Packed(self.model, self.store, batch.work)
        rope = self.model.rotation(packed.positions)
        x = torch.empty(batch.tokens, c.dim)
        self.embed.find(packed.tokens, x)
        for number, layer in enumerate(self.layers):
            found = [(group, self.adapters[group.number][number]) for group in groups]
            qkv, out, gate_up, down = ([(g, products[n]) for g, products in found] for n in range(4))
            heads = layer.qkv.by(x, turn, qkv).view(len(x), -1, c.head_dim)
            heads = heads.transpose(0, 1)[None]  # [1, H + 2J, M, D]
            q, k, v = torch.tensor_split(heads, (c.heads, c.heads + c.kv_heads), dim=1)
            q, k = apply_rope(q, *rope), apply_rope(k, *rope)
            if self.store.keys.dtype == torch.bfloat16:
                q = q.bfloat16().float()  # rounded as the keys are
            y = packed.attend(number, q, k, v, c.attention_scale, None)
            x += layer.out.by(y[0].transpose(0, 1).reshape(len(x), -1), turn, out)
            gate, up = layer.gate_up.by(x, turn, gate_up).chunk(2, dim=1)
            x += layer.down.by(F.silu(gate) * up, turn, down)
        return self.head.by(x[torch.tensor(now.wanted(), dtype=torch.long)], turn)
