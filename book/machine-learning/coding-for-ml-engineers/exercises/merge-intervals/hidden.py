"""Hidden tests: characters covered by brute force, gaps to the character, many spans, what is kept."""

import random

from handbook.practice.checks import equal, raises, unchanged


def growth_input(n):
    chance = random.Random(n)
    starts = [chance.randrange(10 * n) for _ in range(n)]
    return ([(start, start + chance.randint(1, 8)) for start in starts],)


def by_character(spans, gap):
    """Marks every covered character, fills short gaps, and reads the runs off."""
    covered = {place for start, end in spans for place in range(start, end)}
    merged = []
    for place in sorted(covered):
        if merged and place - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], place + 1)
        else:
            merged.append((place, place + 1))
    return merged


def test_equals_marking_characters(submission):
    """Random spans, gaps from 0 to 3."""
    for seed in range(120):
        chance = random.Random(seed)
        starts = [chance.randint(-5, 25) for _ in range(chance.randrange(8))]
        spans = [(start, start + chance.randint(1, 6)) for start in starts]
        for gap in (0, 1, 3):
            got = submission.merge_spans(spans, gap)
            equal(got, by_character(spans, gap), f"spans {spans}, gap {gap}")


def test_gap_to_the_character(submission):
    """As many characters between as the gap allows, and one more."""
    equal(submission.merge_spans([(0, 2), (6, 8)], 4), [(0, 8)], "4 characters between, gap 4")
    equal(submission.merge_spans([(0, 2), (6, 8)], 3), [(0, 2), (6, 8)], "4 characters between, gap 3")


def test_gap_is_measured_from_what_was_merged(submission):
    """The furthest end counts, not the end of the span that came last."""
    spans = [(0, 30), (5, 6), (32, 33)]
    equal(submission.merge_spans(spans, 2), [(0, 33)], f"spans {spans}, gap 2")


def test_same_span_several_times(submission):
    """Once is enough."""
    equal(submission.merge_spans([(2, 4)] * 3), [(2, 4)], "three times (2, 4)")


def test_result_can_be_merged_again(submission):
    """What is merged has nothing left to merge."""
    merged = [(0, 20), (23, 30), (40, 52)]
    equal(submission.merge_spans(merged), merged, "the merged example")


def test_many_spans(submission):
    """15,000 spans in the worst order."""
    spans = [(3 * i, 3 * i + 2) for i in range(15_000)][::-1]
    equal(submission.merge_spans(spans), spans[::-1], "15,000 spans with one character between")
    equal(submission.merge_spans(spans, 1), [(0, 44_999)], "15,000 spans with one character between, gap 1")


def test_spans_stay_as_they_were(submission):
    """The argument is neither sorted nor changed."""
    spans = [(5, 9), (0, 6)]
    submission.merge_spans(spans)
    unchanged(spans, [(5, 9), (0, 6)], "spans")


def test_bad_arguments_are_refused_wherever_they_stand(submission):
    """Also an empty span inside another one, and a negative gap without spans."""
    raises(ValueError, submission.merge_spans, [(0, 10), (4, 4)], what="an empty span within (0, 10)")
    raises(ValueError, submission.merge_spans, [], -2, what="no spans, gap -2")
