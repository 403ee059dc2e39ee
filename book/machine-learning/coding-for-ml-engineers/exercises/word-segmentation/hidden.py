"""Hidden tests: all segmentations by brute force, costs of 0, odd characters, long texts, what is kept."""

import random

from handbook.practice.checks import equal, inside, raises, unchanged


def growth_input(n):
    chance = random.Random(n)
    return "".join(chance.choice("ab") for _ in range(n)), {
        "a": 9,
        "b": 9,
        "ab": 11,
        "ba": 12,
        "bbb": 15,
        "aab": 13,
    }


def check(got, text, costs, expected):
    """Pieces of the vocabulary that make up the text, with the expected sum of costs (None: no way)."""
    what = f"text {text[:30]!r}"
    if expected is None:
        equal(got, None, what)
        return
    assert isinstance(got, list), f"{what}: expected pieces with a cost of {expected}, got {got!r}"
    equal("".join(got), text, f"{what}, joined pieces {got[:12]}")
    unknown = [piece for piece in got if piece not in costs]
    equal(unknown, [], f"{what}, pieces that are not in the vocabulary")
    equal(sum(costs[piece] for piece in got), expected, f"{what}, cost of {got[:12]}")


def all_segmentations(text, costs):
    """The smallest cost, by trying every first piece."""
    if not text:
        return 0
    rests = (
        (cost, all_segmentations(text[len(p) :], costs)) for p, cost in costs.items() if text.startswith(p)
    )
    return min((cost + rest for cost, rest in rests if rest is not None), default=None)


def test_equals_trying_all_segmentations(submission):
    """Random texts of two letters, random vocabularies."""
    for seed in range(200):
        chance = random.Random(seed)
        pieces = ["".join(chance.choice("ab") for _ in range(chance.randint(1, 4))) for _ in range(5)]
        costs = {piece: chance.randint(0, 9) for piece in pieces}
        text = "".join(chance.choice("ab") for _ in range(chance.randrange(9)))
        check(submission.segment(text, costs), text, costs, all_segmentations(text, costs))


def test_fewest_pieces_is_not_cheapest(submission):
    """Many cheap pieces beat one dear one, and the other way round."""
    costs = {"aaaa": 10, "a": 2}
    check(submission.segment("aaaa", costs), "aaaa", costs, 8)
    costs = {"aaaa": 7, "a": 2}
    check(submission.segment("aaaa", costs), "aaaa", costs, 7)


def test_costs_of_nothing(submission):
    """A cost of 0 is a cost, not a missing piece."""
    costs = {"a": 0, "b": 0, "ab": 1}
    check(submission.segment("abba", costs), "abba", costs, 0)


def test_last_character_cannot_be_cut(submission):
    """Nearly is not enough, at either end."""
    costs = {"ab": 1, "b": 1}
    for text in ("abab?", "?abab", "ab?ab", "a"):
        check(submission.segment(text, costs), text, costs, None)


def test_odd_characters(submission):
    """Spaces, capitals and letters beyond ASCII are characters like others."""
    costs = {"naïve ": 3, "na": 1, "ï": 1, "ve": 1, " ": 1, "Ω": 2, "日本": 2, "語": 1}
    text = "naïve Ω日本語"
    check(submission.segment(text, costs), text, costs, 8)


def looks(submission, text, pieces):
    """How often a piece was looked up in the vocabulary, or the vocabulary gone through."""

    class Counted(dict):
        count = 0

        def __contains__(self, piece):
            Counted.count += 1
            return super().__contains__(piece)

        def get(self, piece, default=None):
            Counted.count += 1
            return super().get(piece, default)

        def items(self):
            Counted.count += len(self)
            return super().items()

        def __iter__(self):
            Counted.count += len(self)
            return super().__iter__()

    submission.segment(text, Counted(dict.fromkeys(pieces, 1)))
    return Counted.count


def test_no_piece_is_longer_than_the_longest(submission):
    """Stretches longer than any piece are not looked up, nor the whole vocabulary at each place."""
    pieces = ["a", "b", "ab", *(f"{i:02d}" for i in range(100))]
    got = inside(submission, looks, "ab" * 500, pieces)
    assert got < 8_000, (
        f"looks at 1,000 characters with pieces of at most 2: expected fewer than 8,000, got {got}"
    )


def test_exponentially_many_segmentations(submission):
    """300 letters a and pieces of all lengths up to 20: more ways to cut than can be tried."""
    costs = {"a" * size: 10 + size for size in range(1, 21)}
    check(submission.segment("a" * 300, costs), "a" * 300, costs, 450)
    check(submission.segment("a" * 300 + "b", costs), "a" * 300 + "b", costs, None)


def test_long_text(submission):
    """20,000 characters, and pieces up to six."""
    costs = {"abcabc": 4, "abc": 3, "a": 2, "b": 2, "c": 2}
    check(submission.segment("abc" * 6_667, costs), "abc" * 6_667, costs, 4 * 3_333 + 3)


def test_costs_stay_as_they_were(submission):
    """The vocabulary is not changed."""
    costs = {"a": 1, "b": 2}
    submission.segment("abc", costs)
    unchanged(costs, {"a": 1, "b": 2}, "costs")


def test_bad_vocabularies_are_refused_without_a_text(submission):
    """Also where nothing is to be cut."""
    raises(ValueError, submission.segment, "", {"": 0}, what="the empty text, an empty piece")
    raises(ValueError, submission.segment, "", {"a": -1}, what="the empty text, a cost of -1")
