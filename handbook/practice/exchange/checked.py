"""Reviews from a file: what is kept as it is, what is emptied because it can't have been written here.

A review's rating, question and moment have to be right, or it is left out. Its grade is shown on pages that
trust its shape, so a grade of another shape becomes none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from handbook.practice.exchange.limits import EARLIEST
from handbook.practice.keeping import LONGEST, seconds
from handbook.practice.memory import RATINGS
from handbook.practice.replay import kept_row
from handbook.records import Verdict

KINDS = ("drill", "diagnostic", "import")
PERSON = ("yes", "no")
TEXTS = ("criterion", "quote", "why", "by")
NUMBERS = ("met", "confidence", "weight")
PLACES = ("start", "end")


def moment_fault(at: datetime, now: datetime) -> str:
    """Why a review's moment is not believed; "" if it is."""
    if at > now + timedelta(days=1):
        return "reviews of a day that is yet to come"
    return f"reviews from before {EARLIEST}" if at.astimezone(UTC).year < EARLIEST else ""


def review(row: Mapping[str, Any], now: datetime) -> tuple[dict[str, Any] | None, str]:
    """(row of `review`, "") or (None, why not). row: of the columns' types, as `database.exchange` reads."""
    if row["kind"] not in KINDS:
        return None, "reviews of an unknown kind"
    if row["rating"] not in (*RATINGS, "") or row["proposed"] not in (*RATINGS, ""):
        return None, "reviews with an unknown rating"
    if row["rating"] == "" and kept_row(row["after"]) is None:
        return None, "reviews with neither a rating nor a state"
    if len(row["answer"]) > LONGEST:
        return None, f"reviews with an answer of more than {LONGEST:,} characters"
    fault = moment_fault(row["at"], now)
    if fault:
        return None, fault
    made = grade(row["grade"], row["question"])
    known = {each["criterion"] for each in made.get("judgements", [])}
    decided = row["decided"] if isinstance(row["decided"], dict) else {}
    return {
        **row,
        "seconds": seconds(row["seconds"]),
        "grade": made,
        "decided": {name: each for name, each in decided.items() if name in known and each in PERSON},
        "before": row["before"] if kept_row(row["before"]) else {},
        "after": row["after"] if kept_row(row["after"]) else {},
    }, ""


def grade(values: Any, question: str) -> dict[str, Any]:
    """A Grade as plain data, or {} where it is none."""
    if not isinstance(values, Mapping) or not isinstance(values.get("judgements"), list):
        return {}
    judgements = [_judgement(each) for each in values["judgements"]]
    recognised = [_recognised(each) for each in _listed(values.get("misconceptions"))]
    if None in judgements:
        return {}
    return {
        "question": question,
        "answer": _text(values.get("answer")),
        "judgements": judgements,
        "misconceptions": [each for each in recognised if each is not None],
        "grader": _text(values.get("grader"))[:120],
        "seconds": _number(values.get("seconds")),
        "notes": [each for each in _listed(values.get("notes")) if isinstance(each, str)],
    }


def _judgement(each: Any) -> dict[str, Any] | None:
    if not isinstance(each, Mapping) or each.get("verdict") not in get_args(Verdict):
        return None
    if not isinstance(each.get("criterion"), str):
        return None
    return {
        "verdict": each["verdict"],
        **{name: _text(each.get(name)) for name in TEXTS},
        **{name: _number(each.get(name)) for name in NUMBERS},
        **{name: _place(each.get(name)) for name in PLACES},
        "must": each.get("must") is True,
    }


def _recognised(each: Any) -> dict[str, Any] | None:
    if not isinstance(each, Mapping):
        return None
    place = _place(each.get("misconception"))
    return (
        {
            "misconception": place,
            "quote": _text(each.get("quote")),
            **{name: _place(each.get(name)) for name in PLACES},
            "confidence": _number(each.get("confidence")),
        }
        if place >= 0
        else None
    )


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _place(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**31 else -1


def _number(value: Any) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good and abs(value) < 1e9 else 0.0
