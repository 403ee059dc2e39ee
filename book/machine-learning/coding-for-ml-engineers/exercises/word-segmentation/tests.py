"""Visible tests: the example, repeated pieces, corners, the empty text, what is refused."""

from handbook.practice.checks import equal, raises

COSTS = {"un": 4, "related": 9, "unrelated": 14, "rel": 5, "ate": 3, "d": 1, "a": 2, "t": 2, "e": 2}


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


def test_worked_example(submission):
    """The example of the statement."""
    equal(submission.segment("dated", COSTS), ["d", "ate", "d"], "text 'dated'")
    for text, expected in (("unrelated", 13), ("related", 9), ("dot", None)):
        check(submission.segment(text, COSTS), text, COSTS, expected)


def test_repeated_pieces(submission):
    """A piece may be used as often as it fits."""
    costs = {"ab": 3, "aba": 4, "b": 1}
    check(submission.segment("ababab", costs), "ababab", costs, 8)  # aba, b, ab


def test_longest_piece_leads_into_a_corner(submission):
    """The longest piece at the start leaves a rest that cannot be cut."""
    costs = {"abc": 1, "ab": 5, "cd": 5}
    equal(submission.segment("abcd", costs), ["ab", "cd"], "text 'abcd'")


def test_empty_text(submission):
    """No characters, no pieces; with an empty vocabulary nothing else can be cut."""
    equal(submission.segment("", COSTS), [], "the empty text")
    equal(submission.segment("", {}), [], "the empty text, no pieces")
    equal(submission.segment("a", {}), None, "text 'a', no pieces")


def test_bad_vocabularies_are_refused(submission):
    """An empty piece or a negative cost raises ValueError."""
    raises(ValueError, submission.segment, "a", {"a": 1, "": 1}, what="an empty piece")
    raises(ValueError, submission.segment, "a", {"a": 1, "b": -1}, what="a cost of -1")
