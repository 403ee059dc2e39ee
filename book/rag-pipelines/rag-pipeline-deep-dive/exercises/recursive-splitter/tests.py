"""Visible tests: the example, what fits, paragraphs, words, characters, nothing."""

TEXT = "One two.\n\nThree four five six.\n\nYes it is."


def check(got, expected, text, what):
    got = [tuple(pair) for pair in got]
    assert got == expected, (
        f"{what}: expected {expected}, got {got}: {[text[start:end] for start, end in got]}"
    )


def test_worked_example(submission):
    check(submission.split(TEXT, 16), [(0, 8), (10, 25), (26, 42)], TEXT, "the example, limit 16")


def test_a_text_that_fits_is_one_chunk(submission):
    for limit in (42, 1000):
        check(submission.split(TEXT, limit), [(0, 42)], TEXT, f"the example, limit {limit}")


def test_paragraphs_that_fit_are_kept_together(submission):
    text = "One.\n\nTwo.\n\nThree and four."
    check(submission.split(text, 16), [(0, 10), (12, 27)], text, "two short paragraphs and a long one")


def test_words(submission):
    text = "aa bb cc dd ee"
    check(submission.split(text, 6), [(0, 5), (6, 11), (12, 14)], text, "words of 2, limit 6")


def test_a_word_that_is_too_long(submission):
    text = "abcdefghij kl"
    check(submission.split(text, 4), [(0, 4), (4, 8), (8, 10), (11, 13)], text, "a word of 10, limit 4")


def test_no_text(submission):
    for text in ("", " ", "\n\n \n"):
        for limit in (1, 50):
            check(submission.split(text, limit), [], text, f"{text!r}, limit {limit}")


def test_bad_limits_are_refused(submission):
    for limit in (0, -5):
        try:
            got = submission.split("abc", limit)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"limit {limit}: expected ValueError, got {type(error).__name__}") from error
        raise AssertionError(f"limit {limit}: expected ValueError, got {got}")
