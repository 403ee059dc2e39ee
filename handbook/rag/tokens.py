"""How many tokens a piece of a text has, asked thousands of times of one text.

`plain` calls the tokenizer on the piece. `ByWord` rests on what a BERT tokenizer does first: it cuts at white
space and around punctuation, and no token crosses such a cut (Devlin et al. 2019, arXiv:1810.04805, section
3; WordPiece: Wu et al. 2016, arXiv:1609.08144, section 4.1). So a text has the sum of its words' tokens; a
word is asked of the tokenizer once, and a piece of a text is one subtraction.

Tokens are the text's own: [CLS] and [SEP], which the embedder adds, are not counted.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import json
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from handbook.embed import Embedder

Count = Callable[[str], int]
"""Tokens of a text."""
Ruler = Callable[[int, int], int]
"""Tokens of text[start:end], of the one text that it was made for."""

LETTERS = 32  # characters that count as a token at least: else an unknown word of a megabyte would be one
LONG = 100  # characters; longer words are asked each time
SPACE, JOINS, ALONE, UNSEEN = range(4)  # what a character does: parts words, belongs to one, is one
_BITS = 20  # of the table of words: the latest million or so
_BLOCK = 1 << 16  # characters that are hashed at a time, so that their numbers stay in the processor's cache
_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses modulo 2^64


def count_of(embedder: "Embedder") -> Count:
    """Tokens as this embedder counts them; an estimate where it has no tokenizer here (a server)."""
    tokenizer = getattr(embedder, "tokenizer", None)
    return estimate() if tokenizer is None else of_tokenizer(tokenizer())


def of_tokenizer(tokenizer: "Tokenizer") -> Count:
    """The count by words where the tokenizer goes word by word, else the plain one."""
    before = json.loads(tokenizer.to_str())["pre_tokenizer"] or {}
    return by_word(tokenizer) if before.get("type") == "BertPreTokenizer" else plain(tokenizer)


def plain(tokenizer: "Tokenizer") -> Count:
    """The length of what the tokenizer makes of a text."""
    whole = _whole(tokenizer)
    return lambda text: len(whole.encode(_sound(text), add_special_tokens=False).ids)


def by_word(tokenizer: "Tokenizer") -> "ByWord":
    """For a tokenizer that begins as BERT's does. Equals `plain`, but for words of LETTERS or more: they have
    no fewer tokens here, since WordPiece makes one [UNK] of a word that is too long for it."""
    whole = _whole(tokenizer)
    longest = int(json.loads(whole.to_str())["model"]["max_input_chars_per_word"])

    def cost(word: str) -> int:
        if len(word) > 4 * longest:  # not worth reading: it has no more tokens than the longest word can have
            return max(longest, len(word) // LETTERS)
        return max(len(whole.encode(_sound(word), add_special_tokens=False).ids), len(word) // LETTERS)

    def costs(words: Sequence[str]) -> list[int]:
        # One at a time: a batch wakes the tokenizer's threads, and words are too short for that to pay.
        return [cost(word) for word in words]

    def does(character: str) -> int:
        text = _sound(f"a{character}a")
        if whole.normalizer is not None:
            text = whole.normalizer.normalize_str(text)
        words = [word for word, _ in whole.pre_tokenizer.pre_tokenize_str(text)]
        return JOINS if len(words) == 1 else SPACE if words == ["a", "a"] else ALONE

    return ByWord(costs, does)


@cache
def estimate() -> "ByWord":
    """Without a tokenizer: a token for every six letters or digits that a word begins, and for each mark and
    each ideograph."""

    def does(character: str) -> int:
        if character.isspace():
            return SPACE
        return JOINS if character.isalnum() and not "\u2e80" <= character <= "\ud7ff" else ALONE

    return ByWord(lambda words: [-(-len(word) // 6) for word in words], does)


def ruler(text: str, count: Count) -> Ruler:
    """How pieces of `text` are measured, without the white space around them: by subtraction where the count
    goes by words (white space has no tokens there), else each anew."""
    if isinstance(count, ByWord | Once):
        return count.over(text)
    return lambda start, end: count(text[start:end].strip())


class Once:
    """A count as it is, but with a ruler of one text that is made once, for all who ask for it."""

    def __init__(self, text: str, count: Count) -> None:
        self._text = text
        self._count = count
        self._ruler = ruler(text, count)

    def __call__(self, text: str) -> int:
        return self._count(text)

    def over(self, text: str) -> Ruler:
        return self._ruler if text is self._text else ruler(text, self._count)


class ByWord:
    """A count that is a sum over words.

    Words are told apart by a hash of 64 bits, a polynomial modulo 2^64; a collision, unlikely below a billion
    different words, makes a count wrong and nothing else. Several threads may use one; they take turns.

    Args:
        costs: tokens of each of some words.
        does: whether a character parts words, belongs to one or is one: SPACE, JOINS or ALONE.
    """

    def __init__(self, costs: Callable[[Sequence[str]], list[int]], does: Callable[[str], int]) -> None:
        self._lock = threading.RLock()
        self._costs = costs
        self._does = does
        self._classes = np.full(0x110000, UNSEEN, np.uint8)
        self._hashes = np.zeros(1 << _BITS, np.uint64)
        self._tokens = np.zeros(1 << _BITS, np.int32)
        steps = np.full(2 * _BLOCK, _MULTIPLIER, np.uint64)
        back = np.full(2 * _BLOCK, pow(_MULTIPLIER, -1, 1 << 64), np.uint64)
        steps[0] = back[0] = 1
        self._powers, self._inverses = np.cumprod(steps), np.cumprod(back)

    def __call__(self, text: str) -> int:
        return self.over(text)(0, len(text))

    def over(self, text: str) -> Ruler:
        """Measures pieces of one text. Takes about ten bytes of memory a character while it is made, five
        after."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        with self._lock:
            classes = self._classify(codes)
        joins = np.zeros(
            len(codes) + 2, bool
        )  # whether a character, one earlier in `text`, belongs to a word
        joins[1:-1] = classes == JOINS
        inside = joins[:-1] & joins[1:]  # [len + 1] whether a place lies within a word
        begins = classes == ALONE
        begins |= joins[1:-1] & ~joins[:-2]
        ends = classes == ALONE
        ends |= joins[1:-1] & ~joins[2:]
        starts, stops = np.flatnonzero(begins), np.flatnonzero(ends) + 1
        before = np.zeros(len(codes) + 1, np.int32)
        with self._lock:
            before[starts + 1] = self._measured(text, codes, starts, stops)
        np.cumsum(before, out=before)
        tokens, within = memoryview(before), inside.tobytes()  # type: ignore[arg-type]

        def measure(start: int, end: int) -> int:
            parts = []  # of words that a cut goes through, which are other words
            if within[start]:
                parts.append(text[start : (start := min(end, within.index(0, start)))])
            if within[end] and start < end:
                parts.append(text[(stop := within.rindex(0, 0, end)) : end])
                end = stop
            return tokens[end] - tokens[start] + (sum(self._costs(parts)) if parts else 0)

        return measure

    def _classify(self, codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
        classes = self._classes[codes]
        if classes.size and classes.max() == UNSEEN:
            for code in np.unique(codes[classes == UNSEEN]).tolist():
                self._classes[code] = self._does(chr(code))
            classes = self._classes[codes]
        return classes

    def _measured(
        self, text: str, codes: NDArray[np.uint32], starts: NDArray[np.intp], stops: NDArray[np.intp]
    ) -> NDArray[np.int32]:
        """Tokens of each word text[start:stop]."""
        found = np.empty(len(starts), np.int32)
        first = 0
        while first < len(starts):
            base = int(starts[first])
            last = int(np.searchsorted(starts, base + _BLOCK))
            found[first:last] = self._block(text, codes, starts[first:last], stops[first:last])
            first = last
        return found

    def _block(
        self, text: str, codes: NDArray[np.uint32], starts: NDArray[np.intp], stops: NDArray[np.intp]
    ) -> NDArray[np.int32]:
        """The same of words that begin within a block: looked up by their hashes; new ones are asked."""
        base = int(starts[0])
        short = np.minimum(stops - starts, LONG) + starts - base  # ends, from base; of long words no matter
        terms = codes[base : base + int(short[-1])] * self._powers[: int(short[-1])]
        sums = np.zeros(len(terms) + 1, np.uint64)
        np.cumsum(terms, out=sums[1:])
        hashes = (sums[short] - sums[starts - base]) * self._inverses[starts - base]
        hashes ^= (stops - starts).astype(np.uint64) << np.uint64(48)  # "a" is not "a" and a zero
        hashes *= np.uint64(_MULTIPLIER)  # the high bits, which choose the slot, hang on all
        slots = (hashes >> np.uint64(64 - _BITS)).astype(np.intp)
        tokens: NDArray[np.int32] = self._tokens[slots]
        ask = np.flatnonzero(self._hashes[slots] != hashes)
        if len(ask):
            words = [text[a:b] for a, b in zip(starts[ask].tolist(), stops[ask].tolist(), strict=True)]
            new = list(dict.fromkeys(words))
            costs = dict(zip(new, self._costs(new), strict=True))
            tokens[ask] = [costs[word] for word in words]
            kept = ask[stops[ask] - starts[ask] <= LONG]  # the hash of a longer one is that of its beginning
            self._hashes[slots[kept]] = hashes[kept]
            self._tokens[slots[kept]] = tokens[kept]
        return tokens


def _whole(tokenizer: "Tokenizer") -> "Tokenizer":
    """A copy that reads to the end, pads nothing and takes "[SEP]" in a text for five characters."""
    copy = type(tokenizer).from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = True
    return copy


def _sound(text: str) -> str:
    """Without lone surrogates, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode()
