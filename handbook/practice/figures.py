"""Figures of a criterion against figures of an answer: "about 4.3 GB (4 GiB)" and "roughly four gigs". Pure.

A model of language is poor at telling 4.3 from 43 (Naik et al. 2018, "Stress Test Evaluation for Natural
Language Inference", COLING, section 5.2, finds numerical reasoning near chance), and it is easily reckoned.
"""

import math
import re
from dataclasses import dataclass

CLOSE = 0.035  # relative difference of figures that count as the same: 43 and 43.2, 8.0 and 8.03

_POWER = {"thousand": 3, "k": 3, "million": 6, "m": 6, "billion": 9, "b": 9, "bn": 9, "trillion": 12, "t": 12,
          "hundred": 2, "g": 9, "kilo": 3, "mega": 6, "giga": 9}  # fmt: skip
_SMALL = {
    word: float(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
         "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
    )
} | {
    word: 10.0 * number
    for number, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}  # fmt: skip
_OTHER = {
    "half": 0.5,
    "quarter": 0.25,
    "third": 1 / 3,
    "dozen": 12.0,
    "twice": 2.0,
    "eighth": 0.125,
    "tenth": 0.1,
}
_NAMES = "|".join(sorted({*_SMALL, *_OTHER, "hundred", "thousand"}, key=len, reverse=True))
_FIGURE = re.compile(
    r"(?<![A-Za-z_\d.])(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+)"
    r"(?:[eE](?P<exponent>[+-]?\d{1,3})|\s*[x\u00d7·*]\s*10\s*\^?\s*(?P<ten>[-\u2212⁻]?[\d⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))?"
    r"(?=\s*/\s*(?P<below>\d{1,4}(?:\.\d+)?)(?![\d/]))?"
    r"\s*(?P<unit>%|per ?cent|thousand|million|billion|trillion|bn|[kKmMbBgGtT](?=\b|[iI]?B\b))?"
    rf"|\b(?P<word>{_NAMES})(?:[- ](?P<next>{_NAMES}))?\b",
    re.IGNORECASE,
)
_RANGE = re.compile(r"(?<![\d.,])(?P<low>[\d.,]*\d)\s*(?:to|-|\u2013|and)\s*(?P<high>[\d.,]*\d)")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻\u2212", "0123456789--")
_ASIDE = re.compile(r"\([^()]*\)|, or .*$|\bor (?:says|argues|that) .*$|\bwith .*$|\bfor .*$|\bat .*$")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The figures that a statement names. main: each of them is needed. aside: other ways to say them, from
    brackets and after "or". ranges: what is accepted."""

    main: tuple[frozenset[float], ...]
    aside: frozenset[float]
    ranges: tuple[tuple[float, float], ...]


def figures(text: str) -> list[frozenset[float]]:
    """Of each figure in the text what it can mean: `4 billion` is 4 and 4e9, `70%` is 70 and 0.7."""
    found = []
    for match in _FIGURE.finditer(text[:4000]):
        readings = _worded(match) if match["word"] else _digits(match)
        if readings:
            found.append(frozenset(readings))
    return found


def _digits(match: re.Match[str]) -> set[float]:
    value = float(match["digits"].replace(",", ""))
    power = match["exponent"] or (match["ten"] or "").translate(_RAISED)
    try:
        value *= 10.0 ** max(-300, min(300, int(power))) if power else 1.0
    except ValueError:
        return {value}
    unit = (match["unit"] or "").lower()
    readings = {value}
    if unit.startswith(("%", "per")):
        readings.add(value / 100)
    elif unit:
        readings.add(value * 10.0 ** _POWER.get(unit, 0))
    if match["below"] and float(match["below"]):
        readings.add(value / float(match["below"]))
    return {each for each in readings if math.isfinite(each)}  # infinity would be as near to all as CLOSE


def _worded(match: re.Match[str]) -> set[float]:
    first, second = match["word"].lower(), (match["next"] or "").lower()
    if first in ("one", "half", "third", "quarter") and not second:
        return set()  # "one can see", "a third way"
    value = _SMALL.get(first, _OTHER.get(first, 10.0 ** _POWER.get(first, 0)))
    if second in _POWER:
        value *= 10.0 ** _POWER[second]
    elif second in _SMALL and value >= 20:
        value += _SMALL[second]
    return {value}


def wanted(statement: str) -> Wanted:
    """What a criterion's statement asks for in figures."""
    main = _ASIDE.sub(" ", statement)
    ranges = tuple(
        (low, high)
        for match in _RANGE.finditer(statement)
        if (low := _number(match["low"])) < (high := _number(match["high"]))
    )
    every = {value for readings in figures(_RANGE.sub(" ", statement)) for value in readings}
    return Wanted(tuple(figures(main)), frozenset(every), ranges)


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "").strip("."))
    except ValueError:
        return 0.0


def agreement(need: Wanted, text: str) -> tuple[float, bool]:
    """(share of the figures needed that the text has, whether it has figures at all). Nothing needed: 0."""
    given = figures(text)
    if not need.main:
        return 0.0, bool(given)
    values = {value for readings in given for value in readings}
    hits = sum(any(_same(one, value) for one in readings for value in values) for readings in need.main)
    if hits < len(need.main) and len(need.main) <= 2:
        accepted = any(low <= value <= high for low, high in need.ranges for value in values)
        if accepted or any(_same(one, value) for one in need.aside for value in values):
            hits = max(hits, 1)
    return hits / len(need.main), bool(given)


def _same(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= CLOSE * max(abs(one), abs(other))
