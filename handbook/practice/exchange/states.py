"""The whole of the practice as one JSON document, and back.

The document is an export of the handbook (`database.exchange`) with the tables of the practice alone, so
`handbook import` reads it too, and brings exports of everything here. They are merged: answers from two
machines stand side by side and cards follow from all of them. Where a plan or fitted parameters hold already,
those stay.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from handbook.database.exchange import FORMAT
from handbook.database.imports import Imports
from handbook.database.plans import Plans
from handbook.errors import DatabaseError, PlanError
from handbook.practice.exchange import checked
from handbook.practice.exchange.nouns import Incoming, NotTaken
from handbook.practice.memory import Memory
from handbook.practice.replay import kept_row

if TYPE_CHECKING:
    from handbook.database import Database
    from handbook.practice.cards import Deck

CARDS = ("card", "review", "correction", "answer_draft", "fitted")
PLANS = ("plan", "diagnostic", "day", "read_section")
EXERCISES = ("attempt", "exercise_draft", "exercise_state")
TABLES = (*CARDS, *PLANS, *EXERCISES)
VERDICTS = ("yes", "no", "unclear")
LISTS = {"attempt": {"results"}}  # columns whose JSON is a list; of all others it is an object
Rows = list[dict[str, Any]]


def write(database: Database) -> bytes:
    """Every row of the practice."""
    whole = database.export()
    tables = {name: rows for name, rows in whole["tables"].items() if name in TABLES}
    return json.dumps({**whole, "tables": tables}, ensure_ascii=False, indent=1).encode()


def read(data: bytes, deck: Deck, database: Database, whole: bool = False) -> Incoming:
    """What a document says that is not here. Raises NotTaken for one that is no export, or has faults.

    whole: rows that are no practice are taken too, as `database.exchange` checks them.
    """
    try:
        state = json.loads(data)
    except (ValueError, RecursionError) as error:  # RecursionError: brackets in brackets in brackets
        raise NotTaken(
            f"Expected JSON, got something that is none ({error}).", "Choose another file."
        ) from error
    if isinstance(state, dict) and state.get("format") == "handbook-study":
        raise NotTaken("This is a study plan alone.", "Import it with `handbook plan import`.")
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        what = "the handbook" if whole else "the practice"
        raise NotTaken(f"Expected an export of {what}, got other JSON.", "Choose a file from Export.")
    listed = state.get("tables")
    if not isinstance(listed, dict):
        raise NotTaken("The export has no tables.", "Choose a whole file from Export.")
    incoming = Incoming("json")
    read_tables = set(listed) if whole else set(listed) & set(TABLES)
    for name in sorted(set(listed) - read_tables):
        rows = listed[name]
        if isinstance(rows, list) and rows:
            incoming.left_out["rows that are no practice (import them under /about)"] += len(rows)
    try:
        missing = Imports(database).missing(
            {**state, "tables": {name: listed[name] for name in listed if name in read_tables}}
        )
    except DatabaseError as error:
        raise NotTaken(error.what, "Choose a whole file from Export.") from error
    for name, rows in listed.items():
        same = len(rows) - len(missing.get(name, [])) if name in read_tables else 0
        if same and name == "review":
            incoming.left_out["reviews that are here already"] += same
        elif same:
            incoming.left_out["other rows that are here already, and stay"] += same
    _sort(incoming, missing, deck, Plans(database).open_diagnostic() is not None)
    return incoming


def _sort(incoming: Incoming, missing: Mapping[str, Rows], deck: Deck, busy: bool) -> None:
    """Each row to its place, or left out with the reason. busy: a diagnostic is open here."""
    now, left_out = deck.now(), incoming.left_out
    missing = {name: [row for row in rows if _shaped(name, row, left_out)] for name, rows in missing.items()}
    for row in missing.get("review", []):
        good, why = checked.review(row, now)
        if good is None:
            left_out[why] += 1
        else:
            incoming.reviews.append(good)
    for row in missing.get("card", []):
        values = {name: each for name, each in row.items() if name != "question"}
        told = {
            name: each.isoformat() if isinstance(each, datetime) else each for name, each in values.items()
        }
        if kept_row(told) is None:
            left_out["cards whose state can't be read"] += 1
        else:
            incoming.cards[row["question"]] = values
    tables = {name: rows for name, rows in missing.items() if name not in ("review", "card")}
    tables["correction"] = [
        row
        for row in tables.get("correction", [])
        if {row["proposed"], row["verdict"]} <= set(VERDICTS) and 0 <= row["confidence"] <= 1
    ]
    lost = len(missing.get("correction", [])) - len(tables["correction"])
    if lost:
        left_out["corrections that can't be read"] += lost
    if tables.get("fitted"):
        tables["fitted"] = _fitted(tables["fitted"], deck, left_out)
    if tables.get("plan") or tables.get("diagnostic"):
        tables |= _plans(tables, deck, left_out, busy)
    incoming.tables = {name: rows for name, rows in tables.items() if rows}


def _shaped(table: str, row: Mapping[str, Any], left_out: Counter[str]) -> bool:
    """Whether each JSON value is a list or an object as its readers expect."""
    lists = {name for name, value in row.items() if isinstance(value, list)}
    objects = {name for name, value in row.items() if isinstance(value, dict)}
    good = lists <= LISTS.get(table, set()) and not objects & LISTS.get(table, set())
    if good and table == "day":
        try:
            date.fromisoformat(row["day"])
        except ValueError:
            good = False
    if not good:
        left_out["rows of another shape"] += 1
    return good


def _fitted(rows: Rows, deck: Deck, left_out: Counter[str]) -> Rows:
    if deck.rows.fitted() is not None:
        left_out["fitted parameters: others hold here"] += len(rows)
        return []
    kept: Rows = []
    for row in rows:
        try:
            Memory(row["values"]["parameters"])
            kept.append(row)
        except (KeyError, TypeError, ValueError):
            left_out["fitted parameters that can't be read"] += 1
    return kept


def _plans(tables: Mapping[str, Rows], deck: Deck, left_out: Counter[str], busy: bool) -> dict[str, Rows]:
    """Plans where there is none here yet, diagnostics that can be read; none that is open beside another."""
    from handbook.practice import plan as plans
    from handbook.practice.diagnostic import Diagnostic
    from handbook.practice.graph import concepts

    graph = concepts(deck.book)
    kept: dict[str, Rows] = {"plan": [], "diagnostic": []}
    if tables.get("plan") and deck.rows.plan():
        left_out["plans: one holds here, and stays"] += len(tables["plan"])
    else:
        for row in tables.get("plan", []):
            try:
                fault = (
                    "" if plans.from_dict(row["values"]).track in graph.tracks else "plans of another book"
                )
            except PlanError:
                fault = "plans that can't be read"
            if fault:
                left_out[fault] += 1
            else:
                kept["plan"].append(row)
    for row in tables.get("diagnostic", []):
        try:
            Diagnostic.from_dict(graph, row["state"])
        except PlanError:
            left_out["diagnostics that can't be read"] += 1
            continue
        if row["ended"] is None and busy:
            left_out["diagnostics that are open, beside the one here"] += 1
            continue
        busy = busy or row["ended"] is None
        kept["diagnostic"].append(row)
    return kept
