"""Which drafts stay, and the token that comes next."""

import numpy as np


def verify(
    drafts: list[int],  # k tokens
    q: np.ndarray,  # [k, V], what they were drawn from
    p: np.ndarray,  # [k + 1, V], what the target says
    uniforms: np.ndarray,  # [k + 1, 2], in [0, 1)
) -> list[int]:  # 1 to k + 1 tokens
    raise NotImplementedError("accept, or draw from what is left over; one token more at the end")
