"""What is removed, why, and that nothing else is: against comparing every text with every other."""

import random
from functools import cache

import numpy as np
import pytest

from handbook.records import Message
from handbook.train import cleaning
from handbook.train.cleaning import (
    decontaminated,
    jaccard,
    runs,
    signature,
    text_of,
    without_duplicates,
    without_near_duplicates,
)
from handbook.train.examples import Example
from handbook.train.formats import Conversation, Pair, Prompt, read_conversations
from handbook.train.lengths import lengths_of

WORDS = [f"{one}{two}" for one in "bcdfghjk" for two in ("at", "el", "ip", "ost", "urn", "ay")]


def said(*texts, line=0):
    roles = ("user", "assistant") * len(texts)
    return Conversation(tuple(map(Message, roles, texts)), line=line)


@cache
def shingles(text):
    return {" ".join(text.split()[at : at + 5]) for at in range(max(len(text.split()) - 4, 1))}


def similarity(one, other):
    a, b = (shingles(text_of(record)) for record in (one, other))
    return len(a & b) / len(a | b)


@pytest.fixture(scope="module")
def many():
    """Texts, and copies of them with a few words changed: similarities of all sizes."""
    chance = random.Random(3)
    records = []
    for _ in range(20):
        words = chance.choices(WORDS, k=60)
        for changes in (0, 0, 1, 2, 4, 8):
            copy = list(words)
            for _ in range(changes):
                copy[chance.randrange(60)] = chance.choice(WORDS)
            records.append(said(" ".join(copy[:20]), " ".join(copy[20:])))
    chance.shuffle(records)
    return records


def test_equal_records_go_whatever_their_line():
    records = [
        said("q", "a", line=2),
        said("q", "b", line=4),
        said("q", "a", line=9),
        said("q", "a", line=11),
    ]
    cleaned = without_duplicates(records)
    assert cleaned.records == tuple(records[:2])
    assert [(each.index, each.other) for each in cleaned.removed] == [(2, 0), (3, 0)]
    assert cleaned.removed[0].why == "the same turns as that of line 2"
    turn = (Message("user", "q"),)
    assert len(without_duplicates([Prompt(turn, "1"), Prompt(turn, "2")]).records) == 1
    yes, no = (Message("assistant", "yes"),), (Message("assistant", "no"),)
    assert len(without_duplicates([Pair(turn, yes, no), Pair(turn, no, yes)]).records) == 2


@pytest.mark.parametrize("least", [0.3, 0.5, 0.8, 1.0])
def test_near_duplicates_are_those_that_comparing_all_finds(many, least):
    removed, kept = {}, []
    for index, record in enumerate(many):
        best = max(kept, key=lambda other: similarity(record, many[other]), default=None)
        if best is not None and (found := similarity(record, many[best])) >= least:
            removed[index] = found
        else:
            kept.append(index)
    cleaned = without_near_duplicates(many, least)
    assert {each.index for each in cleaned.removed} == set(removed)
    assert len(removed) >= 20
    assert cleaned.records == tuple(many[index] for index in kept)
    for each in cleaned.removed:
        assert similarity(many[each.index], many[each.other]) == pytest.approx(removed[each.index])
        assert each.why.startswith(f"{removed[each.index]:.0%} the same as record {each.other + 1}")


def test_a_signature_estimates_the_similarity(many):
    """128 places, so the standard error is at most 0.044; five of them are allowed, and the mean has less."""
    errors = []
    for one, other in zip(many[:80:2], many[1:80:2], strict=True):
        a, b = (np.unique(runs(text_of(record).split(), 1)) for record in (one, other))
        errors.append(float((signature(a) == signature(b)).mean()) - jaccard(a, b))
    assert max(map(abs, errors)) < 0.22
    assert abs(np.mean(errors)) < 0.03


def test_long_texts_are_signed_in_parts():
    hashes = runs([str(number) for number in range(9000)], 1)
    parts = [signature(hashes[start : start + 3000]) for start in (0, 3000, 6000)]
    assert (signature(hashes) == np.minimum.reduce(parts)).all()


def test_case_and_the_system_make_no_difference_and_signs_are_texts():
    one, other = "one two three four five six", "One, two; THREE four (five) six!"
    system = Conversation((Message("system", "s " * 50), *said(one, "a").messages))
    assert len(without_near_duplicates([said(one, "a"), said(other, "a"), system]).records) == 1
    assert len(without_near_duplicates([said("!!!", "?"), said("???", "!"), said("!!!", "?")]).records) == 2
    chinese = "今天天气很好我们去公园散步吧然后一起吃饭看电影喝咖啡"
    near = [
        said(chinese, "好的没问题"),
        said(chinese + "。", "好的没问题呀"),
        said("完全不同的句子在这里", "好"),
    ]
    assert [each.index for each in without_near_duplicates(near).removed] == [1]
    with pytest.raises(ValueError, match="above 0 and at most 1, got 80"):
        without_near_duplicates([], 80)


def test_bands_keep_the_share_of_missed_pairs_low():
    for least in (0.05, 0.2, 0.5, 0.8, 0.95, 1.0):
        rows = cleaning.band_rows(least)
        assert cleaning.HASHES % rows == 0
        missed = (1 - least**rows) ** (cleaning.HASHES / rows)
        assert missed <= cleaning.MISSED or rows == 1
    assert cleaning.band_rows(0.8) == 4


def test_decontamination_by_hand():
    test = "The quick brown fox jumps over the lazy dog and then it sleeps for nine hours"
    records = [
        said(
            "tell me", "he said: THE QUICK brown fox, jumps over the lazy dog and then it SLEEPS!"
        ),  # 13 words
        said("tell me", "the quick brown fox jumps over the lazy dog and then it rests"),  # 12
        said("what is two plus two", "four"),
        said("what is two plus three", "five"),
        said("what is two", "plus two"),  # over the end of a turn, as a text: it is there
    ]
    cleaned = decontaminated(records, [test, "What is two plus two?"])
    assert [(each.index, each.other) for each in cleaned.removed] == [(0, 0), (2, 1), (4, 1)]
    assert cleaned.removed[1].why == "shares “what is two plus two” with test text 2"
    assert cleaned.records == (records[1], records[3])
    assert [each.index for each in decontaminated(records, [test], words=12).removed] == [0, 1]
    for tests, words, what in (([" ?"], 13, "test text 1 holds no word"), (["a"], 0, "at least one word")):
        with pytest.raises(ValueError, match=what):
            decontaminated(records, tests, words)


def test_a_report_of_lengths():
    examples = [Example((1,) * n, (False,) * (n - 1) + (True,)) for n in (2, 4, 6, 8, 20)]
    report = lengths_of(examples, limit=7, batch=2)
    assert (report.examples, report.tokens, report.counted) == (5, 40, 5)
    assert report.percentiles == (2, 6, 20, 20, 20)
    assert (report.over, report.beyond) == (2, 14)
    assert report.padded == 2 * 4 + 2 * 8 + 20
    assert str(report).splitlines()[0] == "5 examples, 40 tokens, 12% trained on"
    with pytest.raises(ValueError, match="no examples"):
        lengths_of([], 7)


@pytest.mark.shared
def test_the_instructions_hold_some_twice(sets_path):
    records = read_conversations(sets_path / "alpaca_en_demo.json")
    cleaned = without_duplicates(records)
    assert len(cleaned.records) == 985
    assert len(without_near_duplicates(cleaned.records).records) == 985
    assert not decontaminated(
        cleaned.records[:900], [text_of(one) for one in cleaned.records[900:]], 30
    ).removed
