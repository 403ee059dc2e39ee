"""The kernels in plain torch: what they compute, for tests and for whoever reads.

Axes: M rows, K inputs, N outputs, H query heads, J key and value heads, D head size, S slots.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.engine.kernels import abi
from handbook.engine.kernels.pack import GROUP, HALF, PANEL, Linear, rotate
from handbook.engine.store import rounded
from handbook.model.attention import attend
from handbook.model.layers import rms_norm
from handbook.model.rope import apply_rope


def unpack(linear: Linear) -> Tensor:
    """The weight [N, K] as it is multiplied, in fp32 but for int8, whose scales it lacks."""
    if linear.struct.kind == abi.INT4:
        return unpack_small(linear)
    weight = linear.weight.transpose(1, 2).flatten(2).flatten(0, 1)  # [N', K]
    return weight[: linear.struct.outputs].float()


def unpack_small(linear: Linear) -> Tensor:
    """int4's weight [N, K], scales and all."""
    P, G, _ = linear.weight.shape
    both = linear.weight[..., : GROUP * HALF].view(P, G, GROUP // 4, HALF, 4)
    whole = torch.cat((both & 15, both >> 4), dim=3).float()  # [P, G, 8, 32, 4]
    numbers = linear.weight[..., GROUP * HALF :].contiguous().view(torch.float16).float()
    scale, least = (x[:, :, None, :, None] for x in numbers.view(P, G, 2, PANEL).unbind(2))
    weight = (whole * scale + least).permute(0, 3, 1, 2, 4).reshape(P * PANEL, G * GROUP)
    return weight[: linear.struct.outputs]


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
    elif s.kind == abi.INT4:
        whole, scales = quantize_rows(x.reshape(-1, GROUP))
        product = F.linear((whole * scales[:, None]).view(x.shape), weight)
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
    scales: Sequence[Tensor] = (),
) -> Tensor:
    """qkv [M, (H + 2J) * D] of several sequences, `counts` rows each -> [M, H * D].

    slots: where all positions of each lie, the new ones last. Writes the new keys and values [S, J, D]. rope:
    cos and sin of the M rows. scales: of keys and of values, [S, J] each, where those are int8.
    """
    J, D = keys.shape[1:]
    rows = qkv.view(len(qkv), -1, D).transpose(0, 1)  # [H + 2J, M, D]
    q, k = apply_rope(rows[:heads], *rope), apply_rope(rows[heads : heads + J], *rope)
    if not scales:
        q = q.to(keys.dtype).float()  # rounded as the keys are
    v = rows[heads + J :]
    out, begin = [], 0
    for places, count in zip(slots, counts, strict=True):
        new, end = places[-count:], begin + count
        held = []
        for which, (block, rows) in enumerate(((keys, k), (values, v))):
            one = rows[:, begin:end].transpose(0, 1)
            if scales:
                block[new], scales[which][new] = rounded(one)
                held.append(block[places] * scales[which][places][..., None])
            else:
                block[new] = one.to(block.dtype)
                held.append(block[places].float())
        seen = torch.ones(count, len(places), dtype=torch.bool).tril(len(places) - count)
        held_k, held_v = (x.transpose(0, 1)[None] for x in held)
        y = attend(q[None, :, begin:end], held_k, held_v, seen)[0]  # [H, count, D]
        out.append(y.transpose(0, 1).flatten(1))
        begin = end
    return torch.cat(out)
