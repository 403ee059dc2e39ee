"""Hidden tests: the formula text by text, its parts, edges, what is kept, how much a search looks at."""

import math
import random

from handbook.practice.checks import inside


def check(got, expected, what):
    places, right = [place for place, _ in got], [place for place, _ in expected]
    assert places == right, f"{what}: expected the places {right}, got {places}"
    for (place, score), (_, wanted) in zip(got, expected, strict=True):
        assert abs(score - wanted) <= 1e-6 * max(1.0, abs(wanted)), (
            f"{what}, text {place}: expected a score of {wanted:.6f}, got {score:.6f}"
        )


def by_hand(texts, query, k1, b):
    """The formula, text by text."""
    average = sum(map(len, texts)) / len(texts)
    found = []
    for place, text in enumerate(texts):
        if not set(text) & set(query):
            continue
        total = 0.0
        for word in query:
            tf, n = text.count(word), sum(word in other for other in texts)
            if tf:
                total += (
                    math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
                    * (tf * (k1 + 1))
                    / (tf + k1 * (1 - b + b * len(text) / average))
                )
        found.append((place, total))
    return sorted(found, key=lambda pair: (-round(pair[1], 9), pair[0]))


def test_equals_the_formula(submission):
    for seed in range(25):
        chance = random.Random(seed)
        texts = [chance.choices("abcdefgh", k=chance.randint(0, 12)) for _ in range(chance.randint(1, 15))]
        texts[0] = ["a", "b"]
        query = chance.choices("abcdz", k=chance.randint(1, 4))
        k1, b = chance.choice([(1.2, 0.75), (0.0, 0.5), (2.0, 0.0), (0.9, 1.0)])
        got = [(place, round(score, 9)) for place, score in submission.BM25(texts, k1, b).search(query, 99)]
        got = sorted(got, key=lambda pair: (-pair[1], pair[0]))  # ties up to rounding
        check(got, by_hand(texts, query, k1, b), f"k1 = {k1}, b = {b}, query {query}, texts {texts}")


def test_a_count_is_worth_less_and_less(submission):
    """A text that says one word 500 times stays below k1 + 1 times its idf."""
    texts = [["a"] * 500 + ["b"], ["a"] + ["b"] * 500, ["c"] * 501]
    got = dict(submission.BM25(texts).search(["a"], 3))
    rarity = math.log(1 + 1.5 / 2.5)
    expected = [rarity * 500 * 2.2 / (500 + 1.2), rarity * 2.2 / 2.2]
    check(list(got.items()), list(enumerate(expected)), "a word 500 times and once, in texts of one length")


def test_length_counts_by_b(submission):
    texts = [["a"], ["a", "x", "y", "z"], ["q"]]
    ratio = {}
    for b in (0.0, 0.5, 1.0):
        got = dict(submission.BM25(texts, b=b).search(["a"], 3))
        ratio[b] = got[0] / got[1]
    expected = {b: (1 + 1.2 * (1 - b + b * 2)) / (1 + 1.2 * (1 - b + b * 0.5)) for b in ratio}
    for b, wanted in expected.items():
        assert abs(ratio[b] - wanted) < 1e-9, (
            f"b = {b}, a short text's score over a long one's: expected {wanted:.4f}, got {ratio[b]:.4f}"
        )


def test_k1_of_zero_only_asks_whether(submission):
    got = dict(submission.BM25([["a"], ["a"] * 9, ["b"]], k1=0.0).search(["a"], 3))
    wanted = math.log(1 + 1.5 / 2.5)
    for place in (0, 1):
        assert abs(got.get(place, 0.0) - wanted) < 1e-9, (
            f"k1 = 0, text {place}: expected the word's idf {wanted:.4f}, got {got.get(place)}"
        )


def test_a_word_that_all_have_still_counts(submission):
    got = submission.BM25([["a"], ["a", "b"], ["a"], ["a"]]).search(["a"], 9)
    places = [place for place, _ in got]
    assert places == [0, 2, 3, 1], f"a word of all four texts: expected places [0, 2, 3, 1], got {places}"
    least = min(score for _, score in got)
    assert least > 0, f"a word of all four texts: expected scores above 0, got {least}"


def test_average_is_that_of_all_texts(submission):
    """Also of those without words, and of those that the query does not meet."""
    texts = [["a", "b"], [], ["c"] * 10]
    expected = math.log(1 + 2.5 / 1.5) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 4))
    check(submission.BM25(texts).search(["a"], 3), [(0, expected)], "texts of 2, 0 and 10 words")


def test_one_text_is_its_own_average(submission):
    expected = math.log(1 + 0.5 / 1.5)
    check(submission.BM25([["a", "b", "c"]]).search(["b"], 3), [(0, expected)], "a collection of one text")


def test_equal_scores_by_different_words(submission):
    texts = [["y"], ["q"], ["x"]]
    got = [place for place, _ in submission.BM25(texts).search(["x", "y"], 3)]
    assert got == [0, 2], f"the first word is in text 2, the second in text 0: expected [0, 2], got {got}"


def test_nothing_to_search(submission):
    for texts in ([], [[]], [[], []]):
        try:
            got = submission.BM25(texts).search(["a"], 3)
        except Exception as error:
            raise AssertionError(
                f"texts {texts}: expected [], got {type(error).__name__}: {error}"
            ) from error
        assert got == [], f"texts {texts}: expected [], got {got}"


def test_the_default_numbers(submission):
    texts = [["a", "b", "a"], ["a"], ["c"]]
    got = submission.BM25(texts).search(["a"], 3)
    check(got, by_hand(texts, ["a"], 1.2, 0.75), "k1 and b left out")


def test_the_borders_of_k1_and_b_are_allowed(submission):
    for k1, b in ((0.0, 0.0), (0.0, 1.0), (5.0, 1.0)):
        try:
            submission.BM25([["a"]], k1, b)
        except ValueError as error:
            raise AssertionError(f"k1 = {k1}, b = {b}: expected an index, got ValueError: {error}") from error


def test_kinds_of_results(submission):
    place, score = submission.BM25([["a"], ["b"]]).search(("a",), 1)[0]
    assert type(place) is int, f"a place: expected int, got {type(place).__name__}"
    assert isinstance(score, float), f"a score: expected float, got {type(score).__name__}"


def searched_twice(submission, texts, query):
    """A driver: what is found before and after the caller changes its texts; texts and query between."""
    index = submission.BM25(texts)
    before = index.search(query, 3)
    kept = [list(text) for text in texts]
    texts[0].clear()
    texts.append(["a"] * 50)
    return before, index.search(query, 3), kept, query


def test_texts_may_change_afterwards(submission):
    given = [["a", "b"], ["a"], ["c"]]
    before, after, texts, query = inside(submission, searched_twice, given, ["a"])
    assert texts == [["a", "b"], ["a"], ["c"]], f"texts: expected unchanged, got {texts}"
    assert after == before, f"after the caller changed its texts: expected {before}, got {after}"
    assert query == ["a"], f"query: expected unchanged, got {query}"


def test_searches_do_not_leave_traces(submission):
    index = submission.BM25([["a", "b"], ["a"], ["b", "b"]])
    first = index.search(["a"], 3)
    index.search(["b", "a"], 3)
    again = index.search(["a"], 3)
    assert again == first, f"the same query once more: expected {first}, got {again}"


def lines(submission, index, query, k, most):
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
        got = index.search(query, k)
    except Enough:
        pass
    finally:
        sys.settrace(before)
    return count, got


def test_a_search_looks_only_where_the_words_are(submission):
    texts = [["common", f"word{place}"] for place in range(5000)]
    for place in (7, 70, 700):
        texts[place] = ["rare", "common"]
    index = submission.BM25(texts)
    count, got = inside(submission, lines, index, ["rare", "word3"], 10, 2000)
    assert count <= 2000, "lines that run: expected at most 2,000, got more"
    got = [place for place, _ in got]
    assert got == [3, 7, 70, 700], f"texts with the words: expected [3, 7, 70, 700], got {got}"


def growth_driver(submission, n):
    """An index of n words in texts of 8, and one search for a word of a few texts."""
    words = [f"w{i * 7919 % (n // 4 + 1)}" for i in range(n)]
    index = submission.BM25([words[i : i + 8] for i in range(0, n, 8)])
    index.search([words[0], words[n // 2]], 10)
