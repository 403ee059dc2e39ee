"""What an import brought, in words."""

from __future__ import annotations

from collections.abc import Mapping

WORDS = {  # one of it, more of it
    "review": ("answer", "answers"),
    "card": ("card that changed", "cards that changed"),
    "correction": ("correction of a grade", "corrections of grades"),
    "answer_draft": ("draft of an answer", "drafts of answers"),
    "fitted": ("set of fitted parameters", "sets of fitted parameters"),
    "plan": ("plan", "plans"),
    "diagnostic": ("diagnostic", "diagnostics"),
    "day": ("day", "days"),
    "read_section": ("section read", "sections read"),
    "attempt": ("run of an exercise", "runs of exercises"),
    "exercise_draft": ("draft of an exercise", "drafts of exercises"),
    "exercise_state": ("exercise", "exercises"),
    "ask": ("question asked", "questions asked"),
    "measurement": ("measurement", "measurements"),
}


def in_words(taken: Mapping[str, int]) -> dict[str, int]:
    """Counts by what they are, the answers first."""
    order = [*WORDS, *sorted(set(taken) - set(WORDS))]
    return {WORDS.get(name, (name, name))[taken[name] != 1]: taken[name] for name in order if name in taken}
