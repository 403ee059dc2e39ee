"""The kernels in plain torch: what they compute, for tests and for whoever reads.

Axes: M rows, K inputs, N outputs, H query heads, J key and value heads, D head size, S slots.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.engine.kernels import abi
from handbook.engine.kernels.pack import HALF, PANEL, Linear, rotate
from handbook.model.attention import attend
from handbook.model.layers import rms_norm
from handbook.model.rope import apply_rope


def unpack(linear: Linear) -> Tensor:
    """The weight [N, K] as it is multiplied, in fp32 but for int8, whose scales it lacks."""
    weight = linear.weight.transpose(1, 2).flatten(2).flatten(0, 1)  # [N', K]
    return weight[: linear.struct.outputs].float()


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [M, K] -> whole numbers within +-127 (as fp32) and the scale of each row [M]."""
    largest = x.abs().amax(dim=1)
    by = torch.where(largest > 0, torch.full_like(largest, 127.0) / largest, 0.0)  # 127.0 / x rounds twice
    return (x * by[:, None]).round(), largest / 127.0


def linear_plain(linear: Linear, x: Tensor, y: Tensor | None = None) -> Tensor:
    """x [M, K] -> [M, N], or [M, N / 2] with SwiGLU's gate; y is what ADD adds to."""
    s, weight = linear.struct, unpack(linear)
    if linear.norm is not None:
        x = rms_norm(x, linear.norm, s.eps)
    if s.kind == abi.INT8:
        assert linear.scales is not None
        whole, scales = quantize_rows(rotate(x) if s.rotate else x)
        sums = (whole.double() @ weight.double().T).float()  # whole numbers: exact
        product = sums * (linear.scales[: s.outputs] * scales[:, None])
    else:
        product = F.linear(x.bfloat16().float() if s.kind == abi.BF16 else x, weight)
    if linear.bias is not None:
        product = product + linear.bias[: s.outputs]
    if s.after == abi.SILU:
        halves = product.view(len(x), -1, 2, HALF)
        assert PANEL == 2 * HALF
        return (F.silu(halves[:, :, 0]) * halves[:, :, 1]).flatten(1)
    if s.after == abi.ADD:
        assert y is not None
        return y + product
    return product


def attend_plain(
    qkv: Tensor,
    keys: Tensor,
    values: Tensor,
    slots: Sequence[Tensor],
    counts: Sequence[int],
    rope: tuple[Tensor, Tensor],
    heads: int,
) -> Tensor:
    """qkv [M, (H + 2J) * D] of several sequences, `counts` rows each -> [M, H * D].

    slots: where all positions of each lie, the new ones last. Writes the new keys and values [S, J, D]. rope:
    cos and sin of the M rows.
    """
    J, D = keys.shape[1:]
    rows = qkv.view(len(qkv), -1, D).transpose(0, 1)  # [H + 2J, M, D]
    q, k = apply_rope(rows[:heads], *rope), apply_rope(rows[heads : heads + J], *rope)
    q = q.to(keys.dtype).float()  # rounded as the keys are
    v = rows[heads + J :]
    out, begin = [], 0
    for places, count in zip(slots, counts, strict=True):
        new, end = places[-count:], begin + count
        keys[new] = k[:, begin:end].transpose(0, 1).to(keys.dtype)
        values[new] = v[:, begin:end].transpose(0, 1).to(values.dtype)
        seen = torch.ones(count, len(places), dtype=torch.bool).tril(len(places) - count)
        held_k, held_v = (block[places].transpose(0, 1)[None].float() for block in (keys, values))
        y = attend(q[None, :, begin:end], held_k, held_v, seen)[0]  # [H, count, D]
        out.append(y.transpose(0, 1).flatten(1))
        begin = end
    return torch.cat(out)
