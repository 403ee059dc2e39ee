"""Text to ids and back, on the nasty corpus, against tokenizers made independently of ours.

The reference for SmolLM2 is byte-pair encoding written out here in plain Python from its definition, and
transformers' own reading of the GGUF file. The latter doesn't know that SmolLM cuts every digit off (it takes
plain GPT-2 cutting), which makes a difference for digits of other scripts only; those texts are left out
there.
"""

import inspect
import itertools
import re
import unicodedata

import pytest

from handbook.errors import ModelFileError
from handbook.model.tokenizer import StreamDecoder, Tokenizer
from handbook.model.weights.gguf import read_gguf


class PlainBPE:
    """Byte-level BPE as in Sennrich et al. 2016 (arXiv:1508.07909), algorithm 1, over GPT-2's byte
    alphabet."""

    def __init__(self, metadata):
        import regex

        self.ids = {token: i for i, token in enumerate(metadata["tokenizer.ggml.tokens"])}
        merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        kinds = zip(metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"], strict=True)
        special = sorted((token for token, kind in kinds if kind == 3), key=len, reverse=True)
        self.special = re.compile("(" + "|".join(map(re.escape, special)) + ")")
        self.cut = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        hidden = [byte for byte in range(256) if byte not in printable]
        self.letter = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(hidden)}

    def encode(self, text, special=True):
        pieces = self.special.split(text) if special else [text]
        return [
            i
            for at, piece in enumerate(pieces)
            for i in (self.plain(piece) if at % 2 == 0 else [self.ids[piece]])
        ]

    def plain(self, text):
        runs = re.findall(
            r"(\d)|(\D+)", "".join("0" if unicodedata.category(c)[0] == "N" else "x" for c in text)
        )
        at, ids = 0, []
        for digit, other in runs:
            run = text[at : at + len(digit or other)]
            at += len(run)
            for word in [run] if digit else self.cut.findall(run):
                ids += [self.ids[token] for token in self.merge([self.letter[b] for b in word.encode()])]
        return ids

    def merge(self, symbols):
        while len(symbols) > 1:
            best = min(itertools.pairwise(symbols), key=lambda pair: self.ranks.get(pair, 1e9))
            if best not in self.ranks:
                break
            merged, i = [], 0
            while i < len(symbols):
                step = 2 if tuple(symbols[i : i + 2]) == best else 1
                merged.append("".join(symbols[i : i + step]))
                i += step
            symbols = merged
        return symbols


@pytest.fixture(scope="module")
def small(byte_vocabulary):
    return Tokenizer.from_gguf(byte_vocabulary)


@pytest.fixture(scope="module")
def plain_small(byte_vocabulary):
    return PlainBPE(byte_vocabulary)


@pytest.mark.parametrize("special", [True, False])
def test_small_is_plain_bpe(small, plain_small, nasty, special):
    assert small.encode(nasty, special=special) == plain_small.encode(nasty, special=special)


def test_worked_example(small, byte_vocabulary):
    """he + ll, then hell + o; Ġwor + ld; the digits stay apart although '12' is a token."""
    tokens = byte_vocabulary["tokenizer.ggml.tokens"]
    ids = small.encode("hello world12<|end|>")
    assert [tokens[i] for i in ids] == ["hello", "Ġworld", "1", "2", "<|end|>"]


def test_there_and_back(small, nasty):
    assert small.decode(small.encode(nasty), special=True) == nasty
    assert small.decode(small.encode(nasty, special=False)) == nasty


def test_special_names_are_text_when_asked(small):
    assert small.encode("a<|end|>")[-1] == small.eos
    assert small.eos not in small.encode("a<|end|><|start|>", special=False)
    assert small.bos not in small.encode("a<|end|><|start|>", special=False)
    assert small.decode([small.eos, *small.encode("a")]) == "a"


def test_wrap_adds_the_start_token_where_the_model_has_one(byte_vocabulary):
    with_bos = Tokenizer.from_gguf(byte_vocabulary | {"tokenizer.ggml.add_bos_token": True})
    assert with_bos.encode("a", wrap=True) == [1, *with_bos.encode("a")]
    without = Tokenizer.from_gguf(byte_vocabulary)
    assert without.encode("a", wrap=True) == without.encode("a")


@pytest.mark.parametrize("special", [True, False])
def test_streaming_shows_the_same_text_and_no_half_characters(small, nasty, special):
    stream, shown = StreamDecoder(small), []
    for token in small.encode(nasty, special=special):
        shown.append(stream.push(token))
        if "\ufffd" not in nasty:
            assert "\ufffd" not in shown[-1]
    shown.append(stream.finish())
    assert "".join(shown) == small.decode(small.encode(nasty, special=special))


def test_streaming_broken_utf8(small):
    """Bytes that never become a character appear as U+FFFD, none is lost."""
    ids = [2 + byte for byte in b"a\xf0\x9f\xf0\x9f\x99\x82b\xff\xfe\xe2\x82" + b"\x80" * 30 + b"z\xf0\x9f"]
    stream = StreamDecoder(small)
    assert "".join([*map(stream.push, ids), stream.finish()]) == small.decode(ids)


def test_streaming_waits_for_the_whole_character(small):
    ids = small.encode("é🙂!")
    stream = StreamDecoder(small)
    pieces = [stream.push(token) for token in ids]
    assert [piece for piece in pieces if piece] == ["é", "🙂", "!"]


def test_qwen2_is_transformers_own_class(byte_vocabulary, nasty):
    from transformers import Qwen2Tokenizer

    ours = Tokenizer.from_gguf(byte_vocabulary | {"tokenizer.ggml.pre": "qwen2"})
    vocab = {token: i for i, token in enumerate(byte_vocabulary["tokenizer.ggml.tokens"])}
    merges = [tuple(merge.split(" ")) for merge in byte_vocabulary["tokenizer.ggml.merges"]]
    end = dict.fromkeys(("unk_token", "eos_token", "pad_token"), "<|end|>")
    theirs = Qwen2Tokenizer(vocab=vocab, merges=merges, **end)
    assert ours.encode(nasty) == theirs(nasty)["input_ids"]


def test_llama3_cuts_as_transformers_converter_says(byte_vocabulary, nasty):
    import regex
    from transformers.convert_slow_tokenizer import TikTokenConverter

    rule = inspect.signature(TikTokenConverter).parameters["pattern"].default
    ours = Tokenizer.from_gguf(
        byte_vocabulary | {"tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.add_bos_token": False}
    )
    cuts = [piece for piece, _ in ours.backend.pre_tokenizer.pre_tokenize_str(nasty)]
    plain = PlainBPE(byte_vocabulary)
    assert cuts == ["".join(plain.letter[b] for b in word.encode()) for word in regex.findall(rule, nasty)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tokens", 5),
        ("tokens", "abc"),
        ("tokens", [1, 2]),
        ("merges", 5),
        ("merges", [5]),
        ("token_type", 5),
        ("bos_token_id", "x"),
    ],
)
def test_metadata_of_another_type_is_refused(byte_vocabulary, name, value):
    changed = byte_vocabulary | {f"tokenizer.ggml.{name}": value, "tokenizer.ggml.add_bos_token": True}
    with pytest.raises(ModelFileError, match=r"should be a list|start token"):
        Tokenizer.from_gguf(changed)


@pytest.fixture(scope="module")
def metadata(smollm2_path):
    return read_gguf(smollm2_path).metadata


@pytest.fixture(scope="module")
def smol(metadata):
    return Tokenizer.from_gguf(metadata)


@pytest.fixture(scope="module")
def plain_smol(metadata):
    return PlainBPE(metadata)


@pytest.fixture(scope="module")
def their_smol(smollm2_path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(smollm2_path.parent, gguf_file=smollm2_path.name)


@pytest.mark.models
@pytest.mark.parametrize("special", [True, False])
def test_smollm2_is_plain_bpe(smol, plain_smol, nasty, special):
    assert smol.encode(nasty, special=special) == plain_smol.encode(nasty, special=special)
    assert smol.decode(smol.encode(nasty, special=special), special=True) == nasty


@pytest.mark.models
def test_smollm2_is_transformers(smol, their_smol, nasty_corpus):
    compared = 0
    for text in nasty_corpus:
        if any(unicodedata.category(c)[0] == "N" and not c.isascii() for c in text):
            continue
        assert smol.encode(text) == their_smol(text)["input_ids"]
        assert smol.decode(smol.encode(text), special=True) == their_smol.decode(
            their_smol(text)["input_ids"]
        )
        compared += 1
    assert compared > 25


@pytest.mark.models
def test_smollm2_ids(smol):
    assert (smol.bos, smol.eos, smol.vocab_size) == (1, 2, 49152)
    assert smol.token_text(2) == "<|im_end|>"
