"""Times that a question names, as spans of days: "since March 2021", "last week", "between 2018 and 2020".

Bounds are ISO 8601 days (section 5.2.1.1, extended format), which compare as texts do; both are included,
"" is open. What a week and a quarter are: ISO 8601, from Monday; the calendar's quarters.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = "(?:" + "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _MONTHS if month != "may") + r"|may)\.?"
_YEAR = r"(?:19|20)\d\d"
_POINT = (
    rf"(?:(?:the )?(?:(?:early|late) )?(?:{_YEAR}-\d\d-\d\d|{_YEAR}-\d\d\b"
    rf"|\d{{1,2}}(?:st|nd|rd|th)? {_MONTH},? {_YEAR}"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? {_YEAR}|{_MONTH} {_YEAR}|q[1-4] {_YEAR}|{_YEAR}"
    rf"|(?-i:{'|'.join(month.capitalize() for month in _MONTHS)})"  # "march" may be a verb
    r"|(?:last|this) (?:week|month|year|quarter)|today|yesterday))"
)
_COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER = rf"(?:\d{{1,3}}|{'|'.join(_COUNTS)})"
_NOT_A_COUNT = r"(?!\s*(?:[-%/]|\w+ (?:token|dimension|sample)))(?=$|[\s,.;:?!)])"
_SPAN = re.compile(
    rf"\b(?:(?P<two>between|from) (?P<a>{_POINT}) (?:and|to|until|-) (?P<b>{_POINT})"
    rf"|(?P<word>since|after|before|until|till|up to|by|in|during|from|of|on|newer than|older than|no "
    rf"later than) "
    rf"(?P<point>{_POINT})"
    r"|(?:in |over |during |from |within )?(?:the )?(?:last|past)"
    rf" (?P<n>{_NUMBER}|few|couple of) (?P<unit>day|week|month|year)s?"
    rf"|(?P<not>not |no )?older than (?P<age>{_NUMBER}) (?P<ages>day|week|month|year)s?"
    r"|(?P<bare>(?:last|this) (?:week|month|year|quarter)|today|yesterday)(?P<whose>'s)?"
    rf"){_NOT_A_COUNT}",
    re.IGNORECASE,
)
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_CLOSING = re.compile(  # what may follow a time; a noun may not: "in 2048 tokens"
    r"\s*(?:$|[,.;:?!)]|(?:or|and|but|about|on|that|which|with|is|are|did|do|does|was|were|say|says)\b)"
)


@dataclass(frozen=True, slots=True)
class Times:
    """text[start:end] names the days from `least` to `most`."""

    start: int
    end: int
    least: str
    most: str


def times(text: str, today: date) -> list[Times]:
    """Spans of days that a text names, in order. A number like a year that counts something ("in 2048
    tokens") is none, nor one in the future, nor a day that no calendar has."""
    found = []
    for match in _SPAN.finditer(text):
        if not match["whose"] and not _CLOSING.match(text, match.end()):
            continue
        days = _days(match, today)
        if days is not None and days[0] <= today.isoformat() and (not days[1] or days[0] <= days[1]):
            found.append(Times(match.start(), match.end(), *days))
    return found


def _days(match: re.Match[str], today: date) -> tuple[str, str] | None:
    if match["two"]:
        first, last = _point(match["a"], today), _point(match["b"], today)
        return (first[0].isoformat(), last[1].isoformat()) if first and last else None
    if match["unit"] or match["age"]:
        first_day = today - timedelta(
            days=_count(match["n"] or match["age"]) * _DAYS[(match["unit"] or match["ages"]).lower()]
        )
        if match["age"] and not match["not"]:
            return "", first_day.isoformat()
        return first_day.isoformat(), "" if match["age"] else today.isoformat()
    point = _point(match["point"] or match["bare"], today)
    if point is None:
        return None
    return _BOUNDS.get((match["word"] or "in").lower(), _within)(*point)


def _count(said: str) -> int:
    low = said.lower()
    return (
        int(low) if low.isdigit() else _COUNTS.index(low) + 1 if low in _COUNTS else 3 if low == "few" else 2
    )


def _within(first: date, last: date) -> tuple[str, str]:
    return first.isoformat(), last.isoformat()


def _since(first: date, last: date) -> tuple[str, str]:
    return first.isoformat(), ""


def _after(first: date, last: date) -> tuple[str, str]:
    return (last + timedelta(days=1)).isoformat(), ""


def _before(first: date, last: date) -> tuple[str, str]:
    return "", (first - timedelta(days=1)).isoformat()


def _until(first: date, last: date) -> tuple[str, str]:
    return "", last.isoformat()


_BOUNDS: dict[str, Callable[[date, date], tuple[str, str]]] = {
    "since": _since, "after": _after, "newer than": _after, "before": _before, "older than": _before,
    "until": _until, "till": _until, "up to": _until, "by": _until, "no later than": _until,
}  # fmt: skip


def _point(said: str, today: date) -> tuple[date, date] | None:
    """First and last day of what is named; None where no calendar has it."""
    low = re.sub(r"^(?:the )?(?:(?:early|late) )?", "", said.lower())
    if low in ("today", "yesterday"):
        day = today - timedelta(days=low == "yesterday")
        return day, day
    if match := re.fullmatch(r"(last|this) (week|month|year|quarter)", low):
        return _period(match[2], today, back=match[1] == "last")
    if low in _MONTHS:  # the last one that has begun
        month = _MONTHS.index(low) + 1
        return _month(today.year - (month > today.month), month)
    year = int(re.search(_YEAR, low)[0])  # type: ignore[index] # every other form has one
    if match := re.fullmatch(rf"{_YEAR}-(\d\d)-(\d\d)", low):
        return _day(year, int(match[1]), int(match[2]))
    if match := re.fullmatch(rf"{_YEAR}-(\d\d)", low):
        return _month(year, int(match[1]))
    if match := re.fullmatch(rf"q([1-4]) {_YEAR}", low):
        return _quarter(year, int(match[1]))
    name = re.search(rf"\b{_MONTH}", low)
    if name is None:
        return date(year, 1, 1), date(year, 12, 31)
    month = next(i for i, one in enumerate(_MONTHS, 1) if one[:3] == name[0][:3])
    number = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b(?!\d)", low.replace(str(year), ""))
    return _day(year, month, int(number[1])) if number else _month(year, month)


def _day(year: int, month: int, day: int) -> tuple[date, date] | None:
    try:
        return date(year, month, day), date(year, month, day)
    except ValueError:
        return None


def _month(year: int, month: int) -> tuple[date, date] | None:
    if not 1 <= month <= 12:
        return None
    after = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, 1), after - timedelta(days=1)


def _quarter(year: int, quarter: int) -> tuple[date, date]:
    after = date(year + (quarter == 4), quarter % 4 * 3 + 1, 1)
    return date(year, 3 * quarter - 2, 1), after - timedelta(days=1)


def _period(unit: str, today: date, back: bool) -> tuple[date, date] | None:
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + 7 * back)
        return monday, monday + timedelta(days=6)
    if unit == "year":
        year = today.year - back
        return date(year, 1, 1), date(year, 12, 31)
    if unit == "month":
        day = today.replace(day=1) - timedelta(days=1) if back else today
        return _month(day.year, day.month)
    first = _quarter(today.year, (today.month + 2) // 3)[0]
    day = first - timedelta(days=1) if back else today
    return _quarter(day.year, (day.month + 2) // 3)
