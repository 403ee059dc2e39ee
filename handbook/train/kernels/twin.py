"""The parts of a block between its products, forward and back, in plain torch: what the kernels are held to.

Every part takes rows [N, ...] in the products' dtype (narrow) and keeps the residual stream in fp32. Outputs
go where the caller says, because some stand beside what LoRA adds in one wider matrix.

Axes: N rows, C width, F hidden width, H query heads, J key and value heads, D head size, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.model.rope import apply_rope


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows begin : end that see each other causally, and before them all rows of the stretch `prefix` (its
    number; a prompt that two answers share), which stands before it and has none itself."""

    begin: int
    end: int
    prefix: int | None = None


@dataclass(frozen=True, slots=True)
class Heads:
    """H, J, D and the scale of scores. A row of qkv is H + 2 J heads wide."""

    heads: int
    kv_heads: int
    size: int
    scale: float


class Parts(Protocol):
    """One way to compute them all."""

    def norm(self, x: Tensor, y: Tensor | None, weight: Tensor, eps: float, out: Tensor) -> Tensor:
        """x [N, C] fp32 becomes x + y; out = x / rms(x) * weight. Returns 1 / rms [N]."""
        ...

    def norm_back(
        self, grad: Tensor, slope: Tensor, x: Tensor, weight: Tensor, root: Tensor, narrow: Tensor
    ) -> None:
        """grad [N, C] fp32 gets what the slope of `norm`'s output says of x; narrow is a copy, rounded."""
        ...

    def gate(self, both: Tensor, out: Tensor) -> None:
        """both [N, 2 F] -> out [N, F] = silu(first) * second."""
        ...

    def gate_back(self, both: Tensor, slope: Tensor, out: Tensor, again: Tensor) -> None:
        """slope [N, F] of `gate`'s output -> out [N, 2 F]; again: that output."""
        ...

    def turn(self, x: Tensor, cos: Tensor, sin: Tensor, heads: int, size: int, sign: float) -> None:
        """Rotate the first `heads` heads of x [N, >= heads * D] in place by cos, sin [N, D / 2]."""
        ...

    def attend(self, heads: Heads, stretches: Sequence[Stretch], qkv: Tensor, out: Tensor) -> Tensor:
        """qkv [N, (H + 2 J) D], turned -> out [N, H D]. Returns log sums of weights [H, N]."""
        ...

    def attend_back(
        self,
        heads: Heads,
        stretches: Sequence[Stretch],
        qkv: Tensor,
        y: Tensor,
        slope: Tensor,
        sums: Tensor,
        out: Tensor,
    ) -> None:
        """slope of y [N, H D] -> out, that of qkv."""
        ...

    def pick(self, logits: Tensor, targets: Tensor, slopes: bool) -> Tensor:
        """log softmax(logits [n, V])[targets [n]] -> fp32 [n]; with slopes logits become onehot - softmax."""
        ...


class Twin:
    """`Parts` in plain torch, in any dtype."""

    def norm(self, x: Tensor, y: Tensor | None, weight: Tensor, eps: float, out: Tensor) -> Tensor:
        if y is not None:
            x += y
        root = torch.rsqrt(x.square().mean(dim=1) + eps)
        out.copy_(x * root[:, None] * weight)
        return root

    def norm_back(
        self, grad: Tensor, slope: Tensor, x: Tensor, weight: Tensor, root: Tensor, narrow: Tensor
    ) -> None:
        d, unit = slope.float() * weight, x * root[:, None]
        grad += root[:, None] * (d - unit * (d * unit).mean(dim=1, keepdim=True))
        narrow.copy_(grad)

    def gate(self, both: Tensor, out: Tensor) -> None:
        gate, up = both.float().chunk(2, dim=1)
        out.copy_(F.silu(gate) * up)

    def gate_back(self, both: Tensor, slope: Tensor, out: Tensor, again: Tensor) -> None:
        gate, up = both.float().chunk(2, dim=1)
        s, d = gate.sigmoid(), slope.float()
        silu = gate * s
        again.copy_(silu * up)
        out.copy_(torch.cat((d * up * (s + silu - silu * s), d * silu), dim=1))

    def turn(self, x: Tensor, cos: Tensor, sin: Tensor, heads: int, size: int, sign: float) -> None:
        part = x[:, : heads * size]
        turned = apply_rope(part.float().unflatten(1, (heads, size)).transpose(0, 1), cos, sin * sign)  # type: ignore[no-untyped-call]
        part.copy_(turned.transpose(0, 1).flatten(1))

    def attend(self, heads: Heads, stretches: Sequence[Stretch], qkv: Tensor, out: Tensor) -> Tensor:
        sums = torch.empty(heads.heads, len(qkv))
        for stretch in stretches:
            rows = slice(stretch.begin, stretch.end)
            q, k, v, mask = self._stretch(heads, stretches, stretch, qkv)
            scores = (q @ k.transpose(1, 2)).float() * heads.scale
            scores.masked_fill_(~mask, -torch.inf)
            sums[:, rows] = scores.logsumexp(dim=2)
            y = scores.softmax(dim=2).to(qkv.dtype) @ v
            out[rows] = y.transpose(0, 1).flatten(1)
        return sums

    def attend_back(
        self,
        heads: Heads,
        stretches: Sequence[Stretch],
        qkv: Tensor,
        y: Tensor,
        slope: Tensor,
        sums: Tensor,
        out: Tensor,
    ) -> None:
        H, J, D = heads.heads, heads.kv_heads, heads.size
        wide = torch.zeros(out.shape, dtype=torch.float32)
        inner = (y.float() * slope.float()).view(-1, H, D).sum(dim=2).T  # [H, N]
        for stretch in stretches:
            rows = slice(stretch.begin, stretch.end)
            q, k, v, mask = self._stretch(heads, stretches, stretch, qkv)
            d = slope[rows].view(-1, H, D).transpose(0, 1)
            scores = (q @ k.transpose(1, 2)).float() * heads.scale
            weights = (scores - sums[:, rows, None]).exp_().masked_fill_(~mask, 0.0)
            slopes = (
                (d @ v.transpose(1, 2)).float().sub_(inner[:, rows, None]).mul_(weights).mul_(heads.scale)
            )
            slopes, weights = slopes.to(qkv.dtype), weights.to(qkv.dtype)
            to_q = (slopes @ k).transpose(0, 1).flatten(1)
            to_k = (slopes.transpose(1, 2) @ q).unflatten(0, (J, -1)).float().sum(dim=1)  # type: ignore[no-untyped-call]
            to_v = (weights.transpose(1, 2) @ d).unflatten(0, (J, -1)).float().sum(dim=1)  # type: ignore[no-untyped-call]
            wide[rows, : H * D] = to_q.float()
            to_both = torch.cat((to_k, to_v)).transpose(0, 1).flatten(1)  # [S, 2 J D]
            wide[rows, H * D :] += to_both[-(stretch.end - stretch.begin) :]
            if stretch.prefix is not None:
                first = stretches[stretch.prefix]
                wide[first.begin : first.end, H * D :] += to_both[: first.end - first.begin]
        out.copy_(wide)

    def _stretch(
        self, heads: Heads, stretches: Sequence[Stretch], stretch: Stretch, qkv: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """q [H, T, D]; k, v [H, S, D] of the prefix and the stretch; who may look where [T, S]."""
        H, J, D = heads.heads, heads.kv_heads, heads.size
        own = qkv[stretch.begin : stretch.end]
        seen, T = own[:, H * D :], len(own)
        if stretch.prefix is not None:
            first = stretches[stretch.prefix]
            seen = torch.cat((qkv[first.begin : first.end, H * D :], seen))
        k, v = seen.reshape(len(seen), 2, J, D).permute(1, 2, 0, 3).repeat_interleave(H // J, dim=1)
        q = own[:, : H * D].reshape(T, H, D).transpose(0, 1)
        mask = torch.arange(len(seen)) <= torch.arange(len(seen) - T, len(seen))[:, None]
        return q, k, v, mask

    def pick(self, logits: Tensor, targets: Tensor, slopes: bool) -> Tensor:
        wide = logits.float()
        total = wide.logsumexp(dim=1)
        found = wide.gather(1, targets[:, None])[:, 0] - total
        if slopes:
            slope = (
                wide.sub_(total[:, None]).exp_().neg_()
                if wide is not logits
                else -(wide - total[:, None]).exp()
            )
            slope.scatter_add_(1, targets[:, None], torch.ones(len(targets), 1))
            logits.copy_(slope)
        return found
