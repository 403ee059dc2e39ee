"""Sessions and plans as they are kept, compared and brought from elsewhere.

What lies in a database may come from an import: a day that does not read as one is dealt anew, and items that
name what the book lacks are left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, get_args

from handbook.errors import PlanError
from handbook.practice import plan as plans
from handbook.practice.daily import Calendar, Session
from handbook.practice.diagnostic import Diagnostic, shortened
from handbook.practice.material import Item, Kind, title

if TYPE_CHECKING:
    from handbook.practice.graph import Graph
    from handbook.practice.plan import Plan

ITEMS = 200  # of a day
NAMED = 8  # sections or exercises that a note names; the rest is counted


def values(session: Session, number: int, marked: Iterable[str]) -> dict[str, Any]:
    """A session as it is kept. number: of the plan that it was dealt by. marked: keys the reader ticked."""
    return {
        "plan": number,
        "items": [asdict(item) for item in session.items],
        "limit": session.limit,
        "waiting": session.waiting,
        "notes": list(session.notes),
        "done": sorted(marked),
    }


def session(kept: Mapping[str, Any], number: int, graph: Graph, day: dt.date) -> Session | None:
    """The session that was dealt by plan `number`; None where another plan holds by now, or where it can't be
    read."""
    if kept.get("plan") != number:
        return None
    try:
        return Session(
            day,
            items(kept, graph),
            int(kept["limit"]),
            int(kept["waiting"]),
            tuple(shortened(str(note), 500) for note in kept["notes"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def items(kept: Mapping[str, Any], graph: Graph) -> tuple[Item, ...]:
    """Those of a kept day that the book has; titles and addresses are the book's own."""
    listed = kept.get("items")
    found = []
    for each in listed[:ITEMS] if isinstance(listed, list) else []:
        item = _item(each, graph) if isinstance(each, Mapping) else None
        if item is not None:
            found.append(item)
    return tuple(found)


def marked(kept: Mapping[str, Any]) -> frozenset[str]:
    listed = kept.get("done")
    return (
        frozenset(each for each in listed if isinstance(each, str))
        if isinstance(listed, list)
        else frozenset()
    )


def beside(dealt: Session, done: Sequence[Item]) -> Session:
    """The session with what was done before it was dealt; what does not fit beside that waits."""
    if not done:
        return dealt
    keys = {item.key for item in done}
    kinds = {item.kind for item in done}
    room = dealt.limit - sum(item.minutes for item in done)
    kept: list[Item] = []
    waiting = dealt.waiting
    for item in dealt.items:
        again = item.key in keys or (item.kind == "exercise" and "exercise" in kinds)
        if not again and item.minutes <= room:
            kept.append(item)
            room -= item.minutes
        elif item.kind == "review" and not again:
            waiting += 1
    return replace(dealt, items=(*done, *kept), waiting=waiting)


def compared(before: Calendar | None, after: Calendar, plan: Plan, day: dt.date) -> tuple[str, ...]:
    """What a change of the plan means, in words: the days that are left, and what fits now or no longer."""
    notes = []
    days = [each for each in after.sessions if each.limit and each.day >= day]
    if days and plan.hours:
        fullest = max(each.minutes for each in days)
        notes.append(
            f"{len(days)} days with time are left. The fullest holds {fullest:.0f} minutes; "
            f"your limit is {max(each.limit for each in days)}."
        )
    if before is not None:
        out_before = {item.key: item for item in before.material.left_out}
        out_after = {item.key: item for item in after.material.left_out}
        planned = {item.key for item in (*before.material.sections, *before.material.exercises)}
        lost = [item for key, item in out_after.items() if key in planned]
        back = {item.key for item in (*after.material.sections, *after.material.exercises)}
        gained = [item for key, item in out_before.items() if key in back]
        if lost:
            notes.append(f"No longer fits: {_named(lost)}.")
        if gained:
            notes.append(f"Fits now: {_named(gained)}.")
        if not lost and not gained:
            notes.append("What was planned still fits.")
    return (*notes, *after.notes)


def imported(
    values: Mapping[str, Any], graph: Graph, today: dt.date
) -> tuple[Plan | None, Diagnostic | None]:
    """What `Study.export` gave. Raises PlanError for anything else."""
    if not isinstance(values, Mapping) or values.get("format") != "handbook-study":
        raise PlanError("Expected an exported plan, got something else.", "Choose a file from its export.")
    if values.get("version") != 1:
        raise PlanError(
            f"Expected an export of version 1, got {values.get('version')!r}.", "Upgrade the handbook."
        )
    parts = {name: values.get(name) for name in ("plan", "diagnostic")}
    for name, part in parts.items():
        if part is not None and not isinstance(part, Mapping):
            raise PlanError(f"{name}: expected an object.", "Choose a file from its export.")
    plan = plans.from_dict(parts["plan"]) if parts["plan"] is not None else None
    if plan is not None and plan.track not in graph.tracks:
        raise PlanError(f"This book has no track {plan.track!r}.", "Import it where it was exported.")
    state = parts["diagnostic"]
    return plan, Diagnostic.from_dict(graph, state) if state is not None else None


def _item(each: Mapping[str, Any], graph: Graph) -> Item | None:
    kind, id, minutes = each.get("kind"), each.get("id"), each.get("minutes")
    if kind not in get_args(Kind) or not isinstance(id, str) or isinstance(minutes, bool):
        return None
    if not isinstance(minutes, int | float) or not 0 <= minutes <= 24 * 60:
        return None
    why = shortened(str(each.get("why", "")), 200)
    if kind == "read" and id in graph.concepts:
        return Item("read", id, title(graph, id), graph.concepts[id].url, minutes, why)
    if kind == "exercise" and id in graph.exercises:
        return Item("exercise", id, graph.exercises[id].title, f"/exercise/{id}", minutes, why)
    if kind in ("review", "question") and id in graph.questions:
        return Item(kind, id, shortened(graph.questions[id].prompt, 120), f"/drill/{id}", minutes, why)
    return None


def _named(listed: Sequence[Item]) -> str:
    names = [item.title for item in listed[:NAMED]]
    more = f", and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return "; ".join(names) + more
