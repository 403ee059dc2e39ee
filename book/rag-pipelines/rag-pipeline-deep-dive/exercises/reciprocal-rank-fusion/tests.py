"""Visible tests: the example, one ranking, weights, ties, what is refused."""

TEXT, DENSE = ["a", "b", "c", "d"], ["e", "c", "a"]


def check(got, expected, what):
    items, right = [item for item, _ in got], [item for item, _ in expected]
    assert items == right, f"{what}: expected the order {right}, got {items}"
    for (item, score), (_, wanted) in zip(got, expected, strict=True):
        assert abs(score - wanted) < 1e-6, (
            f"{what}, score of {item!r}: expected {wanted:.6f}, got {score:.6f}"
        )


def test_worked_example(submission):
    got = submission.reciprocal_rank_fusion([TEXT, DENSE])
    expected = [("a", 0.0322664), ("c", 0.0320020), ("e", 0.0163934), ("b", 0.0161290), ("d", 0.015625)]
    check(got, expected, "the example, k = 60")


def test_k_of_zero(submission):
    got = submission.reciprocal_rank_fusion([TEXT, DENSE], k=0)
    check(got, [("a", 4 / 3), ("e", 1.0), ("c", 5 / 6), ("b", 0.5), ("d", 0.25)], "the example, k = 0")


def test_one_ranking_keeps_its_order(submission):
    got = submission.reciprocal_rank_fusion([["z", "y", "x"]])
    check(got, [("z", 1 / 61), ("y", 1 / 62), ("x", 1 / 63)], "one ranking")


def test_weights(submission):
    got = submission.reciprocal_rank_fusion([["a", "b"], ["b", "c"]], k=1.0, weights=[1.0, 3.0])
    check(got, [("b", 1 / 3 + 3 / 2), ("c", 1.0), ("a", 0.5)], "weights 1 and 3, k = 1")


def test_equal_scores_stand_as_first_met(submission):
    got = submission.reciprocal_rank_fusion([["m", "b"], ["a", "z"], ["k"]])
    expected = [("m", 1 / 61), ("a", 1 / 61), ("k", 1 / 61), ("b", 1 / 62), ("z", 1 / 62)]
    check(got, expected, "three rankings without a common item")


def refused(submission, what, *arguments, **named):
    try:
        got = submission.reciprocal_rank_fusion(*arguments, **named)
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"{what}: expected ValueError, got {type(error).__name__}") from error
    raise AssertionError(f"{what}: expected ValueError, got {got}")


def test_numbers_that_cannot_be_are_refused(submission):
    refused(submission, "k = -1", [TEXT], k=-1.0)
    refused(submission, "a weight of -1", [TEXT, DENSE], weights=[1.0, -1.0])
    refused(submission, "one weight, two rankings", [TEXT, DENSE], weights=[1.0])
    refused(submission, "three weights, two rankings", [TEXT, DENSE], weights=[1.0, 1.0, 1.0])


def test_an_item_twice_in_a_ranking_is_refused(submission):
    refused(submission, "a twice in the second ranking", [TEXT, ["a", "e", "a"]])
