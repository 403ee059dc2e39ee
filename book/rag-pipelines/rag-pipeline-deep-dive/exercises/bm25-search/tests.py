"""Visible tests: the example, words asked twice, words that nobody has, ties, how many, bad numbers."""

TEXTS = [["the", "cat", "sat", "on", "the", "mat"], ["the", "dog", "sat"], ["a", "bird", "flew"]]


def check(got, expected, what):
    places, right = [place for place, _ in got], [place for place, _ in expected]
    assert places == right, f"{what}: expected the places {right}, got {places}"
    for (place, score), (_, wanted) in zip(got, expected, strict=True):
        assert abs(score - wanted) <= 1e-4 * max(1.0, abs(wanted)), (
            f"{what}, text {place}: expected a score of {wanted:.4f}, got {score:.4f}"
        )


def test_worked_example(submission):
    index = submission.BM25(TEXTS)
    check(index.search(["cat", "sat"], 10), [(0, 1.2045), (1, 0.5235)], "query cat sat")
    check(index.search(["cat"], 10), [(0, 0.8143)], "query cat")


def test_a_word_asked_twice_counts_twice(submission):
    index = submission.BM25(TEXTS)
    check(index.search(["sat", "sat"], 10), [(1, 1.0471), (0, 0.7804)], "query sat sat")


def test_words_that_nobody_has(submission):
    index = submission.BM25(TEXTS)
    check(index.search(["fish"], 10), [], "query fish")
    check(index.search([], 10), [], "a query without words")
    check(index.search(["fish", "cat"], 10), [(0, 0.8143)], "query fish cat")


def test_equal_scores_stand_in_order(submission):
    texts = [["b", "c"], ["a", "b"], ["a", "c"], ["a", "d"]]
    got = [place for place, _ in submission.BM25(texts).search(["a"], 10)]
    assert got == [1, 2, 3], f"three texts of one score: expected the places [1, 2, 3], got {got}"


def test_at_most_k(submission):
    index = submission.BM25(TEXTS)
    for k, expected in ((0, []), (1, [0]), (2, [0, 1]), (50, [0, 1])):
        got = [place for place, _ in index.search(["cat", "sat"], k)]
        assert got == expected, f"k = {k}: expected the places {expected}, got {got}"


def test_bad_numbers_are_refused(submission):
    for k1, b in ((-0.1, 0.75), (1.2, -0.1), (1.2, 1.1)):
        try:
            submission.BM25(TEXTS, k1, b)
        except ValueError:
            continue
        raise AssertionError(f"k1 = {k1}, b = {b}: expected ValueError, got an index")
