"""What the page of progress shows of plans, diagnostics and cards, counted and in words."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handbook.app.web.studying import on

if TYPE_CHECKING:
    from handbook.practice.cards import Deck
    from handbook.practice.history import Retained
    from handbook.practice.study import Study
    from handbook.practice.workload import Load

AHEAD = 42  # days of the forecast without a date
FARTHEST = 120  # days that are drawn
CORRECTIONS = 12
STATES = ("solid", "shaky", "unknown")
VERDICTS = {"yes": "met", "no": "not met", "unclear": "left open"}


@dataclass(frozen=True, slots=True)
class MapRow:
    """A chapter in the map's table. sections: (concept, standing)."""

    title: str
    url: str
    needs: tuple[str, ...]
    counts: tuple[int, int, int]
    sections: tuple[tuple[Any, Any], ...]


def of_study(study: "Study") -> dict[str, Any]:
    """Readiness, the map and what changed, with their drawings."""
    from handbook.app.mapping import concept_map
    from handbook.app.readied import readiness_chart
    from handbook.practice.readiness import changes

    graph, result, rows = study.graph, study.result(), study.readiness()
    asked = any(each.asked for each in rows)
    last, before = study.rows.last_diagnostic(), study.diagnosing.result()
    return {
        "readiness": rows,
        "readiness_chart": readiness_chart(rows) if asked else "",
        "result": result,
        "concept_map": concept_map(graph, result.sections),
        "map_rows": _map_rows(study, result.sections),
        "changes": [
            (graph.concepts[each.section], each)
            for each in (changes(before, result) if before is not None else ())
            if each.section in graph.concepts
        ],
        "diagnosed": last["ended"] if last else None,
        "plan": study.plan(),
        **of_deck(study.deck, study.plan(), study.day()),
    }


def _map_rows(study: "Study", sections: Any) -> list[MapRow]:
    graph, found = study.graph, []
    for slug in graph.chapters:
        rows = tuple((each, sections[each.id]) for each in graph.of(slug) if each.id in sections)
        count = Counter(standing.state for _, standing in rows)
        found.append(
            MapRow(
                graph.titles[slug],
                study.book.chapters[slug].url,
                tuple(graph.titles[need] for need in graph.chapters[slug]),
                (count["solid"], count["shaky"], count["unknown"]),
                rows,
            )
        )
    return found


def of_deck(deck: "Deck", plan: Any, day: dt.date) -> dict[str, Any]:
    """Retention, what is to come, corrections, and what keeps being forgotten."""
    from handbook.app.loads import load_chart

    date = plan.date if plan is not None and plan.date is not None and plan.date > day else None
    until = min(date or day + dt.timedelta(days=AHEAD), day + dt.timedelta(days=FARTHEST))
    loads, pace = deck.forecast(until), deck.pace()
    kept = deck.rows.corrections()
    return {
        "retention": retained(deck.retention()),
        "target": deck.retention_target(),
        "load_chart": load_chart(loads),
        "load_weeks": by_week(loads),
        "load_until": on(until),
        "pace": pace,
        "corrections": [
            _correction(deck, row) for row in kept[:CORRECTIONS] if row["question"] in deck.book.questions
        ],
        "corrected": len(kept),
        "leeches": deck.leeches(),
    }


def retained(rows: "list[Retained]") -> list[tuple[str, dict[str, "Retained"]]]:
    """(period in words, by age), the newest first: the last weeks, the last months, all of it."""
    found: dict[tuple[str, dt.date], dict[str, Retained]] = {}
    for row in rows:
        found.setdefault((row.period, row.start), {})[row.age] = row
    weeks = [key for key in found if key[0] == "week"][:8]
    months = [key for key in found if key[0] == "month"][:12]
    all_ = [key for key in found if key[0] == "all"]
    words = {
        "week": lambda start: f"week of {on(start)}",
        "month": lambda start: f"{start:%B %Y}",
        "all": lambda start: f"all since {on(start)}",
    }
    return [(words[period](start), found[period, start]) for period, start in (*weeks, *months, *all_)]


def by_week(loads: "list[Load]") -> list[tuple[str, float, float, float]]:
    """(week, reviews, minutes, minutes of its fullest day)."""
    weeks: dict[dt.date, list[Load]] = {}
    for each in loads:
        weeks.setdefault(each.day - dt.timedelta(days=each.day.weekday()), []).append(each)
    return [
        (
            f"week of {on(start)}",
            sum(each.reviews for each in days),
            sum(each.minutes for each in days),
            max(each.minutes for each in days),
        )
        for start, days in weeks.items()
    ]


def _correction(deck: "Deck", row: dict[str, Any]) -> dict[str, Any]:
    question = deck.book.questions[row["question"]]
    yes = next((each.yes for each in question.criteria if each.id == row["criterion"]), row["criterion"])
    return {
        "question": question,
        "criterion": yes,
        "proposed": VERDICTS.get(row["proposed"], row["proposed"]),
        "verdict": VERDICTS.get(row["verdict"], row["verdict"]),
        "quote": row["quote"],
        "at": row["at"],
    }
