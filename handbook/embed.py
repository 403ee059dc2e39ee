"""The Embedder seam: texts in, unit vectors out.

No torch is imported here at module level; `LocalEmbedder` loads the encoder at the first call.

Book: architectures/transformer-deep-dive
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]: ...  # [N, D], rows of length 1
