"""A table of rows that are looked up, kept small where nothing is lost by it: the embeddings.

Three forms, the smallest that gives every number back to the last bit: whole numbers within +-127 with a
scale for 32 of them (what a file quantised as Q8_0 holds; ggml-org, llama.cpp, `ggml-quants.c`), bf16 (what
most checkpoints hold), or the numbers as they are.

Axes: V rows, C width, M rows that are wanted.
"""

import torch
from torch import Tensor

GROUP = 32
PART = 2048  # rows that are looked at together


class Rows:
    """A table [V, C] that answers with fp32 rows, equal to those it was made of."""

    def __init__(self, table: Tensor) -> None:
        self.values, self.scales = _small(table.detach())

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + (0 if self.scales is None else self.scales.nbytes)

    def find(self, ids: Tensor, out: Tensor) -> None:
        """Rows `ids` [M] into out [M, C], fp32. By `index_select`: `table[ids]` begins a parallel region,
        which waits for a core when neighbours have it (10 ms a step, seen)."""
        if self.scales is not None:
            torch.mul(
                self.values.index_select(0, ids).view(len(ids), -1, GROUP),
                self.scales.index_select(0, ids).float()[:, :, None],
                out=out.view(len(ids), -1, GROUP),
            )
        elif self.values.dtype == torch.float32:
            torch.index_select(self.values, 0, ids, out=out)
        else:
            out.copy_(self.values.index_select(0, ids))


def _small(table: Tensor) -> tuple[Tensor, Tensor | None]:
    """Values and scales [V, C / 32], or None. A part after another: a table may be large."""
    parts = [slice(begin, begin + PART) for begin in range(0, len(table), PART)]
    if table.shape[1] % GROUP == 0:
        values = torch.empty(table.shape, dtype=torch.int8)
        scales = torch.empty(len(table), table.shape[1] // GROUP, dtype=torch.float16)
        if all(_grouped(table[part], values[part], scales[part]) for part in parts):
            return values, scales
    if all(torch.equal(table[part].bfloat16().float(), table[part].float()) for part in parts):
        return table.bfloat16(), None
    return table.float(), None


def _grouped(part: Tensor, values: Tensor, scales: Tensor) -> bool:
    """Fill values and scales; whether they say the same."""
    groups = part.float().view(len(part), -1, GROUP)
    scale = (groups.abs().amax(dim=-1) / 127).half()
    whole = (groups / scale.float().clamp(min=1e-30)[:, :, None]).round().clamp(-127, 127)
    scales.copy_(scale)
    values.copy_(whole.flatten(1))
    return torch.equal(whole * scale.float()[:, :, None], groups)
