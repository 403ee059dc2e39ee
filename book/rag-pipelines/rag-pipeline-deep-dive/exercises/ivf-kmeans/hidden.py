"""Hidden tests: both rules over random vectors, empty cells, ties, far from the origin, memory, rounds."""

from itertools import permutations

import numpy as np

from handbook.practice.checks import inside


def column(*numbers):
    return np.array(numbers, dtype=np.float32)[:, None]


def apart(vectors, centres):
    return np.square(vectors[:, None].astype(np.float64) - centres[None]).sum(axis=2)


def lloyd(vectors, centres, rounds):
    """The rule, a cell at a time, in double precision."""
    centres = centres.astype(np.float64)
    distance = apart(vectors, centres)
    cells = distance.argmin(axis=1)
    for _ in range(rounds):
        order = sorted(range(len(vectors)), key=lambda i: -distance[i, cells[i]])
        moved = []
        for cell in range(len(centres)):
            own = vectors[cells == cell]
            moved.append(own.mean(axis=0, dtype=np.float64) if len(own) else vectors[order.pop(0)])
        centres, before = np.array(moved), cells
        distance = apart(vectors, centres)
        cells = distance.argmin(axis=1)
        if (cells == before).all():
            break
    return centres, cells


def case(seed, n=40, k=5, d=3, scale=1.0, at=0.0):
    chance = np.random.default_rng(seed)
    vectors = (at + scale * chance.normal(size=(n, d))).astype(np.float32)
    return vectors, vectors[chance.choice(n, size=k, replace=False)].copy(), chance


def same(got, expected, what):
    centres, cells = got
    assert centres.shape == expected[0].shape, (
        f"{what}, centres: expected shape {expected[0].shape}, got {centres.shape}"
    )
    wrong = int((cells != expected[1]).sum())
    assert wrong == 0, f"{what}: expected the cells {expected[1].tolist()}, got {wrong} others"
    off = float(np.abs(centres - expected[0]).max())
    assert off < 1e-3, f"{what}: expected centres as by the rule, got a difference of {off:.4f}"


def test_equals_the_rule(submission):
    for seed in range(8):
        vectors, start, _ = case(seed)
        for rounds in (0, 1, 3, 100):
            got = submission.kmeans(vectors, start, rounds)
            same(got, lloyd(vectors, start, rounds), f"seed {seed}, {rounds} rounds")


def test_empty_cells_in_order(submission):
    """Two nobody is near: the first gets the farthest vector, the second the next."""
    vectors = column(0, 1, 2, 10, 11, 12)
    start = column(500, 0, 900)
    centres, _ = submission.kmeans(vectors, start, 1)
    got = centres.ravel().tolist()
    assert np.allclose(got, [12, 6, 11]), f"two empty cells: expected the centres [12, 6, 11], got {got}"
    vectors, start, _ = case(1, n=12)
    start[[1, 3]] = 99.0
    for rounds in (1, 3):
        got = submission.kmeans(vectors, start, rounds)
        same(got, lloyd(vectors, start, rounds), f"centres 1 and 3 far off, {rounds} rounds")


def test_farthest_from_its_own_centre(submission):
    """Not from the origin, and by the centres as they were before they moved."""
    vectors = column(100, 101, 103.5, 0, 1)
    start = column(100, 0, 9000)
    got = submission.kmeans(vectors, start, 1)[0].ravel().tolist()
    assert np.allclose(got, [101.5, 0.5, 103.5]), (
        f"a cell by 100, one by 0, one empty: expected [101.5, 0.5, 103.5], got {got}"
    )
    vectors = column(0, 8, 8, 8, 8, 100)
    start = column(0, 100, 5000)
    got = submission.kmeans(vectors, start, 1)[0].ravel().tolist()
    assert np.allclose(got, [6.4, 100, 8]), f"8 is far from 0, which moves: expected [6.4, 100, 8], got {got}"


def test_equally_near_goes_to_the_first(submission):
    vectors = column(1, -1, 0, 0)
    cells = submission.kmeans(vectors, column(1, -1), 0)[1].tolist()
    assert cells == [0, 1, 0, 0], f"two vectors between two centres: expected [0, 1, 0, 0], got {cells}"


def test_the_error_never_rises(submission):
    vectors, start, _ = case(5, n=80, k=6)
    before = np.inf
    for rounds in range(8):
        centres, cells = submission.kmeans(vectors, start, rounds)
        error = float(np.square(vectors - centres[cells]).sum())
        assert error <= before * (1 + 1e-5), (
            f"{rounds} rounds: expected an error of at most {before:.4f}, got {error:.4f}"
        )
        before = error


def test_kinds_of_results(submission):
    vectors, start, _ = case(6)
    for rounds in (0, 3):
        centres, cells = submission.kmeans(vectors, start, rounds)
        assert centres.dtype == np.float32, f"centres: expected float32, got {centres.dtype}"
        assert cells.dtype == np.int64, f"cells: expected int64, got {cells.dtype}"
    ids, count = submission.IVF(vectors, start).search(vectors[0], 3, 2)
    kinds = {type(id) for id in ids}
    assert type(ids) is list, f"ids: expected a list, got {type(ids).__name__}"
    assert kinds == {int}, f"ids: expected int, got {kinds}"
    assert isinstance(count, int), f"vectors compared: expected int, got {type(count).__name__}"


def test_search_equals_the_rule(submission):
    for seed in range(8):
        vectors, centres, chance = case(seed, n=50, k=7)
        index = submission.IVF(vectors, centres)
        cells = apart(vectors, centres).argmin(axis=1)
        for probes in (1, 2, 6, 7, 30):
            query = chance.normal(size=3).astype(np.float32)
            probed = np.argsort(apart(query[None], centres)[0])[:probes]
            inside = np.flatnonzero(np.isin(cells, probed))
            near = sorted(inside.tolist(), key=lambda i: np.square(vectors[i] - query).sum())
            ids, count = index.search(query, 5, probes)
            what = f"seed {seed}, {probes} probes of 7 cells"
            assert list(ids) == near[:5], f"{what}: expected the ids {near[:5]}, got {list(ids)}"
            assert count == 7 + len(inside), f"{what}: expected {7 + len(inside)} compared, got {count}"


def test_equally_near_ids_in_order(submission):
    """Also across cells, whichever was probed first."""
    index = submission.IVF(column(2, 0, 2, 0, 2, 0), column(2, 0))
    for query, expected in ((1.0, [0, 1, 2, 3, 4, 5]), (0.9, [1, 3, 5, 0, 2, 4])):
        got = list(index.search(column(query)[0], 6, 2)[0])
        assert got == expected, f"query {query} between 0 and 2: expected {expected}, got {got}"


def test_many_equally_near(submission):
    """More than a sort in place leaves in order by itself."""
    sides = np.tile(column(2, 1, -2, -1), (80, 1))
    near, far = list(range(1, 320, 2)), list(range(0, 320, 2))
    got = list(submission.IVF(sides, column(0)).search(column(0)[0], 320, 1)[0])
    assert len(got) == 320, f"320 vectors in one cell: expected 320 ids, got {len(got)}"
    wrong = [(a, b) for a, b in zip(near + far, got, strict=True) if a != b]
    assert not wrong, f"320 vectors, two distances: expected {wrong[0][0]}, got {wrong[0][1]} at its place"
    index = submission.IVF(sides, sides)  # all in cells 0 to 3, the others are empty
    for probes, expected in ((1, near[::2]), (2, near), (160, near)):
        got = list(index.search(column(0)[0], 320, probes)[0])
        assert got == expected, (
            f"{probes} of 160 cells equally near: expected {len(expected)} ids from {expected[:4]} on, "
            f"got {len(got)} from {got[:4]}"
        )


def test_many_equally_far(submission):
    """48 places of one length, each four times, with nearer ones between them; 20 empty cells."""
    signs = [(a, b, c) for a in (1, -1) for b in (2, -2) for c in (3, -3)]
    shell = np.array([[s[i] for i in p] for p in permutations(range(3)) for s in signs] * 4, np.float32)
    vectors = np.stack([shell, shell / 2], axis=1).reshape(-1, 3)
    start = np.concatenate([np.zeros((1, 3)), np.full((20, 3), 99)]).astype(np.float32)
    got = submission.kmeans(vectors, start, 1)[0][1:]
    assert np.allclose(got, shell[:20]), (
        f"20 empty cells, 192 vectors equally far: expected the first ones, {shell[:3].tolist()} and on, "
        f"got {got[:3].tolist()}"
    )


def test_cells_that_are_empty_can_be_probed(submission):
    index = submission.IVF(column(0, 1), column(0.5, 50, 60))
    for probes, expected in ((1, []), (2, []), (3, [1, 0])):
        try:
            ids, count = index.search(column(70)[0], 5, probes)
        except Exception as error:
            raise AssertionError(
                f"{probes} probes: expected {expected}, got {type(error).__name__}"
            ) from error
        assert list(ids) == expected, f"{probes} probes, two empty cells: expected {expected}, got {ids}"
        assert count == 3 + len(expected), f"{probes} probes: expected {3 + len(expected)}, got {count}"


def test_far_from_the_origin(submission):
    vectors, start, chance = case(7, n=60, k=4, d=8, at=3000.0)
    same(submission.kmeans(vectors, start, 3), lloyd(vectors, start, 3), "vectors around 3,000")
    query = (3000 + chance.normal(size=8)).astype(np.float32)
    expected = np.argsort(apart(query[None], vectors)[0])[:5].tolist()
    got = list(submission.IVF(vectors, start).search(query, 5, 4)[0])
    assert got == expected, f"query around 3,000, all cells: expected {expected}, got {got}"


def peak(submission, index, name, args):
    """A driver: megabytes at most while a method of the index runs, or, without one, a function."""
    import tracemalloc

    tracemalloc.start()
    try:
        getattr(submission if index is None else index, name)(*args)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_memory(submission):
    vectors, start, _ = case(8, n=4000, k=32, d=48)
    for what, name, args in (
        ("one round", "kmeans", (vectors, start, 1)),
        ("the index", "IVF", (vectors, start)),
    ):
        most = inside(submission, peak, None, name, args)
        assert most < 10, f"{what} of 4,000 vectors and 32 centres: expected below 10 MB, got {most:.0f} MB"


def test_search_compares_with_its_cells_only(submission):
    vectors, start, _ = case(9, n=10_000, k=32, d=16)
    index = submission.IVF(vectors, start)
    most = inside(submission, peak, index, "search", (vectors[0], 5, 1))
    assert most < 0.4, f"one cell of 10,000 vectors: expected below 0.4 MB, got {most:.1f} MB"


def test_arguments_stay_as_they_were(submission):
    vectors, start, _ = case(10)
    start[1] = 99.0
    kept = vectors.copy(), start.copy()
    submission.kmeans(vectors, start, 3)
    submission.IVF(vectors, start).search(vectors[0], 3, 2)
    assert np.array_equal(vectors, kept[0]), "vectors: expected unchanged, got others"
    assert np.array_equal(start, kept[1]), "centres: expected unchanged, got others"


def lines(submission, name, args, most):
    """A driver: lines of the submission that ran, one more than `most` at the most, and what came of it."""
    import sys

    class Enough(BaseException):
        pass

    count, file = 0, submission.__file__

    def line(frame, event, argument):
        nonlocal count
        count += event == "line"
        if count > most:
            raise Enough
        return line

    def call(frame, event, argument):
        return line if frame.f_code.co_filename == file else None

    before, got = sys.gettrace(), None
    sys.settrace(call)
    try:
        got = getattr(submission, name)(*args)
    except Enough:
        pass
    finally:
        sys.settrace(before)
    return count, got


def test_ends_when_nothing_moves(submission):
    vectors, start, _ = case(11)
    count, got = inside(submission, lines, "kmeans", (vectors, start, 1_000_000), 20_000)
    assert count <= 20_000, "lines that run: expected at most 20,000, got more"
    same(got, lloyd(vectors, start, 1000), "a million rounds")
