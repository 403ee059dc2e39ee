import numpy as np
import pytest

from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.curve import Point, cheapest, curve, timed


@pytest.fixture(scope="module")
def points() -> list[Point]:
    vectors, queries = clouds(900, 30, dimension=32)
    return curve(vectors, queries, k=5, links=8, width=30)


def test_every_index_has_its_settings_and_exact_finds_all(points: list[Point]) -> None:
    names = {point.index for point in points}
    assert names == {"exact", "IVF", "HNSW", "IVF + PQ", "IVF + RaBitQ"}
    first = points[0]
    assert (first.index, first.recall, first.compared, first.bytes) == ("exact", 1, 900, 128)
    assert all(0 < point.recall <= 1 and point.microseconds > 0 for point in points)
    assert len({(point.index, point.setting) for point in points}) == len(points)


def test_each_index_reaches_a_good_recall_with_less_than_exact_search(points: list[Point]) -> None:
    best = cheapest(points, 0.95)
    assert set(best) == {point.index for point in points}
    assert all(point.compared < 450 for name, point in best.items() if name != "exact")
    assert best["IVF + RaBitQ"].bytes < best["HNSW"].bytes / 4


def test_the_cheapest_is_found_by_either_measure() -> None:
    def point(setting: str, recall: float, compared: float, microseconds: float) -> Point:
        return Point("a", setting, recall, compared, microseconds, 1, 1)

    some = [point("x", 0.9, 9, 1), point("y", 0.96, 7, 3), point("z", 0.97, 8, 2)]
    assert cheapest(some, 0.95)["a"].setting == "y"
    assert cheapest(some, 0.95, by="microseconds")["a"].setting == "z"
    assert cheapest(some, 0.99) == {}


def test_what_was_not_found_counts_as_missing() -> None:
    found, _ = timed(lambda query: np.array([4, 7]), np.zeros((2, 3), np.float32), 3)
    assert found.tolist() == [[4, 7, -1], [4, 7, -1]]
