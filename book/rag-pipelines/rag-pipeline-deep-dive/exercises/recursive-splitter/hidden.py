"""Hidden tests: the rule over random texts, each separator, joining, tokens, odd characters."""

import random
from itertools import pairwise

SEPARATORS = ("\n\n", "\n", ". ", " ")


def check(got, expected, text, what):
    got = [tuple(pair) for pair in got]
    assert got == expected, (
        f"{what}: expected {expected}, got {got}: {[text[start:end] for start, end in got]}"
    )


def words(text):
    """What a crude tokenizer counts: words and marks."""
    total, inside = 0, False
    for character in text:
        letter = character.isalnum()
        total += (letter and not inside) or not (letter or character.isspace())
        inside = letter
    return total


def by_rule(text, limit, count):
    def pieces(start, end, level):
        if end - start < 2 or count(text[start:end]) <= limit:
            return [(start, end)]
        if level < 4:
            mark, cuts, at = SEPARATORS[level], [], start
            while (at := text.find(mark, at, end)) >= 0:
                at += len(mark)
                cuts.append(at)
        else:
            cuts = range(start + 1, end)
        ends = [start, *(cut for cut in cuts if cut < end), end]
        joined = []
        for piece in [p for a, b in pairwise(ends) for p in pieces(a, b, level + 1)]:
            if joined and count(text[joined[-1][0] : piece[1]]) <= limit:
                joined[-1] = (joined[-1][0], piece[1])
            else:
                joined.append(piece)
        return joined

    chunks = []
    for start, end in pieces(0, len(text), 0):
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start < end:
            chunks.append((start, end))
    return chunks


def texts(count):
    for seed in range(count):
        chance = random.Random(seed)
        kinds = ["word", "a", "it", "longerword", ". ", " ", " ", " ", "\n", "\n\n", ".", "\n\n\n", "x. y"]
        yield "".join(chance.choices(kinds, k=chance.randint(1, 40)))


def test_equals_the_rule(submission):
    for text in texts(60):
        for limit in (1, 4, 9, 20):
            check(submission.split(text, limit), by_rule(text, limit, len), text, f"{text!r}, limit {limit}")


def test_equals_the_rule_in_words(submission):
    for text in texts(40):
        for limit in (1, 3, 6):
            got, expected = submission.split(text, limit, words), by_rule(text, limit, words)
            check(got, expected, text, f"{text!r}, limit {limit} words")


def test_nothing_is_lost_or_doubled(submission):
    for text in texts(40):
        for limit in (1, 5, 13):
            got = submission.split(text, limit)
            inside = [place for start, end in got for place in range(start, end)]
            assert inside == sorted(set(inside)), f"{text!r}, limit {limit}: expected no overlaps, got {got}"
            missing = [i for i, c in enumerate(text) if not c.isspace() and i not in set(inside)]
            assert not missing, f"{text!r}, limit {limit}: expected every letter, got none of {missing}"
            long = [end - start for start, end in got if end - start > limit]
            assert not long, f"{text!r}: expected chunks of at most {limit}, got lengths {long}"


def test_sentences_before_words(submission):
    text = "A bee. Sees me now. Yes."
    check(submission.split(text, 14), [(0, 6), (7, 19), (20, 24)], text, "three sentences, limit 14")


def test_lines_before_sentences(submission):
    text = "a. b\nc. d"
    check(submission.split(text, 5), [(0, 4), (5, 9)], text, "two lines of two sentences, limit 5")


def test_the_same_text_in_two_places(submission):
    text = "same here\n\nsame here\n\nsame here"
    check(submission.split(text, 11), [(0, 9), (11, 20), (22, 31)], text, "a paragraph three times")


def test_a_part_is_joined_with_what_follows_it(submission):
    """Also with the first piece of a part that was cut itself."""
    text = "aaaa bbbb c\n\nd eeee ffff"
    check(
        submission.split(text, 10), [(0, 9), (10, 19), (20, 24)], text, "a left-over, and a part that is cut"
    )


def test_white_space_counts_until_the_end(submission):
    """aaa and bbb would fit without the blank line between them."""
    text = "aaa\n\nbbb"
    check(submission.split(text, 7), [(0, 3), (5, 8)], text, "a blank line that makes it too long")
    text = "aaa bbb\n\nc"
    check(submission.split(text, 7), [(0, 3), (4, 10)], text, "words that fit without their blank line")
    text = " ab"
    check(submission.split(text, 3), [(1, 3)], text, "a space before a word, limit 3")
    text = "  aaa  "
    check(submission.split(text, 3), [(2, 5)], text, "white space around a word, limit 3")
    text = "aa  bb"
    check(submission.split(text, 4), [(0, 2), (4, 6)], text, "two spaces, limit 4")


def test_separators_do_not_overlap(submission):
    text = "aa\n\n\nbb\n\nc"
    check(submission.split(text, 5), [(0, 2), (5, 7), (9, 10)], text, "three line breaks and two, limit 5")


def test_other_white_space(submission):
    """Cut between characters, then trimmed: tabs and no-break spaces are no separators here."""
    text = "ab\tcd\u00a0ef"
    check(submission.split(text, 4), [(0, 4), (4, 8)], text, "a tab and a no-break space, limit 4")


def test_characters_that_count_more_than_the_limit(submission):
    text = "ab"
    try:
        got = submission.split(text, 2, lambda part: 3 * len(part))
    except RecursionError as error:
        raise AssertionError("characters of 3 tokens: expected two chunks, got RecursionError") from error
    check(got, [(0, 1), (1, 2)], text, "characters of 3 tokens, limit 2")


def test_a_count_of_tokens(submission):
    """Offsets are characters all the same."""
    text = "Über größe. Naïve cafés: déjà vu \U0001f600 fin"
    got = submission.split(text, 12, lambda part: len(part.encode()))
    check(got, by_rule(text, 12, lambda part: len(part.encode())), text, "limit 12 bytes")
    check(got[:1], [(0, 4)], text, "first chunk, limit 12 bytes")
    text = "größenträgerin"
    got = submission.split(text, 6, lambda part: len(part.encode()))
    check(got, by_rule(text, 6, lambda part: len(part.encode())), text, "a long word, limit 6 bytes")


def test_a_count_that_is_not_a_sum(submission):
    """One for each ten characters that are begun: joining has to ask for both pieces as one."""

    def count(part):
        return -(-len(part) // 10)

    text = "aa bb cc dd ee ff gg hh ii jj"
    check(submission.split(text, 2, count), [(0, 17), (18, 29)], text, "1 for each 10 characters, limit 2")


def test_a_long_text(submission):
    """Neither loops for ever nor runs out of stack."""
    text = "word " * 2000 + "x" * 500
    got = submission.split(text, 100)
    assert len(got) == 105, f"2,000 words and one of 500, limit 100: expected 105 chunks, got {len(got)}"


def growth_input(n):
    """Words and full stops, n characters, in chunks of 100."""
    return ("one two three. " * (n // 15 + 1))[:n], 100
