"""What is kept of an answer: checked and cut to what every database takes; what the person corrected."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

from handbook.database.practice import storable
from handbook.errors import HandbookError
from handbook.records import Grade, Verdict

KEY = re.compile(r"[0-9A-Za-z_-]{1,40}", re.ASCII)
LONGEST = 100_000  # characters of an answer that is kept
A_DAY = 86_400.0  # seconds: more than this nobody spends on an answer


def verdicts(decided: Mapping[str, Any], grade: Grade | None) -> dict[str, Verdict]:
    known = {judgement.criterion for judgement in grade.judgements} if grade is not None else set()
    for criterion, verdict in decided.items():
        if criterion not in known or verdict not in ("yes", "no"):
            raise HandbookError(
                f"Expected yes or no for a criterion of the question, got {storable(verdict)!r} for "
                f"{storable(criterion)!r}.",
                "Nothing was kept; decide again.",
            )
    return cast(dict[str, Verdict], dict(decided))


def proposed(grade: Grade | None, decided: Mapping[str, Verdict]) -> str:
    """The rating that follows from a grade and what the person decided; "" without a grade."""
    if grade is None:
        return ""
    from handbook.practice.grade import rating_of, with_person

    return rating_of(with_person(grade, dict(decided)))


def corrections(
    review: Mapping[str, Any], grade: Grade | None, decided: Mapping[str, Verdict]
) -> list[dict[str, Any]]:
    """Criteria that the person decided otherwise than it was proposed, or that were left open."""
    if grade is None:
        return []
    return [
        {
            "review": review["key"],
            "question": review["question"],
            "criterion": judgement.criterion,
            "answer": review["answer"],
            "quote": storable(judgement.quote),
            "proposed": judgement.verdict,
            "verdict": decided[judgement.criterion],
            "confidence": judgement.confidence if math.isfinite(judgement.confidence) else 0.0,
            "grader": storable(judgement.by or grade.grader)[:120],
            "at": review["at"],
        }
        for judgement in grade.judgements
        if decided.get(judgement.criterion, judgement.verdict) != judgement.verdict
    ]


def kept_text(text: str) -> str:
    """The text as every database keeps it, of the same length, so that quotes stay where they are."""
    if len(text) > LONGEST:
        raise HandbookError(
            f"Expected an answer of at most {LONGEST:,} characters, got {len(text):,}.",
            "Nothing was kept of it; shorten it.",
        )
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def kept_key(key: str | None) -> str:
    """The key that was given, or a new one."""
    if key is not None and not KEY.fullmatch(key):
        raise HandbookError("Expected a key of letters, digits, - and _ for an answer.", "Nothing was kept.")
    return key or uuid4().hex


def seconds(value: float) -> float:
    return min(max(float(value), 0.0), A_DAY) if math.isfinite(value) else 0.0
