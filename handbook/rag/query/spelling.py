"""Spelling, by the corpus's own words: a word that no passage has, and that is near one that some have.

What is most dangerous here is a right word made wrong, so what may be an identifier, a name or a number
stays, and so does a question of whose words most are unknown: it is in another language, or about something
else. The choice among near words is by edits, then by the first letter (few mistype it: Yannakoudakis and
Fawthrop 1983, "The rules of spelling errors", section 4), then by frequency: Kernighan, Church and Gale
1990 ("A spelling correction program based on a noisy channel model") with one probability for all edits of
a number.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from handbook.rag.query.edits import Deletions
from handbook.rag.query.english import CLOSED, PREDICATES, SIDES, STANDINS, VERBS, singular
from handbook.rag.query.lexicon import Lexicon, inflections

SHORTEST = 4  # letters of a word that is corrected
TWO_EDITS = 8  # letters from which two edits are allowed
INDEXED = 100_000  # words, the most frequent ones
SLIP = 8.0  # how much likelier letters left out, put in or swapped are taken to be than others in their place
COMMON = 50  # a part of two letters is a word where one passage in so many has it
SEEN = 2  # passages that have a word which others are corrected to, in a corpus of `LARGE` and more
LARGE = 100

_PIECE = re.compile(r"`[^`]*`|\"[^\"]*\"|\S+")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_LIKE_CODE = re.compile(r"[_/\\=@#<>{}()\[\]:|~^&*+$%`\"\d]|\w\.\w|[^\W\d_a-z]|\w--|^-")


@dataclass(frozen=True, slots=True)
class Correction:
    """text[start:end] of the question as given was `wrong`. why: the edits, and the passages that have it."""

    start: int
    end: int
    wrong: str
    right: str
    why: str


@dataclass(frozen=True, slots=True)
class Spelled:
    """text: with the corrections made. kept: words that no passage has and that stayed, each with the
    reason."""

    given: str
    text: str
    corrections: tuple[Correction, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()


class Speller:
    """Corrects questions to a corpus's words.

    Args:
        lexicon: of the corpus. known: whether a word is one anyway, in lower case: of a dictionary, or
        whole in a tokenizer's vocabulary.
    """

    def __init__(self, lexicon: Lexicon, known: Callable[[str], bool] = lambda word: False) -> None:
        self.lexicon = lexicon
        self._known = known

    def correct(self, question: str, also: Collection[str] = ()) -> Spelled:
        """The question with misspelt words replaced. also: words that are right here, in lower case (those
        of the conversation)."""
        pieces = [(m.start(), m.group()) for m in _PIECE.finditer(question)]
        plain = [(start, piece) for start, piece in pieces if not _is_code(piece)]
        found = [(start + m.start(), m.group()) for start, piece in plain for m in _WORD.finditer(piece)]
        strange = [(at, word) for at, word in found if not self._right(word.lower(), also)]
        corrections, kept = [], []
        titled = all(word[0].isupper() for _, word in found)
        for at, word in strange:
            right, why = self.nearest(word.lower())
            if word[0].isupper() and not titled and re.search(r"[\w,;]\s*$", question[:at]):
                right, why = "", "it may be a name"
            if right:
                right = right.capitalize() if word[0].isupper() else right
                corrections.append(Correction(at, at + len(word), word, right, why))
            else:
                kept.append((word, why))
        if len(found) > 2 and 2 * len(strange) > len(found) and 3 * len(kept) > len(strange):
            why = "most words of the question are unknown here"
            return Spelled(question, question, kept=tuple((word, why) for _, word in strange))
        text = question
        for one in reversed(corrections):
            text = text[: one.start] + one.right + text[one.end :]
        return Spelled(question, text, tuple(corrections), tuple(kept))

    def nearest(self, word: str) -> tuple[str, str]:
        """What an unknown word is corrected to, '' for nothing, and why."""
        if len(word) < SHORTEST:
            swapped = next((one for one in _swaps(word) if one in CLOSED), "")
            return swapped, "two letters swapped" if swapped else f"shorter than {SHORTEST} letters"
        least = SEEN if self.lexicon.size >= LARGE else 1
        near = self._index.within(word, 2 if len(word) >= TWO_EDITS else 1)
        able = [
            (edits, other[0] != word[0], -self._likely(word, other), other)
            for other, edits in near.items()
            if len(other) >= 3 and _plausible(word, other)
        ]
        able = [one for one in able if self._often(one[3]) >= least or one[3] in _COMMON]
        if able:
            edits, _, _, right = min(able)
            return right, f"{edits} edit{'s' * (edits > 1)}; {self._often(right)} passages have {right!r}"
        if parts := self._split(word, least):
            return " ".join(parts), "two words of the corpus without the space"
        return "", "no word of the corpus is near"

    def _often(self, word: str) -> int:
        return self.lexicon.frequency.get(word, 0)

    def _likely(self, word: str, other: str) -> float:
        """How likely `other` was meant: letters left out, put in twice or swapped come before others."""
        kept = _inside(word, other) or _inside(other, word) or sorted(word) == sorted(other)
        return self._often(other) * (SLIP if kept else 1.0)

    def _split(self, word: str, least: int) -> tuple[str, str] | None:
        """Two words that this one is, with the rarer of them as frequent as can be. Short ones have to be
        in the corpus as they are; of longer ones a form is enough."""
        lexicon = self.lexicon

        def often(part: str) -> int:
            return lexicon.frequency.get(part, 0) if len(part) < 5 else lexicon.count(part)

        cuts = [(word[:i], word[i:]) for i in range(2, len(word) - 2)]
        able = [(min(often(a), often(b)), a, b) for a, b in cuts if not {a, b} & _COMMON]
        able = [one for one in able if min(map(len, one[1:])) > 2 or COMMON * one[0] >= lexicon.size]
        best = max(able, default=(0, "", ""))
        return (best[1], best[2]) if best[0] >= 2 * least else None

    def _right(self, word: str, also: Collection[str]) -> bool:
        plain = word.removesuffix("'s")
        if (
            plain in _COMMON
            or plain in also
            or "'" in plain
            or self._known(plain)
            or self._known(singular(plain))
        ):
            return True
        return any(form in self.lexicon.frequency for form in inflections(plain))

    @cached_property
    def _index(self) -> Deletions:
        able = sorted(
            (word for word in self.lexicon.frequency if word.isalpha() and len(word) < 40),
            key=lambda word: (-self.lexicon.frequency[word], word),
        )
        return Deletions(list(dict.fromkeys([*able[:INDEXED], *sorted(_COMMON)])))


_NOUNS = STANDINS | SIDES
_COMMON = frozenset(CLOSED | VERBS | PREDICATES | _NOUNS | {word + "s" for word in _NOUNS})


def _inside(short: str, long: str) -> bool:
    """Whether all letters of one are in the other, in order."""
    rest = iter(long)
    return all(letter in rest for letter in short)


def _swaps(word: str) -> list[str]:
    return [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1) if len(word) > 2]


def _plausible(word: str, other: str) -> bool:
    """Not where the first letter is another one, unless it was swapped, left out or put in."""
    return word[0] == other[0] or sorted(word) == sorted(other) or word[1:] == other or other[1:] == word


def _is_code(piece: str) -> bool:
    """Whether something between spaces may be an identifier, a path, a formula, a quotation or a name: a
    capital that isn't the first letter, a digit, a mark of code."""
    bare = piece.strip(".,;:!?'()")
    return bool(_LIKE_CODE.search(bare[:1].lower() + bare[1:])) or (bare.isupper() and len(bare) > 1)
