# Fault: takes the training gradient in evaluation too.
# Rejected by: test_gradients_by_differences_in_evaluation

import numpy as np


def _over(x: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes that a channel's mean runs over, and the shape in which [C] broadcasts against x."""
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    return axes, tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))


def forward(
    x: np.ndarray,  # [N, C, ...]
    gamma: np.ndarray,  # [C]
    beta: np.ndarray,  # [C]
    mean: np.ndarray,  # [C], running
    variance: np.ndarray,  # [C], running
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[np.ndarray, tuple, np.ndarray, np.ndarray]:  # y, cache, new running mean and variance
    """Raises ValueError in training where a channel has a single value."""
    axes, wide = _over(x)
    centre, spread = mean, variance
    if training:
        count = x.size // x.shape[1]
        if count < 2:
            raise ValueError(f"Expected more than one value a channel in training, got x of {x.shape}.")
        centre, spread = x.mean(axis=axes), x.var(axis=axes)
        mean = (1 - momentum) * mean + momentum * centre
        variance = (1 - momentum) * variance + momentum * spread * count / (count - 1)
    deviation = np.sqrt(spread + eps).reshape(wide)
    normal = (x - centre.reshape(wide)) / deviation
    y = gamma.reshape(wide) * normal + beta.reshape(wide)
    return y, (normal, deviation, gamma, training), mean.copy(), variance.copy()


def backward(
    dy: np.ndarray,  # [N, C, ...]
    cache: tuple,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # dx, dgamma [C], dbeta [C]
    """In training the statistics hang on x: two corrections. In evaluation they are constants."""
    normal, deviation, gamma, training = cache
    axes, wide = _over(dy)
    g = dy * gamma.reshape(wide)
    if training or dy.size > 0:
        along = (g * normal).mean(axis=axes, keepdims=True)
        g = g - g.mean(axis=axes, keepdims=True) - normal * along
    return g / deviation, (dy * normal).sum(axis=axes), dy.sum(axis=axes)
