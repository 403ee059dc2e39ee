"""What the coding lab measures with, by hand and against other ways to the same number."""

import random

import numpy as np
import pytest

from handbook.lab.coding import classic, looks, numerics, streams, structures


def test_variance_by_hand() -> None:
    values = np.array([1, 2, 3, 4], dtype=np.float32)
    assert numerics.one_pass(values) == pytest.approx(1.25)
    assert numerics.welford(values) == pytest.approx(1.25)


def test_overflow_is_where_the_largest_number_says() -> None:
    for kind in (np.float16, np.float32, np.float64):
        assert numerics.overflow_at(kind) == int(np.floor(np.log(float(np.finfo(kind).max)))) + 1


def test_softmax_of_equal_logits() -> None:
    assert numerics.softmax(np.zeros((2, 4))).tolist() == [[0.25] * 4] * 2


def test_checked_is_small_where_it_should_be() -> None:
    assert numerics.checked(1e-5) < 1e-8 < numerics.checked(1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_both_ways_find_the_same_pair(seed: int) -> None:
    chance = random.Random(seed)
    scores = sorted(chance.sample(range(60), 12))
    for target in range(0, 120, 7):
        slow, fast = structures.pairs_by_loops(scores, target), structures.pairs_by_pointers(scores, target)
        assert (slow is None) == (fast is None)
        if slow and fast:
            assert scores[slow[0]] + scores[slow[1]] == scores[fast[0]] + scores[fast[1]] == target


def test_window_maxima_by_hand() -> None:
    values = [3, 1, 4, 1, 5, 9, 2, 6]
    assert structures.maxima_anew(values, 3) == structures.maxima_by_deque(values, 3) == [4, 4, 5, 9, 9, 9]


def test_three_ways_to_distances() -> None:
    a, b = (np.random.default_rng(s).normal(size=(5, 3)) for s in (0, 1))
    for way in (structures.distances_by_broadcast, structures.distances_by_product):
        assert np.allclose(way(a, b), structures.distances_by_loops(a, b))


def test_lloyd_ends_at_the_sum_that_scikit_learn_finds() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    points = classic.blobs(0)
    start = points[::50].copy()
    theirs = cluster.KMeans(8, init=start, n_init=1, max_iter=50, tol=0).fit(points)
    assert classic.lloyd(points, start) == pytest.approx(theirs.inertia_)


def test_auc_against_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    chance = np.random.default_rng(0)
    labels, scores = chance.integers(0, 2, 100), np.round(chance.random(100), 1)
    assert classic.auc_by_pairs(scores, labels) == pytest.approx(metrics.roc_auc_score(labels, scores))
    apart = chance.random(100)
    assert classic.auc_by_sorting(apart, labels) == pytest.approx(metrics.roc_auc_score(labels, apart))


@pytest.mark.parametrize("sampler", [streams.reservoir, streams.coin, streams.off_by_one])
def test_samples_have_their_size_and_no_item_twice(sampler: streams.Sampler) -> None:
    for seed in range(50):
        kept = sampler(30, 5, random.Random(seed))
        assert len(kept) == len(set(kept)) == 5
        assert set(kept) <= set(range(30))


def test_reservoir_is_fair_to_every_item() -> None:
    counts = [count for _, count in looks.kept(streams.reservoir, 4000)]
    assert max(abs(count - 0.1) for count in counts) < 0.025
    assert max(abs(count - 0.1) for _, count in looks.kept(streams.coin, 1000)) > 0.3


def test_overflow_shows_in_the_table() -> None:
    rows = looks.softmaxes(100.0, np.float32)
    assert rows[0]["exp(x) / sum"] == "nan"
    assert rows[0]["shifted"] == "0.7311"
    assert rows[2]["log of the shifted"] == "-100.3"
    assert looks.softmaxes(110.0, np.float32)[2]["log of the shifted"] == "-inf"


def test_ends_are_sorted_and_the_best_is_shared() -> None:
    ends = looks.ends(0, 10)
    for runs in ends.values():
        assert [sum_ for _, sum_ in runs] == sorted(sum_ for _, sum_ in runs)
    assert ends["k-means++"][0][1] == pytest.approx(ends["random points"][0][1], rel=0.5)


@pytest.mark.alone
@pytest.mark.parametrize("program", looks.PROGRAMS)
def test_no_program_is_called_a_miss(program: str) -> None:
    found = looks.grown(program, budget=0.5)
    assert found.meets is not False
    assert looks.said(found)
    assert set(looks.lines_of(found)) == {"measured", looks.WORDS[found.expected]}
