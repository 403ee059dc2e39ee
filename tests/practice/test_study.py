"""A reader's weeks with the plan, over a database: dealt, done, missed, changed, undone, exported."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from handbook.book.load import open_book
from handbook.database import Database, open_database
from handbook.errors import PlanError
from handbook.practice.diagnostic import Diagnostic
from handbook.practice.readiness import merged, readiness
from handbook.practice.study import Study
from handbook.records import Grade, Judgement, Question
from handbook.settings import Settings

INTERVIEW = date(2026, 12, 21)


class Clock:
    """Noon UTC, so that the reader's day is the same in most zones."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(Settings(data=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def study(database: Database, clock: Clock) -> Study:
    return Study(database, open_book(), clock)


def graded(question: Question, met: int, unclear: int = 0) -> Grade:
    verdicts = ["yes"] * met + ["unclear"] * unclear
    judged = [
        Judgement(each.id, verdicts[n] if n < len(verdicts) else "no", weight=each.weight, must=each.must)  # type: ignore[arg-type]
        for n, each in enumerate(question.criteria)
    ]
    return Grade(question.id, "words", tuple(judged), grader="test")


def test_nothing_before_there_is_a_plan(study: Study) -> None:
    assert study.plan() is None
    assert study.today() is None
    assert study.calendar() is None
    assert study.undo() is None
    assert study.changes() == []
    assert all(row.low is None and row.high is None and row.evidence for row in study.readiness())
    for wrong in (lambda: study.change(hours=1), lambda: study.away(INTERVIEW, INTERVIEW)):
        with pytest.raises(PlanError, match="no plan"):
            wrong()


def test_a_day_is_dealt_once_and_sees_what_is_done(study: Study, database: Database, clock: Clock) -> None:
    study.start(date=INTERVIEW, hours=10.0)
    today = study.today()
    assert today is not None
    assert today.done == frozenset()
    assert {"read", "question", "exercise"} <= {item.kind for item in today.session.items}
    read = next(item for item in today.session.items if item.kind == "read")
    asked = next(item for item in today.session.items if item.kind == "question")
    exercise = next(item for item in today.session.items if item.kind == "exercise")
    database.mark_read(*read.id.split("#"))
    question = study.graph.questions[asked.id]
    study.deck.answered(question, "words", graded(question, 2), seconds=90)
    study.practice.save_attempt(exercise.id, "x", [], solved=False)  # a run that failed ends nothing
    later = study.today()
    assert later is not None
    assert later.session == today.session, "a session stays as it was dealt"
    assert later.done == {read.key, asked.key}
    study.practice.change_state(exercise.id, solved=clock.at)
    assert exercise.key in study.today().done  # type: ignore[union-attr]
    assert study.deck.undo() is not None
    assert asked.key not in study.today().done  # type: ignore[union-attr]
    marked = study.mark(asked.key)
    assert marked is not None
    assert asked.key in marked.done
    assert asked.key not in study.mark(asked.key, done=False).done  # type: ignore[union-attr]
    assert study.mark("read:nothing") == study.today()


def test_a_change_deals_the_day_anew_beside_what_is_done(study: Study, database: Database) -> None:
    study.start(date=INTERVIEW, hours=7.0)
    today = study.today()
    assert today is not None
    read = next(item for item in today.session.items if item.kind == "read")
    database.mark_read(*read.id.split("#"))
    change = study.change(hours=3.5)
    assert change.plan.hours == 3.5
    assert any("No longer fits" in note for note in change.notes)
    again = study.today()
    assert again is not None
    assert again.session.limit == 30
    assert again.session.minutes <= 30
    assert again.done == {read.key}
    assert len({item.key for item in again.session.items}) == len(again.session.items)
    assert study.change(hours=3.5).notes == ("Nothing changed.",)


def test_a_missed_week_and_its_undo(study: Study, clock: Clock) -> None:
    first = study.start(date=INTERVIEW, hours=7.0)
    study.today()
    clock.at += timedelta(days=8)
    change = study.away(date(2026, 11, 24), date(2026, 11, 30))
    today = study.today()
    assert today is not None
    assert today.session.minutes <= today.session.limit == 60
    assert "your limit is 60" in change.notes[0]
    early = study.away(date(2026, 11, 9), date(2026, 11, 15))  # before the plan, which held nothing then
    assert not any("No longer fits" in note for note in early.notes)
    assert study.undo() == "no time from 2026-11-09 to 2026-11-15"
    assert change.plan.minutes_on(date(2026, 11, 25)) == 0
    assert study.undo() == "no time from 2026-11-24 to 2026-11-30"
    assert study.plan() == first
    study.change(date=date(2027, 1, 10))
    assert study.deck.interview() == date(2027, 1, 10)
    assert study.undo() == "changed date"
    assert study.undo() == "began"
    assert study.plan() is None
    assert study.undo() is None
    assert [row["undone"] for row in study.history()] == [True] * 4


def test_a_plan_with_a_fault_is_not_kept(study: Study) -> None:
    with pytest.raises(PlanError, match=r"past.*hours"):
        study.start(date=date(2026, 11, 1), hours=-3.0)
    assert study.history() == []


def test_a_diagnostic_is_paused_resumed_taken_back_and_ends_in_the_plan(
    study: Study, database: Database, clock: Clock
) -> None:
    study.start(date=INTERVIEW, hours=7.0, level="senior")
    first = study.diagnosing.begin("senior", seed=3).diagnostic.next()
    assert first is not None
    assert study.diagnosing.begin("senior", seed=9).diagnostic.seed == 3, "the open one goes on"
    study.deck.save_draft(first, "diagnostic", "half a senten", 12)
    other = Study(database, open_book(), clock)  # the laptop was closed meanwhile
    opened = other.diagnosing.open()
    assert opened is not None
    assert opened.diagnostic.next() == first
    assert other.deck.draft(first, "diagnostic").text == "half a senten"  # type: ignore[union-attr]
    whole = graded(first, len(first.criteria))
    other.diagnosing.answered(first.id, 60, text="half a sentence, whole", grade=whole)
    assert other.deck.draft(first, "diagnostic") is None
    assert not other.deck.state(first).new, "it comes again in the drills"
    answers = len(other.diagnosing.open().diagnostic.answers)  # type: ignore[union-attr]
    other.diagnosing.answered(first.id, 60, text="sent twice", grade=graded(first, 0))
    assert len(other.diagnosing.open().diagnostic.answers) == answers == 1  # type: ignore[union-attr]
    assert other.diagnosing.undo().question == first.id  # type: ignore[union-attr]
    assert other.deck.state(first).new
    assert other.deck.draft(first, "diagnostic").text == "half a sentence, whole"  # type: ignore[union-attr]
    steps = ("dont-know", "skipped", "rated", "graded")
    number = 0
    while question := other.diagnosing.open().diagnostic.next():  # type: ignore[union-attr]
        step = steps[number % 4]
        if step == "rated":
            other.diagnosing.answered(question.id, 120, text="x", rating="good")
        elif step == "graded":
            other.diagnosing.answered(question.id, 120, text="x", grade=graded(question, 0))
        else:
            other.diagnosing.answered(question.id, 60, how=step)  # type: ignore[arg-type]
        assert other.deck.state(question).new == (step == "skipped")
        number += 1
    result = other.diagnosing.end()
    assert other.diagnosing.open() is None
    assert result.skipped >= 1
    assert result.those("shaky")
    assert study.diagnosing.result() == result
    assert study.take_in().shaky == result.those("shaky")
    assert study.undo() == "took in the diagnostic"
    with pytest.raises(PlanError, match="no open"):
        study.diagnosing.answered("x", 1)


def test_readiness_follows_answers_and_forgetting(study: Study, clock: Clock) -> None:
    study.start(date=INTERVIEW, hours=7.0, level="senior")
    asked = [q for q in study.graph.questions.values() if q.chapter.endswith("transformer-deep-dive")][:6]
    for question in asked:
        study.deck.answered(question, "words", graded(question, len(question.criteria)), seconds=60)
    row = study.readiness()[0]
    assert row.low is not None
    assert row.high is not None
    assert 0.5 < row.low < row.high <= 1
    assert row.asked == 6
    assert row.evidence[0].startswith("6 of ")
    untouched = study.readiness()[-2]
    assert untouched.low is None
    clock.at += timedelta(days=20)
    later = study.readiness()[0]
    assert later.low is not None
    assert later.low < row.low, "what is not repeated is forgotten"
    standing = study.result().sections[study.graph.places[asked[0].id]]
    assert "chance that it is still known: 0." in standing.evidence[0]
    for question in asked:
        study.deck.answered(question, "", None, rating="again")
    assert study.readiness()[0].low < later.low  # type: ignore[operator]


def test_an_interval_narrows_with_more_answers_and_says_how_many(study: Study) -> None:
    graph = study.graph
    questions = [id for each in graph.in_area("inference-ops") for id in each.questions]
    widths = []
    for count in (1, 5, 20):
        current = Diagnostic(graph)
        for id in questions[:count]:
            current.answered(id, 0.5, 60)
        row = next(each for each in readiness(graph, current) if each.area == "inference-ops")
        assert row.asked == count
        assert row.low is not None
        assert row.high is not None
        widths.append(row.high - row.low)
    assert widths[0] > widths[1] > widths[2]


def test_corrections_count_and_odd_reviews_do_no_harm(study: Study, clock: Clock) -> None:
    graph = study.graph
    question = next(iter(graph.questions.values()))
    right = graded(question, len(question.criteria))
    kept = {"question": question.id, "at": clock.at, "rating": "good", "decided": {}}
    judgements = [{"criterion": j.criterion, "verdict": "yes", "weight": j.weight} for j in right.judgements]
    whole = {**kept, "grade": {"judgements": judgements}}
    corrected = {**whole, "decided": {each["criterion"]: "no" for each in judgements[1:]}}
    scores = {}
    for name, review in {
        "whole": whole,
        "corrected": corrected,
        "no grade": {**kept, "grade": {}},
        "lies": {**kept, "grade": {"judgements": [{"criterion": "x", "verdict": "perhaps", "weight": -1}]}},
        "list": {**kept, "grade": [1]},
    }.items():
        (answer,) = merged(graph, "senior", [], [review], {}).answers
        scores[name] = answer.score
    assert scores["whole"] == 1.0
    assert scores["corrected"] < 0.5  # type: ignore[operator]
    assert scores["no grade"] == scores["lies"] == scores["list"] == 0.8
    older = {**whole, "at": clock.at - timedelta(days=3)}
    (answer,) = merged(graph, "senior", [], [corrected, older], {}).answers
    assert answer.score == scores["corrected"], "the latest review counts"
    assert merged(graph, "senior", [], [{**whole, "question": "gone"}], {}).answers == []


def test_changes_since_the_diagnostic(study: Study) -> None:
    study.diagnosing.begin("senior", seed=1)
    while question := study.diagnosing.open().diagnostic.next():  # type: ignore[union-attr]
        study.diagnosing.answered(question.id, 110, how="dont-know")
    before = study.diagnosing.end()
    assert study.changes() == []
    section = before.those("shaky")[0]
    chapter = section.partition("#")[0]
    for concept in study.graph.of(chapter):
        for id in concept.questions:
            question = study.graph.questions[id]
            study.deck.answered(question, "words", graded(question, len(question.criteria)), seconds=60)
    changed = study.changes()
    assert any(each.before == "shaky" and each.now == "solid" for each in changed)
    assert all(each.evidence for each in changed)


def test_export_and_import(study: Study, tmp_path: Path, clock: Clock) -> None:
    study.diagnosing.begin("senior", seed=1)
    question = study.diagnosing.open().diagnostic.next()  # type: ignore[union-attr]
    assert question is not None
    study.diagnosing.answered(question.id, 60, how="dont-know")
    result = study.diagnosing.end()
    plan = study.start(date=INTERVIEW, hours=7.0, level="senior")
    text = json.dumps(study.export())
    there = open_database(Settings(data=tmp_path / "other"))
    try:
        other = Study(there, open_book(), clock)
        assert other.import_(json.loads(text)) == plan
        assert other.diagnosing.result() == result
        assert json.dumps(other.export()) == text
        other.import_(json.loads(text))
        assert len(other.rows.diagnostics()) == 1
        assert other.undo() == "imported"
        assert other.plan() == plan
        good = json.loads(text)
        for fault in ({"format": "x"}, {"version": 2}, {"plan": 3}, {"plan": {}}, {"diagnostic": []}):
            with pytest.raises(PlanError):
                other.import_({**good, **fault})
        with pytest.raises(PlanError, match="track"):
            other.import_({**good, "plan": {**good["plan"], "track": "elsewhere"}})
        assert len(other.history()) == 2
    finally:
        there.close()


def test_rows_that_lie_stop_no_page(study: Study) -> None:
    study.rows.add({"hours": "many"}, "imported")
    assert study.plan() is None
    assert study.today() is None
    study.rows.undo()
    study.start(date=INTERVIEW, hours=7.0)
    number = study.rows.current()["number"]  # type: ignore[index]
    good = study.today()
    assert good is not None
    for values in (
        {"plan": number},
        {"plan": number, "items": 3, "limit": "x", "waiting": 0, "notes": []},
        {"plan": number, "items": [], "limit": float("inf"), "waiting": 0, "notes": []},
        {"items": [{"kind": "read", "id": "<script>", "minutes": 1}, {"kind": "x"}, 3], "done": 3},
    ):
        study.rows.save_day(study.day(), values)
        assert study.today() == good
    lying = {
        "kind": "read",
        "id": good.session.items[0].id,
        "minutes": 3,
        "url": "javascript:1",
        "title": "x",
    }
    kept = {"plan": number, "items": [lying], "limit": 60, "waiting": 0, "notes": [], "done": ["x", 3]}
    study.rows.save_day(study.day(), kept)
    today = study.today()
    assert today is not None
    assert today.session.items[0].url.startswith("/book/")
    assert today.session.items[0].title == good.session.items[0].title
    study.rows.begin_diagnostic({"format": "lies"})
    assert study.diagnosing.open() is None
    assert study.diagnosing.answers() == []


def test_a_section_that_is_ticked_does_not_come_again(study: Study, database: Database, clock: Clock) -> None:
    study.start(date=INTERVIEW, hours=7.0)
    today = study.today()
    assert today is not None
    first = next(item for item in today.session.items if item.kind == "read")
    chapter, _, section = first.id.partition("#")
    study.mark(first.key)
    assert section in database.read()[chapter]
    study.mark(first.key, done=False)
    assert section not in database.read().get(chapter, set())
    study.mark(first.key)
    clock.at += timedelta(days=1)
    assert first.key not in {item.key for item in study.today().session.items}  # type: ignore[union-attr]


def test_a_long_section_is_read_when_its_parts_are_ticked(
    study: Study, database: Database, clock: Clock
) -> None:
    study.start(date=INTERVIEW, hours=0.5)
    parts: dict[str, int] = {}
    while clock.at.date() < date(2026, 12, 14):
        for item in study.today().session.items:  # type: ignore[union-attr]
            if item.kind == "read":
                chapter, _, section = item.id.partition("#")
                assert section not in database.read().get(chapter, set()), "what was read came again"
                study.mark(item.key)
                parts[item.id] = parts.get(item.id, 0) + 1
        clock.at += timedelta(days=1)
    assert max(parts.values()) >= 2, "one part is not the whole"
    assert sum(len(each) for each in database.read().values()) >= len(parts) - 1 >= 3


def readiness_of(study: Study, area: str) -> tuple[float, float]:
    row = next(each for each in study.readiness() if each.area == area)
    assert row.low is not None
    assert row.high is not None
    return row.low, row.high


def test_what_was_just_read_and_what_one_says_of_oneself_do_not_flatter(study: Study, clock: Clock) -> None:
    questions = [q for q in study.graph.questions.values() if q.chapter.endswith("transformer-deep-dive")][:8]
    area = study.graph.concepts[study.graph.places[questions[0].id]].area
    for question in questions:
        study.deck.answered(question, "", None, rating="again")
    nothing = readiness_of(study, area)
    assert nothing[1] < 0.25
    section = study.graph.places[questions[0].id]
    assert "you said that you don't know it" in study.result().sections[section].evidence[0]
    clock.at += timedelta(minutes=20)  # once more in the same sitting, the model answer fresh in mind
    for question in questions:
        study.deck.answered(question, "words", graded(question, len(question.criteria)), seconds=60)
    assert readiness_of(study, area) == nothing
    clock.at += timedelta(days=2)
    for question in questions:
        study.deck.answered(question, "words", None, rating="easy", seconds=60)
    said = readiness_of(study, area)
    assert said[0] > nothing[1]
    clock.at += timedelta(days=1)
    for question in questions:
        study.deck.answered(question, "words", graded(question, len(question.criteria)), seconds=60)
    assert readiness_of(study, area)[0] > said[0] + 0.1, "a graded answer is worth more than a rating"


def test_nothing_has_changed_since_a_diagnostic_that_nothing_came_after(study: Study) -> None:
    study.diagnosing.begin("senior", seed=1)
    number = 0
    while question := study.diagnosing.open().diagnostic.next():  # type: ignore[union-attr]
        if number % 2:
            rating = ("easy", "good", "hard", "again")[number // 2 % 4]
            study.diagnosing.answered(question.id, 110, text="x", rating=rating)
        else:
            study.diagnosing.answered(question.id, 60, how="dont-know")
        number += 1
    before = study.diagnosing.end()
    assert study.result().those("shaky") == before.those("shaky")
    assert study.changes() == []
    study.start(date=INTERVIEW, hours=7.0, level="lead")
    assert study.changes() == [], "another level is no change of what is known"


def test_taking_a_change_back_keeps_what_was_ticked(study: Study) -> None:
    study.start(date=INTERVIEW, hours=7.0)
    today = study.today()
    assert today is not None
    exercise = next(item for item in today.session.items if item.kind == "exercise")
    study.mark(exercise.key)
    study.change(hours=8.0)
    assert exercise.key in study.today().done  # type: ignore[union-attr]
    study.undo()
    again = study.today()
    assert again is not None
    assert again.session.limit == today.session.limit
    assert exercise.key in again.done


def test_no_day_is_longer_than_half_of_one(study: Study) -> None:
    plan = study.start(date=INTERVIEW, hours=80.0, days=[0])
    assert plan.minutes_on(date(2026, 11, 30)) == 720
