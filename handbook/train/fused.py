"""A block of the decoder, forward and back, as one step of autograd: for adapters over a frozen base.

What the plain path spends beside its products is what this leaves out. Gradients of frozen weights are never
asked for. Projections that read the same input are one product, and LoRA's change rides in it: with
u = A x beside x, and s B beside W, [x u] [W sB]^T is the layer and its change at once; on the way back
[g du] [W; A] gives the input's gradient the same way. Of a block stay what its products made; norms and the
gate are computed again, products are not. Norms, rotation, gate and attention are `kernels`, in C++ for bf16
where a compiler is, else in torch. The residual stream is fp32 throughout.

`forward.hidden` comes here for a model that `precision.prepare` has prepared.

Axes: N rows, C width, F hidden width, O channels out, I channels in, R ranks of a product's adapters.

Book: model-training/fine-tuning-strategies
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from handbook.model.attention import Attention
from handbook.model.layers import RMSNorm, SwiGLU, rms_norm
from handbook.model.transformer import Block, Transformer
from handbook.quantize.layers import NF4Linear
from handbook.train.forward import Row
from handbook.train.kernels import native
from handbook.train.kernels.twin import Heads, Parts, Stretch, Twin
from handbook.train.lora import LoRALinear
from handbook.train.rooms import Pool, Rooms
from handbook.train.sharing import lay

Grads = list[Tensor]


class Product:
    """Frozen layers that read the same input, stacked to [O, I], with room for their adapters' factors.

    matrix [O + R, I + R]: [[W, s B], [A, 0]], B in blocks, one an adapter. The layers' own weights become
    views of it, so that nothing is held twice. Rows that it is given are I + R wide, or O + R on the way
    back: the last R columns are its own.
    """

    def __init__(self, layers: list[nn.Module], dtype: torch.dtype) -> None:
        self.layers = layers
        self.adapters = [layer if isinstance(layer, LoRALinear) else None for layer in layers]
        bases: list[Any] = [layer.base if isinstance(layer, LoRALinear) else layer for layer in layers]
        self.heights = [len(base.weight) for base in bases]
        self.ranks = [0 if adapter is None else len(adapter.factors.a) for adapter in self.adapters]
        self.O, self.I, self.R = sum(self.heights), bases[0].weight.shape[1], sum(self.ranks)
        self.matrix = torch.zeros(self.O + self.R, self.I + self.R, dtype=dtype)
        row = 0
        for base, height in zip(bases, self.heights, strict=True):
            place = self.matrix[row : row + height, : self.I]
            place.copy_(base.weight.detach())
            base.weight.data = place
            row += height
        self.first = bases[0]

    def holds(self) -> bool:
        """Whether the layers still have the weights in the matrix; `model.to(...)` gives them others."""
        return bool(self.first.weight.data_ptr() == self.matrix.data_ptr())

    def blocks(self) -> "list[tuple[LoRALinear, slice, slice]]":
        """Each adapter, the rows of the layer that it changes, and which of the R are its own."""
        found, row, rank = [], 0, 0
        for adapter, height, width in zip(self.adapters, self.heights, self.ranks, strict=True):
            if adapter is not None:
                found.append((adapter, slice(row, row + height), slice(rank, rank + width)))
            row, rank = row + height, rank + width
        return found

    @property
    def parameters(self) -> list[Tensor]:
        return [factor for adapter, _, _ in self.blocks() for factor in (adapter.a, adapter.b)]

    @torch.no_grad()
    def refresh(self) -> None:
        """Take the factors as they are now."""
        for adapter, rows, own in self.blocks():
            f = adapter.factors
            self.matrix[self.O + own.start : self.O + own.stop, : self.I] = f.a
            self.matrix[rows, self.I + own.start : self.I + own.stop] = f.b * f.scale

    def forward(self, wide: Tensor, on: bool, out: Tensor) -> Tensor:
        """wide [N, I + R], its first I columns given -> out [N, O]; the others become u."""
        if not on or not self.R:
            return torch.mm(wide[:, : self.I], self.matrix[: self.O, : self.I].T, out=out)
        torch.mm(wide[:, : self.I], self.matrix[self.O :, : self.I].T, out=wide[:, self.I :])
        return torch.mm(wide, self.matrix[: self.O].T, out=out)

    def back(self, wide: Tensor, out: Tensor) -> Tensor:
        """The output's gradient wide [N, O + R], its first O columns given -> out [N, I], the input's; the
        others become du."""
        if self.R:
            torch.mm(wide[:, : self.O], self.matrix[: self.O, self.I :], out=wide[:, self.O :])
        return torch.mm(wide, self.matrix[:, : self.I], out=out)

    def grads(self, wide: Tensor, x: Tensor, u: Tensor) -> Grads:
        """Of each adapter's a and b: wide as `back` left it, input x [N, I], u [N, R]."""
        if not self.R:
            return []
        to_a = wide[:, self.O :].T @ x
        found = []
        for adapter, rows, own in self.blocks():
            to_b = (u[:, own].T @ wide[:, rows]).T  # torch is faster with the narrow side first
            r = len(adapter.a)  # PiSSA's own beginning stands behind it, and isn't trained
            found.append(to_a[own][:r].to(adapter.a.dtype))
            found.append(to_b[:, :r].to(adapter.b.dtype) * adapter.scale)
        return found


def product_of(layers: list[nn.Module], dtype: torch.dtype) -> Product:
    """Where a layer's weight is in four bits, one that makes its matrix when it is needed."""
    from handbook.train.fused_nf4 import NF4Product  # which is built on this module

    quantized = any(isinstance(module, NF4Linear) for layer in layers for module in layer.modules())
    return (NF4Product if quantized else Product)(layers, dtype)


@dataclass(frozen=True, slots=True)
class Laying:
    """What blocks know of the row: its stretches and each row's rotation, cos and sin [N, D / 2]; whether the
    adapters count, and whether there will be a way back."""

    stretches: tuple[Stretch, ...]
    cos: Tensor
    sin: Tensor
    on: bool
    keeps: bool


class Layer:
    """One block's products, norms and head sizes."""

    def __init__(self, block: Block, dtype: torch.dtype, parts: Parts, pool: Pool) -> None:
        attention, network = block.attention, block.mlp
        assert isinstance(attention, Attention)
        assert isinstance(network, SwiGLU)
        self.parts, self.pool = parts, pool
        self.norms: list[Any] = [block.attention_norm, block.mlp_norm]
        self.weights = [norm.weight.detach().float().contiguous() for norm in self.norms]
        D = attention.head_dim
        scale = D**-0.5 if attention.scale is None else attention.scale
        self.heads = Heads(attention.heads, attention.kv_heads, D, scale)
        self.qkv = product_of([attention.query, attention.key, attention.value], dtype)
        self.out = product_of([attention.out], dtype)
        self.gate_up = product_of([network.gate, network.up], dtype)
        self.down = product_of([network.down], dtype)
        self.products = (self.qkv, self.out, self.gate_up, self.down)

    @property
    def parameters(self) -> list[Tensor]:
        return [factor for product in self.products for factor in product.parameters]

    def norm(self, which: int, x: Tensor, y: Tensor | None, out: Tensor) -> Tensor:
        return self.parts.norm(x, y, self.weights[which], self.norms[which].eps, out)

    def turn(self, qkv: Tensor, laying: Laying, sign: float) -> None:
        heads = self.heads.heads + self.heads.kv_heads
        self.parts.turn(qkv, laying.cos, laying.sin, heads, self.heads.size, sign)

    def __call__(self, x: Tensor, laying: Laying) -> Tensor:
        return _Block.apply(x, self, laying, *self.parameters)  # type: ignore[no-any-return,no-untyped-call]


class _Block(torch.autograd.Function):
    """x + attention(norm(x)), then x + mlp(norm(x)): [N, C] fp32 -> [N, C] fp32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Layer, laying: Laying, *factors: Tensor) -> Tensor:
        p, on, N = layer.parts, laying.on, len(x)
        qkv_, out_, both_, down_ = layer.products
        with Rooms(layer.pool, N, qkv_.matrix.dtype) as rooms:
            wide, qkv = rooms.passing(qkv_.I + qkv_.R), rooms.staying(qkv_.O)
            root = layer.norm(0, x, None, wide[:, : qkv_.I])
            qkv_.forward(wide, on, qkv)
            u_qkv = wide[:, qkv_.I :].clone()
            layer.turn(qkv, laying, 1.0)

            y, added = rooms.staying(out_.I + out_.R), rooms.passing(out_.O)
            sums = p.attend(layer.heads, laying.stretches, qkv, y[:, : out_.I])
            out_.forward(y, on, added)

            middle, wide = rooms.staying(len(x[0]), x.dtype).copy_(x), rooms.passing(both_.I + both_.R)
            middle_root = layer.norm(1, middle, added, wide[:, : both_.I])
            both = both_.forward(wide, on, rooms.staying(both_.O))
            u_both = wide[:, both_.I :].clone()

            wide = rooms.passing(down_.I + down_.R)
            p.gate(both, wide[:, : down_.I])
            out = middle + down_.forward(wide, on, added)
            u_down = wide[:, down_.I :].clone()
            ctx.layer, ctx.laying = layer, laying
            if laying.keeps:
                ctx.save_for_backward(x, root, qkv, u_qkv, y, sums, middle, middle_root, both, u_both, u_down)
            else:
                rooms.leave()
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        layer, laying = ctx.layer, ctx.laying
        x, root, qkv, u_qkv, y, sums, middle, middle_root, both, u_both, u_down = ctx.saved_tensors
        p, (N, C) = layer.parts, x.shape
        qkv_, out_, both_, down_ = layer.products
        grad = grad.clone()  # it is added to
        with Rooms(layer.pool, N, qkv_.matrix.dtype) as rooms:
            wide, inner = rooms.passing(C + down_.R), rooms.passing(both_.O + both_.R)
            slope, again = rooms.passing(down_.I), rooms.passing(down_.I)
            wide[:, :C] = grad
            down_.back(wide, slope)
            p.gate_back(both, slope, inner[:, : both_.O], again)
            of_down = down_.grads(wide, again, u_down)

            wide, slope, again = rooms.passing(C + out_.R), rooms.passing(C), rooms.passing(C)
            both_.back(inner, slope)
            layer.norm(1, middle, None, again)
            of_both = both_.grads(inner, again, u_both)
            p.norm_back(grad, slope, middle, layer.weights[1], middle_root, wide[:, :C])

            slope, inner = rooms.passing(out_.I), rooms.passing(qkv_.O + qkv_.R)
            out_.back(wide, slope)
            of_out = out_.grads(wide, y[:, : out_.I], y[:, out_.I :])
            attended, turned = y[:, : out_.I], inner[:, : qkv_.O]
            p.attend_back(layer.heads, laying.stretches, qkv, attended, slope, sums, turned)
            layer.turn(inner, laying, -1.0)

            slope = qkv_.back(inner, rooms.passing(C))
            layer.norm(0, x, None, again)
            of_qkv = qkv_.grads(inner, again, u_qkv)
            p.norm_back(grad, slope, x, layer.weights[0], root, again)
            rooms.stay = [qkv, y, middle, both]
            rooms.leave()
        return grad, None, None, *of_qkv, *of_out, *of_both, *of_down


def faults(model: Transformer) -> list[str]:
    """Why this model's blocks can't be fused; empty where they can."""
    c = model.config
    wanted = {
        "blocks of another layout": c.layout == "pre" and c.latent is None and c.mixture is None,
        "norms other than RMSNorm": c.norm == "rms" and not c.head_norm and not c.width_norm,
        "networks other than SwiGLU": c.network == "swiglu",
        "windows": not any(c.windows),
        "capped or clipped scores": c.attention_softcap is None and c.qkv_clip is None,
        "heads that turn in part": c.rotary_dim in (None, c.head_dim),
        "biases": not (c.qkv_bias or c.out_bias or c.mlp_bias),
        "a device other than the CPU": model.device.type == "cpu",
    }
    found = [fault for fault, fine in wanted.items() if not fine]
    adapted = [module for module in model.modules() if isinstance(module, LoRALinear)]
    theirs = {id(factor) for layer in adapted for factor in (layer.a, layer.b, layer.magnitude)}
    if not adapted or any(p.requires_grad and id(p) not in theirs for p in model.parameters()):
        found.append("weights that train beside LoRA's factors")
    if any(layer.magnitude is not None for layer in adapted):
        found.append("DoRA")
    if any(not isinstance(layer.base, nn.Linear | NF4Linear) for layer in adapted):
        found.append("a base of a kind of its own")
    if any(layer.dropout for layer in adapted):
        found.append("dropout")
    return found


class Fused:
    """A model's blocks, fused. dtype: of weights and products. Raises ValueError where there are `faults`."""

    def __init__(self, model: Transformer, dtype: torch.dtype, parts: Parts | None = None) -> None:
        if found := faults(model):
            raise ValueError(f"the blocks can't be fused: {', '.join(found)}")
        self.parts = parts or parts_for(model, dtype)
        pool = Pool()
        self.layers = [Layer(block, dtype, self.parts, pool) for block in model.blocks]  # type: ignore[arg-type]
        self.adapters = [m for m in model.modules() if isinstance(m, LoRALinear)]
        self.dtype = dtype

    def fits(self, model: Transformer) -> bool:
        """Whether the model's layers are still those that were fused, all on or all off, and none merged."""
        now = [m for m in model.modules() if isinstance(m, LoRALinear)]
        same = len(now) == len(self.adapters) and all(a is b for a, b in zip(now, self.adapters, strict=True))
        if not same or len({a.on for a in now}) != 1 or any(a.kept for a in now):
            return False
        return all(product.holds() for layer in self.layers for product in layer.products)

    def hidden(self, model: Transformer, packed: Row, checkpointing: bool | None) -> Tensor:
        """See `forward.hidden`; blocks are computed again only where that is asked for."""
        trains = torch.is_grad_enabled() and self.adapters[0].on  # else nothing would get a gradient
        with torch.autocast("cpu", enabled=False), torch.set_grad_enabled(trains):
            return self._hidden(model, packed, bool(checkpointing) and trains)

    def _hidden(self, model: Transformer, packed: Row, checkpointing: bool) -> Tensor:
        laid, on = lay(packed), self.adapters[0].on
        tables = []
        for start, end in pairwise(packed.bounds):
            tables.append(model.rotation(packed.positions[start:end], end - start))
        cos, sin = (torch.cat(tables_of)[laid.rows].contiguous() for tables_of in zip(*tables, strict=True))
        laying = Laying(laid.stretches, cos, sin, on, torch.is_grad_enabled())
        x = model.embed(packed.tokens[laid.rows]).float()
        if model.config.scale_embedding:
            x = x * model.config.dim**0.5
        for layer in self.layers:
            if on:
                for product in layer.products:
                    product.refresh()
            x = checkpoint(layer, x, laying, use_reentrant=False) if checkpointing else layer(x, laying)
        assert isinstance(model.norm, RMSNorm)
        states = rms_norm(x, model.norm.weight.float(), model.norm.eps).to(self.dtype)
        return states if laid.back is None else states.index_select(0, laid.back)


def parts_for(model: Transformer, dtype: torch.dtype) -> Parts:
    """The kernels where they fit and can be built, else torch."""
    c = model.config
    if (
        dtype != torch.bfloat16
        or c.head_dim % 32
        or c.head_dim > native.WIDEST
        or c.dim % 16
        or c.hidden_dim % 16
    ):
        return Twin()
    kernels = native.load()
    return Twin() if isinstance(kernels, str) else kernels
