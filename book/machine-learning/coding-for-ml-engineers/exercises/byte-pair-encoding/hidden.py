"""Hidden tests: a slow reference, round trips, broken bytes, ends of training, size, arguments."""

import random
import re

from handbook.practice.checks import equal, unchanged

TEXT = "the cat sat on the mat and the rat that the cat saw sat on the hat"


def slow_train(texts, count):
    """Works on every piece of every text, and counts pairs by looking at each."""
    pieces = [list(p.encode()) for text in texts for p in re.findall(" ?[^ ]+| ", text)]
    merges = []
    for _ in range(count):
        pairs = [tuple(piece[i : i + 2]) for piece in pieces for i in range(len(piece) - 1)]
        if not pairs:
            break
        best = sorted(set(pairs), key=lambda pair: (-pairs.count(pair), pair))[0]
        if pairs.count(best) < 2:
            break
        pieces = [slow_merge(piece, best, 256 + len(merges)) for piece in pieces]
        merges.append(best)
    return merges


def slow_merge(ids, pair, new):
    i, out = 0, []
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


def slow_encode(text, merges):
    """Every merge in its order over every piece."""
    out = []
    for piece in re.findall(" ?[^ ]+| ", text):
        ids = list(piece.encode())
        for rank, pair in enumerate(merges):
            ids = slow_merge(ids, pair, 256 + rank)
        out += ids
    return out


def texts_of(seed):
    chance = random.Random(seed)
    return ["".join(chance.choices("aab é ", k=chance.randint(0, 25))) for _ in range(4)]


def test_training_beside_a_slow_reference(submission):
    """Forty small random corpora with many ties, and one sentence."""
    for seed in range(40):
        got = [tuple(pair) for pair in submission.train(texts_of(seed), 12)]
        equal(got, slow_train(texts_of(seed), 12), f"merges of {texts_of(seed)}")
    got = [tuple(pair) for pair in submission.train([TEXT], 100)]
    equal(got, slow_train([TEXT], 100), "merges of a sentence")


def test_encoding_beside_a_slow_reference(submission):
    """Merges learned on one corpus, applied to others."""
    merges = slow_train([TEXT, *texts_of(100)], 40)
    for seed in range(30):
        for text in (*texts_of(200 + seed), "that hat, the other cat"):
            equal(submission.encode(text, merges), slow_encode(text, merges), f"ids of {text!r}")


def test_round_trips(submission):
    """Every text comes back: empty, spaces, line breaks, accents, other scripts, zero bytes."""
    merges = slow_train([TEXT, "é é é 日本 日本"], 60)
    for text in ("", " ", "   ", " the  cat ", "the\ncat\tsat", "éé naïve", "日本語", "🙂 ok", "a\0b"):
        ids = submission.encode(text, merges)
        equal(submission.decode(ids, merges), text, f"round trip of {text!r}")
    equal(submission.encode("", merges), [], "ids of an empty text")


def test_bytes_that_are_no_text(submission):
    """Half a character decodes to U+FFFD; the halves of one in two ids are whole again."""
    equal(submission.decode([195], []), "\ufffd", "the first byte of é alone")
    equal(submission.decode([195, 169, 97], []), "éa", "the two bytes of é, and a")
    equal(submission.decode([255, 97], []), "\ufffda", "a byte that is in no UTF-8")


def test_where_training_ends(submission):
    """No merges asked for, no text, no pair, no pair twice, and exactly as many as asked for."""
    equal(list(submission.train([TEXT], 0)), [], "0 merges")
    equal(list(submission.train([], 5)), [], "merges of no text")
    equal(list(submission.train(["a b c"], 5)), [], "merges of single letters")
    equal(list(submission.train(["ab cd"], 5)), [], "merges where no pair occurs twice")
    equal(len(submission.train([TEXT], 7)), 7, "number of merges asked for")


def test_merges_of_merges(submission):
    """abababab becomes one token by three merges, which decode through one another."""
    merges = [tuple(pair) for pair in submission.train(["abababab abababab"], 3)]
    equal(merges, [(97, 98), (256, 256), (257, 257)], "merges")
    equal(submission.encode("abababab", merges), [258], "ids")
    equal(submission.decode([258, 32, 257], merges), "abababab abab", "text")


def test_a_corpus_of_real_size(submission):
    """2,000 different words, each many times, and 200 merges; arguments unchanged."""
    chance = random.Random(300)
    words = ["".join(chance.choices("etaoinshr", k=chance.randint(2, 9))) for _ in range(2000)]
    texts = [" ".join(chance.choices(words, k=10_000)) for _ in range(3)]
    before = list(texts)
    merges = [tuple(pair) for pair in submission.train(texts, 200)]
    equal(len(set(merges)), 200, "different merges")
    unchanged(texts, before, "texts")
    ids = submission.encode(texts[0], merges)
    equal(submission.decode(ids, merges), texts[0], "round trip of 10,000 words")
    assert len(ids) < len(texts[0]) * 0.6, (
        f"tokens: expected under 60 % of {len(texts[0])} bytes, got {len(ids)}"
    )
