"""The solution is the handbook's own, on torch tensors: `accept_by_rejection`, with `leftover` and `draw`.

Why it is exact: x comes out by being drafted and kept with probability q(x) · min(1, p(x)/q(x)) = min(p(x),
q(x)). A draft is rejected with probability 1 − Σ min(p, q), which is also Σ max(p − q, 0), and then x is
drawn with probability max(p(x) − q(x), 0) over that same sum. Together: min(p(x), q(x)) + max(p(x) − q(x), 0)
= p(x), whatever q is.
"""

import numpy as np
import torch

from handbook.engine.speculative import accept_by_rejection


def verify(
    drafts: list[int],  # k tokens
    q: np.ndarray,  # [k, V], what they were drawn from
    p: np.ndarray,  # [k + 1, V], what the target says
    uniforms: np.ndarray,  # [k + 1, 2], in [0, 1)
) -> list[int]:  # 1 to k + 1 tokens
    return accept_by_rejection(drafts, torch.from_numpy(q), torch.from_numpy(p), uniforms.flatten().tolist())
