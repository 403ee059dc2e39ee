"""Hidden tests: the definition over random rankings, any keys, nothing, weights of nothing, what is kept."""

import random


def fused(submission, *arguments, **named):
    return submission.reciprocal_rank_fusion(*arguments, **named)


def test_equals_the_definition(submission):
    for seed in range(30):
        chance = random.Random(seed)
        items = list(range(12))
        rankings = [chance.sample(items, chance.randint(0, 12)) for _ in range(chance.randint(1, 4))]
        weights = [chance.choice([0.3, 1.0, 2.5]) for _ in rankings]
        k = chance.choice([0.0, 1.5, 60.0])
        expected = {}
        for item in items:
            terms = [w / (k + r.index(item) + 1) for r, w in zip(rankings, weights, strict=True) if item in r]
            if terms:
                expected[item] = sum(terms)
        got = fused(submission, rankings, k, weights)
        what = f"rankings {rankings}, weights {weights}, k = {k}"
        assert sorted(item for item, _ in got) == sorted(expected), (
            f"{what}: expected the items {sorted(expected)}, got {[item for item, _ in got]}"
        )
        for item, score in got:
            assert abs(score - expected[item]) < 1e-9, (
                f"{what}, score of {item}: expected {expected[item]:.6f}, got {score:.6f}"
            )
        scores = [score for _, score in got]
        assert scores == sorted(scores, reverse=True), f"{what}: expected the best first, got {scores}"


def test_two_that_agree_pass_one_that_is_sure(submission):
    """Fifth in both lists is worth more than first in one of them, with k = 60."""
    first, second = ["a", *"bcd", "x"], ["e", *"fgh", "x"]
    got = fused(submission, [first, second])[0][0]
    assert got == "x", f"fifth in both of two lists: expected 'x' first, got {got!r}"
    got = fused(submission, [first, second], k=0)[0][0]
    assert got == "a", f"the same with k = 0: expected 'a' first, got {got!r}"


def test_equal_sums_stand_as_first_met(submission):
    got = [item for item, _ in fused(submission, [["b", "a"], ["a", "b"]])]
    assert got == ["b", "a"], f"two items in both orders: expected ['b', 'a'], got {got}"


def test_items_of_any_kind(submission):
    """Which cannot be compared with each other."""
    rankings = [[("doc", 3), None, 7], [7, "seven", ("doc", 3)]]
    try:
        got = [item for item, _ in fused(submission, rankings)]
    except TypeError as error:
        raise AssertionError(
            f"tuples, numbers, texts, None: expected a list, got TypeError: {error}"
        ) from error
    expected = [("doc", 3), 7, "seven", None]
    same = set(got[:2]) == set(expected[:2]) and set(got[2:]) == set(expected[2:])
    assert same, f"tuples, numbers, texts, None: expected {expected}, got {got}"


def test_nothing_to_fuse(submission):
    for rankings in ([], [[]], [[], []]):
        got = fused(submission, rankings)
        assert got == [], f"rankings {rankings}: expected [], got {got}"
    got = fused(submission, [[], ["a"]])
    assert [item for item, _ in got] == ["a"], f"an empty ranking and ['a']: expected a alone, got {got}"


def test_weight_of_zero(submission):
    got = fused(submission, [["a", "b"], ["c", "a"]], weights=[1.0, 0.0])
    assert [item for item, _ in got] == ["a", "b", "c"], (
        f"second ranking of weight 0: expected a, b and c, got {[item for item, _ in got]}"
    )
    assert abs(got[0][1] - 1 / 61) < 1e-9, f"score of a: expected {1 / 61:.6f}, got {got[0][1]:.6f}"
    assert got[2][1] == 0, f"score of c, in the ranking of weight 0: expected 0, got {got[2][1]}"


def test_every_argument_is_checked(submission):
    """Also where the rankings are empty, or the fault stands in the last of them."""
    cases = {
        "k = -60, nothing to fuse": ([], -60.0, None),
        "a weight for no ranking": ([], 60.0, [1.0]),
        "a negative weight of an empty ranking": ([["a"], []], 60.0, [1.0, -0.5]),
        "an item twice, its ranking of weight 0": ([["a"], ["b", "b"]], 60.0, [1.0, 0.0]),
    }
    for what, arguments in cases.items():
        try:
            got = fused(submission, *arguments)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: expected ValueError, got {type(error).__name__}") from error
        raise AssertionError(f"{what}: expected ValueError, got {got}")


def test_rankings_of_any_kind_stay_as_they_were(submission):
    first, second, weights = ["a", "b"], ("b", "c"), [1.0, 2.0]
    got = fused(submission, (first, second), 60.0, tuple(weights))
    assert got == fused(submission, [list(first), list(second)], 60.0, weights), (
        f"tuples for lists: expected the same, got {got}"
    )
    kept = (first, second, weights)
    assert kept == (["a", "b"], ("b", "c"), [1.0, 2.0]), f"arguments: expected unchanged, got {kept}"


def test_an_item_may_stand_in_every_ranking(submission):
    got = fused(submission, [["a"]] * 5, k=4.0)
    assert len(got) == 1, f"one item in five rankings: expected it once, got {got}"
    assert abs(got[0][1] - 1.0) < 1e-9, f"five times 1 / (4 + 1): expected 1, got {got[0][1]}"


def growth_input(n):
    """Two rankings of the same n items, in opposite orders."""
    return ([list(range(n)), list(range(n - 1, -1, -1))],)
