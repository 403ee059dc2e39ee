# Fault: suppresses at an IoU equal to the threshold.
# Rejected by: test_equal_to_the_threshold_is_kept

import numpy as np


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:  # [4], [N, 4] -> [N]
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    overlap = np.maximum(high - low, 0.0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + areas - overlap
    return overlap / np.where(union > 0, union, 1.0)  # no union, no overlap


def nms(
    boxes: np.ndarray,  # [N, 4]
    scores: np.ndarray,  # [N]
    labels: np.ndarray,  # [N]
    threshold: float,
    limit: int | None = None,
) -> np.ndarray:  # [kept] int64, best score first
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"Expected a threshold in 0 to 1, got {threshold}.")
    if limit is not None and limit < 0:
        raise ValueError(f"Expected a limit of at least 0, got {limit}.")
    if not len(boxes) == len(scores) == len(labels):
        raise ValueError(f"Lengths differ: {len(boxes)} boxes, {len(scores)} scores, {len(labels)} labels.")
    boxes, kept = np.asarray(boxes, dtype=np.float64), []
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    most = len(boxes) if limit is None else limit
    while order.size and len(kept) < most:
        best, rest = order[0], order[1:]
        kept.append(best)
        apart = _iou(boxes[best], boxes[rest]) < threshold
        order = rest[apart | (labels[rest] != labels[best])]
    return np.array(kept, dtype=np.int64)
