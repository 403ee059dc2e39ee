"""Hidden tests: each part by hand, distances to the decoded, ties, edges, memory, what is read."""

import numpy as np

from handbook.practice.checks import inside


def case(seed, n=30, m=4, k=8, d=12):
    chance = np.random.default_rng(seed)
    books = chance.normal(size=(m, k, d // m)).astype(np.float32)
    return chance.normal(size=(n, d)).astype(np.float32), books, chance.normal(size=d).astype(np.float32)


def test_each_part_has_its_nearest_centre(submission):
    for seed, (m, k, d) in enumerate([(4, 8, 12), (1, 5, 6), (6, 3, 6), (2, 256, 8)]):
        vectors, books, _ = case(seed, m=m, k=k, d=d)
        got = submission.encode(vectors, books)
        for i, vector in enumerate(vectors):
            for part in range(m):
                own = vector[part * d // m : (part + 1) * d // m]
                expected = int(np.square(books[part].astype(np.float64) - own).sum(axis=1).argmin())
                code = got[i, part]
                assert code == expected, (
                    f"{m} parts, {k} centres, vector {i}, part {part}: expected {expected}, got {code}"
                )


def test_equally_near_centres(submission):
    books = np.array([[[1.0], [-1.0], [1.0]]], dtype=np.float32)
    got = submission.encode(np.array([[0.0], [2.0], [-3.0]], np.float32), books).ravel().tolist()
    assert got == [0, 0, 1], f"centres 1, -1, 1 for 0, 2, -3: expected [0, 0, 1], got {got}"


def test_long_centres_are_not_near(submission):
    """An inner product alone would choose the longest."""
    books = np.array([[[1.0, 0.0], [9.0, 0.0]]], dtype=np.float32)
    got = submission.encode(np.array([[1.1, 0.2]], np.float32), books).tolist()
    assert got == [[0]], f"(1.1, 0.2) beside (1, 0) and (9, 0): expected [[0]], got {got}"


def test_decoding_names_the_centres(submission):
    _, books, _ = case(3, m=3, k=8, d=12)
    codes = np.random.default_rng(4).integers(0, 8, size=(20, 3)).astype(np.uint8)
    got = submission.decode(codes, books)
    expected = np.array([np.concatenate([books[m, c] for m, c in enumerate(row)]) for row in codes])
    assert got.shape == expected.shape, f"decoded: expected shape {expected.shape}, got {got.shape}"
    assert np.array_equal(got, expected), "decoded: expected the named centres end to end, got others"
    assert got.dtype == np.float32, f"decoded: expected float32, got {got.dtype}"
    again = submission.encode(got, books)
    assert np.array_equal(again, codes), "encoding what was decoded: expected the same codes, got others"


def test_distances_are_those_to_the_decoded(submission):
    for seed, (m, k, d) in enumerate([(4, 8, 12), (1, 5, 6), (6, 3, 6), (2, 256, 8)]):
        vectors, books, query = case(seed, n=300, m=m, k=k, d=d)
        codes = submission.encode(vectors, books)
        decoded = np.array([np.concatenate([books[p, c] for p, c in enumerate(row)]) for row in codes])
        expected = np.square(decoded.astype(np.float64) - query).sum(axis=1)
        got = submission.distances(query, codes, books)
        off = float(np.abs(got - expected).max())
        assert off < 1e-4, f"{m} parts, {k} centres: expected the distances, got a difference of {off:.4f}"


def test_the_query_is_not_coded(submission):
    books = np.array([[[0.0], [10.0]]], dtype=np.float32)
    codes = np.array([[0], [1]], dtype=np.uint8)
    got = submission.distances(np.array([4.0], np.float32), codes, books).tolist()
    assert np.allclose(got, [16.0, 36.0]), f"query 4 to 0 and 10: expected [16.0, 36.0], got {got}"


def test_high_codes(submission):
    """All 256: more than a signed byte holds, and a place in a flat table is more than any byte."""
    books = np.arange(512, dtype=np.float32).reshape(2, 256, 1)
    codes = np.array([[255, 255], [128, 0], [0, 200]], dtype=np.uint8)
    got = submission.distances(np.zeros(2, np.float32), codes, books).tolist()
    expected = [255.0**2 + 511.0**2, 128.0**2 + 256.0**2, 456.0**2]
    assert np.allclose(got, expected), f"codes 255, 128, 200: expected {expected}, got {got}"
    try:
        got = submission.encode(np.array([[255.2, 510.9]], np.float32), books).tolist()
    except ValueError as error:
        raise AssertionError("256 centres: expected codes, got ValueError") from error
    assert got == [[255, 255]], f"nearest of 256 centres: expected [[255, 255]], got {got}"


def test_search_equals_sorting(submission):
    for seed in range(10):
        vectors, books, query = case(seed, n=60)
        codes = submission.encode(vectors, books)
        estimate = submission.distances(query, codes, books)
        true = np.square(vectors - query).sum(axis=1)
        order = sorted(range(60), key=lambda i: (estimate[i], i))
        got = submission.search(query, codes, books, 7)
        assert got == order[:7], f"seed {seed}, by code: expected {order[:7]}, got {got}"
        for refine in (1, 3, 100):
            expected = sorted(order[: 7 * refine], key=lambda i: (true[i], i))[:7]
            got = submission.search(query, codes, books, 7, vectors, refine)
            assert got == expected, f"seed {seed}, refine {refine}: expected {expected}, got {got}"


def test_refine_left_out(submission):
    """Four times as many."""
    books = np.array([[[0.0]], [[0.0]]], dtype=np.float32)
    vectors = np.array([[5, 0], [4, 0], [3, 0], [2, 0], [1, 0]], np.float32)
    got = submission.search(np.zeros(2, np.float32), np.zeros((5, 2), np.uint8), books, 1, vectors)
    assert got == [3], f"five of one code, the fifth is nearest: expected [3] of the first four, got {got}"


def test_equal_ones_in_order(submission):
    books = np.array([[[0.0], [1.0]]], dtype=np.float32)
    codes, query = np.array([[1], [0], [1], [0], [1]] * 10, dtype=np.uint8), np.zeros(1, np.float32)
    expected = [i for i in range(50) if not codes[i, 0]] + [i for i in range(50) if codes[i, 0]]
    got = submission.search(query, codes, books, 50)
    assert got == expected, f"equal codes: expected {expected}, got {got}"
    vectors = np.tile([[0.5], [-0.5], [-0.1], [0.1], [0.1]], (10, 1)).astype(np.float32)
    expected = [i for i in range(50) if i % 5 > 1] + [i for i in range(50) if i % 5 < 2]
    got = submission.search(query, codes, books, 50, vectors)
    assert got == expected, f"30 vectors equally near, 20 equally far: expected {expected}, got {got}"


def test_nothing(submission):
    _, books, query = case(1)
    none = np.zeros((0, 4), np.uint8)
    shapes = {
        "codes": (submission.encode(np.zeros((0, 12), np.float32), books).shape, (0, 4)),
        "decoded": (submission.decode(none, books).shape, (0, 12)),
        "distances": (submission.distances(query, none, books).shape, (0,)),
    }
    for what, (got, expected) in shapes.items():
        assert got == expected, f"no vectors, {what}: expected shape {expected}, got {got}"
    for vectors in (None, np.zeros((0, 12), np.float32)):
        got = submission.search(query, none, books, 3, vectors)
        assert got == [], f"no vectors: expected [], got {got}"


def test_kinds_of_ids(submission):
    vectors, books, query = case(2)
    codes = submission.encode(vectors, books)
    for given in (None, vectors):
        got = submission.search(query, codes, books, 3, given)
        kinds = {type(id) for id in got}
        assert isinstance(got, list), f"ids: expected a list, got {type(got).__name__}"
        assert kinds == {int}, f"ids: expected int, got {kinds}"


def peak(submission, name, args):
    """A driver: megabytes at most while it runs."""
    import tracemalloc

    tracemalloc.start()
    try:
        getattr(submission, name)(*args)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_nothing_is_decoded(submission):
    _, books, query = case(3, m=8, k=16, d=128)
    codes = np.random.default_rng(0).integers(0, 16, size=(20_000, 8)).astype(np.uint8)
    most = inside(submission, peak, "distances", (query, codes, books))
    assert most < 3, f"20,000 vectors of 128 numbers: expected below 3 MB, got {most:.0f} MB"


def test_encoding_makes_no_large_array(submission):
    vectors, books, _ = case(4, n=1000, m=8, k=64, d=64)
    most = inside(submission, peak, "encode", (vectors, books))
    assert most < 6, f"1,000 vectors of 64, 64 centres a part: expected below 6 MB, got {most:.0f} MB"


def rows_read(submission, query, codes, books, k, vectors, refine):
    """A driver: how many rows of vectors a search reads, by index or all at once."""
    import numpy as np

    taken = []

    class Counted(np.ndarray):
        def __getitem__(self, index):
            out = super().__getitem__(index)
            taken.append(out.shape[0] if np.ndim(out) == 2 else 1)
            return np.asarray(out)

        def __array_ufunc__(self, ufunc, method, *inputs, **named):
            taken.append(len(self))
            inputs = [np.asarray(x) if isinstance(x, Counted) else x for x in inputs]
            return getattr(ufunc, method)(*inputs, **named)

    submission.search(query, codes, books, k, vectors.view(Counted), refine)
    return sum(taken)


def test_only_candidates_are_read(submission):
    vectors, books, query = case(5, n=500)
    codes = submission.encode(vectors, books)
    read = inside(submission, rows_read, query, codes, books, 5, vectors, 3)
    assert 0 < read <= 30, f"5 of 500 with refine 3: expected 15 vectors to be read, got {read}"


def test_arguments_stay_as_they_were(submission):
    vectors, books, query = case(6)
    kept = [x.copy() for x in (vectors, books, query)]
    codes = submission.encode(vectors, books)
    coded = codes.copy()
    submission.search(query, codes, books, 3, vectors, 2)
    for name, now, before in zip(
        ("vectors", "books", "query", "codes"),
        (vectors, books, query, codes),
        (*kept, coded),
        strict=True,
    ):
        assert np.array_equal(now, before), f"{name}: expected unchanged, got others"
