"""Hidden tests: the definition box by box, the threshold itself, no area, limits, empty, large."""

import numpy as np

from handbook.practice.checks import equal, unchanged


def iou(a, b):
    sides = [min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1)]
    if min(sides) <= 0:
        return 0.0
    overlap = sides[0] * sides[1]
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def by_definition(boxes, scores, labels, threshold, limit=None):
    chosen = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        same = [j for j in chosen if labels[j] == labels[i]]
        if all(iou(boxes[i], boxes[j]) <= threshold for j in same):
            chosen.append(i)
    return np.array(chosen[:limit], dtype=np.int64)


def scene(seed, count, size=20, levels=6):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, size, (count, 2)).astype(float)
    boxes = np.concatenate((low, low + rng.integers(0, 8, (count, 2))), axis=1)
    return boxes, rng.integers(0, levels, count) / levels, rng.integers(0, 3, count)


def test_definition_box_by_box(submission):
    """Random small scenes with ties, three classes and boxes without area."""
    for seed in range(12):
        boxes, scores, labels = scene(seed, 25)
        for threshold in (0.0, 0.3, 0.5, 1.0):
            got = submission.nms(boxes, scores, labels, threshold)
            equal(
                got, by_definition(boxes, scores, labels, threshold), f"scene {seed}, threshold {threshold}"
            )


def test_equal_to_the_threshold_is_kept(submission):
    """An IoU of exactly one half at threshold one half, and identical boxes at threshold 1."""
    boxes = np.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 2.0]])
    labels, scores = np.zeros(2, dtype=np.int64), np.array([0.9, 0.8])
    equal(submission.nms(boxes, scores, labels, 0.5), np.array([0, 1]), "IoU 0.5 at threshold 0.5")
    twice = boxes[[0, 0]]
    equal(submission.nms(twice, scores, labels, 1.0), np.array([0, 1]), "the same box twice at threshold 1")


def test_boxes_without_area_stay(submission):
    """Two equal points have no union, so nothing is above the threshold, and nothing warns."""
    boxes = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 2.0, 2.0]])
    got = submission.nms(boxes, np.array([0.3, 0.2, 0.1]), np.zeros(3, dtype=np.int64), 0.0)
    equal(got, np.array([0, 1, 2]), "two points and a box around them at threshold 0")


def test_limit_counts_kept_boxes(submission):
    """The limit is over all classes and counts what is kept, not what is looked at."""
    boxes, scores, labels = scene(40, 60)
    for limit in (*range(25), 60, 1000):
        got = submission.nms(boxes, scores, labels, 0.4, limit)
        equal(got, by_definition(boxes, scores, labels, 0.4, limit), f"limit {limit}")


def test_no_boxes(submission):
    """Nothing in, an empty int64 array out."""
    none = np.zeros((0, 4))
    got = submission.nms(none, np.zeros(0), np.zeros(0, dtype=np.int64), 0.5)
    equal(got.shape, (0,), "shape for no boxes")
    assert got.dtype == np.int64, f"no boxes: expected dtype int64, got {got.dtype}"


def test_other_coordinates_and_labels(submission):
    """Moving or shrinking the whole scene, or renaming classes, changes nothing."""
    boxes, scores, labels = scene(41, 40)
    expected = by_definition(boxes, scores, labels, 0.3)
    equal(submission.nms(boxes - 1000.0, scores, labels, 0.3), expected, "scene moved by -1000")
    equal(submission.nms(boxes, scores, -5 * labels, 0.3), expected, "labels times -5")
    equal(submission.nms(boxes, scores - 10.0, labels, 0.3), expected, "scores below 0")
    equal(submission.nms(boxes / 64, scores, labels, 0.3), expected, "boxes much smaller than 1")


def test_small_integers(submission):
    """Boxes and scores of uint8: areas and negated scores must not wrap."""
    boxes, scores, labels = scene(42, 40, size=100)
    boxes, scores = (boxes * 2).astype(np.uint8), (scores * 255).astype(np.uint8)
    expected = by_definition(boxes.astype(float), scores.astype(float), labels, 0.3)
    equal(submission.nms(boxes, scores, labels, 0.3), expected, "boxes and scores of uint8")


def test_large_scene_and_arguments_unchanged(submission):
    """20,000 boxes around 200 things: memory for all pairs would be 3.2 GB."""
    rng = np.random.default_rng(5)
    centres = np.stack(np.meshgrid(np.arange(20.0), np.arange(10.0)), axis=-1).reshape(-1, 2) * 100
    which = np.concatenate((np.arange(200), rng.integers(0, 200, 19_800)))
    low = centres[which] + rng.uniform(-2, 2, (20_000, 2))
    boxes = np.concatenate((low, low + 50), axis=1)
    scores, labels = rng.permutation(20_000) / 20_000, np.zeros(20_000, dtype=np.int64)
    best = [np.flatnonzero(which == k)[np.argmax(scores[which == k])] for k in range(200)]
    expected = np.array(sorted(best, key=lambda i: -scores[i]), dtype=np.int64)
    before = boxes.copy(), scores.copy(), labels.copy()
    equal(submission.nms(boxes, scores, labels, 0.5), expected, "the best box of each of 200 things")
    for now, kept, name in zip((boxes, scores, labels), before, ("boxes", "scores", "labels"), strict=True):
        unchanged(now, kept, name)


def growth_input(n):
    """Boxes that all stay: the worst case."""
    low = np.arange(n, dtype=np.float64)[:, None] * 2.0
    boxes = np.concatenate((low, low, low + 1.0, low + 1.0), axis=1)
    return boxes, np.linspace(1.0, 0.0, n), np.zeros(n, dtype=np.int64), 0.5
