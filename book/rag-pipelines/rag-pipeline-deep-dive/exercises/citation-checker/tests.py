"""Visible tests: the example line by line, marks, shares, several passages."""

PASSAGES = [
    ["The pump failed on 3 May.", "The pump was not replaced."],
    ["Repairs cost 1,200 euros.", "Two pumps failed [7]."],
]


def check(got, text, cited, why, what):
    for name, expected in (("text", text), ("cited", cited), ("why", why)):
        assert hasattr(got, name), f"{what}: expected a Verdict with {name}, got {got!r}"
        value = getattr(got, name)
        assert value == expected, f"{what}, {name}: expected {expected!r}, got {value!r}"


EXAMPLE = [
    ("The pump failed on 3 May [1].", "The pump failed on 3 May.", (1,), ""),
    ("The pump failed on 5 May [1].", "The pump failed on 5 May.", (1,), "another figure"),
    ("The pump was replaced [1].", "The pump was replaced.", (1,), "negated"),
    ("Repairs cost 1200 euros [1, 2].", "Repairs cost 1200 euros.", (1, 2), ""),
    ("Repairs cost 1200 euros [1].", "Repairs cost 1200 euros.", (1,), "not said"),
    ("Repairs cost 1200 euros [2, 3].", "Repairs cost 1200 euros.", (2, 3), "no such passage"),
    ("Repairs cost 1200 euros.", "Repairs cost 1200 euros.", (), "nothing cited"),
    ("7 pumps failed [2].", "7 pumps failed.", (2,), "another figure"),
]


def test_worked_example(submission):
    for sentence, text, cited, why in EXAMPLE:
        check(submission.check(sentence, PASSAGES), text, cited, why, repr(sentence))


def test_marks(submission):
    cases = {
        "Pumps fail [2][1].": ("Pumps fail.", (2, 1)),
        "Pumps fail. [ 1 , 2 ]": ("Pumps fail.", (1, 2)),
        "[1] Pumps [2] fail [1].": ("Pumps fail.", (1, 2)),
        "Pumps[1,1] fail": ("Pumps fail", (1,)),
        "Pumps [a] fail [].": ("Pumps [a] fail [].", ()),
    }
    for sentence, (text, cited) in cases.items():
        got = submission.check(sentence, PASSAGES)
        assert got.text == text, f"{sentence!r}, text: expected {text!r}, got {got.text!r}"
        assert got.cited == cited, f"{sentence!r}, cited: expected {cited}, got {got.cited}"


def test_share_of_words(submission):
    """Three of five words are enough by default, and one less is not."""
    passages = [["Alpha beta gamma."]]
    for sentence, least, why in (
        ("Alpha beta gamma delta epsilon [1].", 0.6, ""),
        ("Alpha beta zeta delta epsilon [1].", 0.6, "not said"),
        ("Alpha beta zeta delta epsilon [1].", 0.4, ""),
        ("Alpha beta gamma delta [1].", 1.0, "not said"),
        ("Gamma, alpha; BETA [1]!", 1.0, ""),
    ):
        got = submission.check(sentence, passages, least).why
        assert got == why, f"{sentence!r}, least {least}: expected {why!r}, got {got!r}"


def test_any_cited_passage_may_carry_it(submission):
    for sentence in ("The pump failed on 3 May [1][2].", "The pump failed on 3 May [2][1]."):
        got = submission.check(sentence, PASSAGES).why
        assert got == "", f"{sentence!r}: expected '', got {got!r}"
