"""Puts what a file says beside what is here, and takes it back.

A review that is here already, or one within a second of it, is the same one and is left out, also if it was
taken back here. Cards whose questions got reviews are reckoned anew from all reviews in their order, dates
too. Everything is written at once, with a receipt: undoing puts back the very cards that stood before, or,
where a question was answered since, reckons its card from the reviews that remain.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from handbook.database.cards import BLANK, Changed, plain
from handbook.database.imports import Imports
from handbook.practice.aim import Aim, aim
from handbook.practice.exchange.limits import REVIEWS, REVIEWS_OF_ONE, SAME
from handbook.practice.exchange.nouns import Incoming, NotTaken, Taken, shown_name
from handbook.practice.memory import RATINGS, Memory
from handbook.practice.replay import kept_row, replay, step

if TYPE_CHECKING:
    from handbook.practice.cards import Deck

STATE = ("card", "due", "lapses", "leech")
HERE = "reviews that are here already"
BACK = "reviews that were taken back here"
TOO_MANY = f"reviews beyond {REVIEWS_OF_ONE:,} of one question"


def keep(deck: Deck, imports: Imports, incoming: Incoming, name: str) -> Taken:
    """Add what is new. Raises NotTaken for more reviews than one import may bring."""
    for last_try in (False, True):
        left_out = Counter(incoming.left_out)
        reviews = _new(imports, incoming.reviews, left_out)
        if len(reviews) > REVIEWS:
            raise NotTaken(
                f"Expected at most {REVIEWS:,} new reviews, got {len(reviews):,}.", "Export fewer at once."
            )
        cards = _cards(deck, incoming, reviews)
        tables = {**incoming.tables, "review": reviews}
        corrections = tables.get("correction", [])
        if corrections:
            known = {each["key"] for each in reviews}
            tables["correction"] = [each for each in corrections if each["review"] in known]
        tables = {table: rows for table, rows in tables.items() if rows}
        taken = {table: len(rows) for table, rows in tables.items()}
        if cards:
            taken["card"] = len(cards)
        at, name = deck.now(), shown_name(name)
        if not tables and not cards:
            return Taken("", incoming.kind, name, {}, dict(left_out), at)
        about = {"kind": incoming.kind, "name": name, "taken": taken, "left_out": dict(left_out), "at": at}
        try:
            key = imports.keep(tables, cards, **about)
            return Taken(key, incoming.kind, name, taken, dict(left_out), at)
        except Changed:
            if last_try:
                raise
    raise AssertionError("the loop returns or raises")


def undo(deck: Deck, imports: Imports, key: str) -> Taken:
    """Take an import back; what it was. Raises NotTaken for one that is not there or was taken back."""
    for last_try in (False, True):
        receipt = imports.get(key)
        if receipt is None or receipt["undone"]:
            raise NotTaken("There is no such import, or it was taken back already.", "Look at the list.")
        mine = {row[0] for row in receipt["rows"].get("review", [])}
        try:
            imports.take_back(key, _cards_before(deck, receipt["cards"], mine))
            return told({**receipt, "undone": True})
        except Changed:
            if last_try:
                raise
    raise AssertionError("the loop returns or raises")


def told(row: Mapping[str, Any]) -> Taken:
    """An import from its row."""
    names = ("key", "kind", "name", "taken", "left_out", "at", "undone")
    return Taken(*(row[name] for name in names))


def _new(imports: Imports, reviews: Sequence[dict[str, Any]], left_out: Counter[str]) -> list[dict[str, Any]]:
    """Those that are not here; the rest is counted. The oldest first."""
    keys: dict[str, bool] = {}
    moments: dict[str, list[tuple[float, bool]]] = {}
    for row in imports.reviews(each["question"] for each in reviews):
        keys[row["key"]] = row["undone"]
        insort(moments.setdefault(row["question"], []), (row["at"].timestamp(), row["undone"]))
    fresh = []
    count: Counter[str] = Counter()
    for review in sorted(reviews, key=lambda each: (each["at"], each["key"])):
        at, question = review["at"].timestamp(), review["question"]
        times = moments.setdefault(question, [])
        near = bisect_left(times, (at - SAME, False))
        undone = keys.get(review["key"])
        if undone is None and near < len(times) and times[near][0] <= at + SAME:
            undone = times[near][1]
        if undone is not None:
            left_out[BACK if undone else HERE] += 1
        elif count[question] >= REVIEWS_OF_ONE:
            left_out[TOO_MANY] += 1
        else:
            fresh.append(dict(review))
            keys[review["key"]] = False
            insort(times, (at, False))
            count[question] += 1
    return fresh


def _cards(
    deck: Deck, incoming: Incoming, reviews: Iterable[dict[str, Any]]
) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """By question: its card as it is, and as it shall be. Fills in what the new reviews left open."""
    standing = deck.rows.cards()
    mine: dict[str, list[dict[str, Any]]] = {}
    for review in reviews:
        if not review["undone"]:
            mine.setdefault(review["question"], []).append(review)
    others: dict[str, list[dict[str, Any]]] = {}
    for fact in deck.rows.facts():
        if fact["question"] in mine:
            others.setdefault(fact["question"], []).append(fact)
    memory, interview, now = deck.memory(), deck.interview(), deck.now()
    cards = {}
    for question in sorted(set(mine) | set(incoming.cards) | incoming.suspended):
        row = standing.get(question)
        state: dict[str, Any] = {**BLANK, **(row or {}), "at": now}
        state.pop("question", None)
        if row is None and question in incoming.cards:
            state |= incoming.cards[question]
        elif question in mine:
            both = [*others.get(question, []), *mine[question]]
            both.sort(key=lambda each: (each["at"], each["key"]))
            state |= _reckoned(both, memory, partial(_aim, interview, question))
        state["suspended"] = state["suspended"] or question in incoming.suspended
        if plain(state) | {"at": ""} != (plain(row) if row else {}) | {"at": ""}:
            cards[question] = (plain(row or {}), state)
    return cards


def _reckoned(
    reviews: Iterable[dict[str, Any]], memory: Memory, aim_at: Callable[[datetime], Aim]
) -> dict[str, Any]:
    """What `replay` makes of the reviews, with dates reckoned anew. New reviews that say no card get theirs
    on the way: before and after."""
    state: dict[str, Any] = {name: BLANK[name] for name in STATE}
    before: dict[str, Any] = {}
    for review in reviews:
        brought = kept_row(review["after"])
        if review["rating"] in RATINGS:
            state = step(state, review["rating"], review["at"], memory, aim_at(review["at"]))
        elif brought:
            state = {name: brought[name] for name in STATE}
        after = plain({**BLANK, **state, "at": review["at"]})
        if "undone" in review and not brought:  # one of the new rows
            review["before"], review["after"] = before, after
        before = after
    return state


def _aim(interview: date | None, question: str, at: datetime) -> Aim:
    return aim(interview, at, question)


def _cards_before(
    deck: Deck, cards: Mapping[str, Mapping[str, Any]], mine: set[str]
) -> dict[str, tuple[dict[str, Any], dict[str, Any] | None]]:
    """By question: its card as it is, and as it would be without an import's reviews."""
    standing = deck.rows.cards()
    facts: dict[str, list[dict[str, Any]]] = {}
    for fact in deck.rows.facts():
        if fact["key"] not in mine:
            facts.setdefault(fact["question"], []).append(fact)
    memory, interview = deck.memory(), deck.interview()
    wanted: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {}
    for question, change in cards.items():
        row = standing.get(question)
        seen = plain(row or {})
        before = kept_row(change["before"])
        if seen == change["after"]:
            wanted[question] = seen, before
            continue
        if row is None:
            continue
        remain = facts.get(question, [])
        state = {**BLANK, **row, "at": deck.now()}
        state.pop("question", None)
        state |= replay(remain, memory, partial(_aim, interview, question))
        if state["suspended"] and change["after"]["suspended"] and not change["before"].get("suspended"):
            state["suspended"] = False
        wanted[question] = (
            seen,
            state if remain or state["suspended"] or state["buried"] else None,
        )
    return wanted
