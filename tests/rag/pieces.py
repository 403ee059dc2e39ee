"""A WordPiece tokenizer small enough to count by hand, and texts for property tests."""

import string

from hypothesis import settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from handbook.rag.tokens import Count

WORDS = ("the", "token", "##s", "##ing", "cut", "chunk", "##er", "一", "=")

unhurried = settings(deadline=None)  # a busy machine is no fault of a splitter


def small_tokenizer() -> Tokenizer:
    """Lower-cased letters and digits are tokens of their own, so are ASCII marks, and WORDS."""
    single = string.ascii_lowercase + string.digits
    parts = ["[UNK]", *single, *(f"##{c}" for c in single), *string.punctuation, *WORDS]
    vocabulary = {part: i for i, part in enumerate(dict.fromkeys(parts))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(["[SEP]"])
    tokenizer.enable_truncation(8)
    return tokenizer


# What tokenizers trip over: removed characters, accents, marks made of two, scripts without spaces.
_ODD = "\u0301\u200b\u00ad\x00\x0b\x0c≠注一ก\u2013“ßİ\u2028\U0001f642é\u00a0"
texts = st.text(st.sampled_from("abcST  \n\n.,!'=-" + _ODD), max_size=60)


def _document(parts: list[str]) -> str:
    return "".join(parts)


_words = st.sampled_from(
    ["the ", "token ", "chunking ", "cut. ", "So ", "a, ", "x" * 40 + " ", "tokens! ", "一二三。", "é "]
)
_breaks = st.sampled_from(["\n", "\n\n", "\n\n\n", " "])
documents = st.lists(st.one_of(_words, _words, _words, _breaks), max_size=80).map(_document)
"""Prose of short words in sentences, lines and paragraphs."""

_lines = st.sampled_from(
    [
        "# the",
        "## cut",
        "### token",
        "the the the",
        "The cut. The token. The the",
        "- the",
        "",
        "",
        "```",
        "a | b",
    ]
)
markdowns = st.lists(_lines, max_size=24).map("\n".join)


def faults(text: str, places: list[tuple[int, int]], limit: int, count: Count) -> list[str]:
    """What is wrong with chunks that should hold all of a text once, in order, each within the limit."""
    found = []
    end = 0
    for start, stop in [*places, (len(text), len(text))]:
        if start < end:
            found.append(f"{start} comes before {end}")
        if text[end:start].strip():
            found.append(f"{text[end:start]!r} is in no chunk")
        piece = text[start:stop]
        if (start, stop) != (len(text), len(text)):
            if not piece.strip() or piece != piece.rstrip() or not piece.split("\n")[0].strip():
                found.append(f"{piece!r} begins with a blank line or ends in white space")
            if count(piece) > limit and len(piece) > 1:
                found.append(f"{piece!r} has {count(piece)} tokens")
        end = stop
    return found
