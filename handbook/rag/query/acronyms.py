"""Short forms that a corpus explains: "grouped-query attention (GQA)".

Schwartz and Hearst 2003 ("A Simple Algorithm for Identifying Abbreviation Definitions in Biomedical Text",
section 3): the letters of the short form are found in the words before the bracket, from right to left, the
first one at the start of a word.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

LONGEST = 10  # letters of a short form

_BRACKET = re.compile(r"([^()\n]{3,160})\(([A-Za-z][\w-]{1,9})(?:[;,][^()]{0,40})?\)")


_WORD = re.compile(r"[^\W_][\w-]*")


@dataclass(frozen=True)
class Acronyms:
    """long: short form -> what it stands for most often, in lower case but for names. times: passages that
    said so."""

    long: Mapping[str, str]
    times: Mapping[str, int]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Acronyms":
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for text in texts:
            for match in _BRACKET.finditer(text):
                short, before = match.group(2), match.group(1)
                if _is_short(short) and (long := meaning(short, before)):
                    found[short.removesuffix("s")][_plain(long)] += 1
        best = {short: longs.most_common(1)[0] for short, longs in found.items()}
        return cls(
            {short: long for short, (long, _) in best.items()}, {short: n for short, (_, n) in best.items()}
        )

    def variants(self, text: str) -> list[tuple[str, str]]:
        """The text with each short form written out, and with each long form cut short: (text, what was
        done)."""
        made = []
        for said in dict.fromkeys(_WORD.findall(text)):
            for short in (said, said.removesuffix("s")):
                long = self.long.get(short, "")
                if long and long.lower() not in text.lower():
                    whole = long + said.removeprefix(short)
                    made.append((re.sub(rf"\b{re.escape(said)}\b", whole, text), f"{short} is {long}"))
                    break
            for long, short in self._by_first.get(said.lower(), ()):
                found = re.search(rf"\b{re.escape(long)}\b", text, re.IGNORECASE)
                if found and short not in text:
                    shorter = text[: found.start()] + short + text[found.end() :]
                    made.append((shorter, f"{long} is {short}"))
        return made

    @cached_property
    def _by_first(self) -> dict[str, list[tuple[str, str]]]:
        """First word of a long form -> (long, short)."""
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for short, long in self.long.items():
            if first := _WORD.search(long):
                found[first.group().lower()].append((long, short))
        return dict(found)


def meaning(short: str, before: str) -> str:
    """What a short form stands for in the text before its bracket, '' where its letters aren't there."""
    words = before.split()
    reach = min(len(short) + 5, 2 * len(short))  # words, as in the paper
    text = " ".join(words[-reach:])
    at = len(text) - 1
    for i in range(len(short) - 1, -1, -1):
        letter = short[i].lower()
        if not letter.isalnum():
            continue
        while at >= 0 and (text[at].lower() != letter or (i == 0 and at > 0 and text[at - 1].isalnum())):
            at -= 1
        if at < 0:
            return ""
        at -= 1
    long = text[at + 1 :].strip(" ,;:")
    has = len(long) > len(short) and short.lower() not in long.lower().split() and len(long.split()) <= reach
    return long if has and long[0].isalnum() else ""


def _is_short(text: str) -> bool:
    return 2 <= len(text) <= LONGEST and text[0].isalnum() and sum(c.isupper() for c in text) >= 2


def _plain(long: str) -> str:
    """In lower case, words with capitals inside excepted."""
    return " ".join(word if word[1:] != word[1:].lower() else word.lower() for word in long.split())
