"""Plans and calendars: every limit is kept, nothing is lost without a name, missed weeks are spread."""

import datetime as dt
import itertools
import json
from collections import Counter
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handbook.book.load import open_book
from handbook.errors import PlanError
from handbook.practice.daily import Calendar, calendar, session
from handbook.practice.dealing import mixed
from handbook.practice.diagnostic import Result, Standing
from handbook.practice.graph import Graph, concepts
from handbook.practice.material import Done, fresh_until, minutes
from handbook.practice.plan import FURTHEST, Plan, change, from_dict, onboard, replan

DAY = dt.date(2026, 11, 23)  # a Monday


@pytest.fixture(scope="module")
def graph() -> Graph:
    return concepts(open_book())


def plan_of(graph: Graph, days: int | None = 42, hours: float = 6, **more: object) -> Plan:
    date = None if days is None else DAY + dt.timedelta(days=days)
    return onboard(graph, DAY, date=date, hours=hours, **more)  # type: ignore[arg-type]


def dealt(found: Calendar, kind: str) -> list[str]:
    return [item.id for each in found.sessions for item in each.items if item.kind == kind]


# What any plan keeps to

PLANS = st.fixed_dictionaries(
    {
        "days": st.one_of(st.none(), st.integers(0, 200)),
        "hours": st.sampled_from([0, 0.5, 1, 3, 7, 20, 80]),
        "level": st.sampled_from(["foundation", "senior", "lead", "architect"]),
        "role": st.sampled_from(["lead", "applications", "platform", "training", "design"]),
        "track": st.sampled_from(["", "foundations-to-strategy", "lead-track"]),
    }
)
WEEK = st.sets(st.integers(0, 6), min_size=1).map(lambda each: tuple(sorted(each)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PLANS, WEEK, st.integers(0, 60), st.data())
def test_any_calendar(
    graph: Graph, values: dict[str, object], week: tuple[int, ...], backlog: int, data: st.DataObject
) -> None:
    values = dict(values)
    date_in = values.pop("days")
    date = None if date_in is None else DAY + dt.timedelta(days=date_in)  # type: ignore[arg-type]
    plan = onboard(graph, DAY, date=date, days=week, **values)  # type: ignore[arg-type]
    order = list(graph.concepts)
    read = frozenset(data.draw(st.lists(st.sampled_from(order), max_size=20)))
    done = Done(
        read=read, seen=frozenset(data.draw(st.lists(st.sampled_from(list(graph.questions)), max_size=9)))
    )
    found = calendar(plan, graph, done, DAY, {DAY: backlog})
    sections, exercises = dealt(found, "read"), dealt(found, "exercise")
    for each in found.sessions:
        assert each.minutes <= each.limit + 1e-6
        assert each.limit == plan.minutes_on(each.day)
        assert each.day.weekday() in week or not each.items
        assert each.waiting >= 0
        fresh = [item for item in each.items if item.kind != "review"]
        assert not fresh or plan.date is None or each.day < fresh_until(plan, plan.date)
    # A section may take more than a day; else nothing comes twice, and nothing that was read or seen.
    assert not set(sections) & read
    assert not set(dealt(found, "question")) & done.seen
    assert max(Counter(exercises).values(), default=1) == 1
    # What there is, is dealt, left out by name, or known.
    unread = {each.id for each in graph.concepts.values() if each.written} - read
    left = {item.id for item in found.material.left_out if item.kind == "read"}
    assert set(sections) | left == unread
    assert not set(sections) & left
    assert all(item.why for item in found.material.left_out)
    # What rests on something comes after it.
    first = {id: number for number, id in reversed(list(enumerate(sections)))}
    for id in first:
        for needed in graph.concepts[id].needs:
            assert needed not in first or first[needed] <= first[id]
            assert needed not in left, f"{id} is planned without {needed}"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(24, 90), st.integers(1, 14), st.integers(3, 9), st.sampled_from([4, 8, 16]))
def test_a_missed_week_is_spread(graph: Graph, days: int, begin: int, length: int, hours: float) -> None:
    """Live to a day, miss some, go on: no day is fuller than its limit, none takes over what was missed."""
    plan = plan_of(graph, days, hours)
    before = calendar(plan, graph, Done(), DAY)
    lived = {item.id for each in before.sessions[:begin] for item in each.items if item.kind == "read"}
    back = DAY + dt.timedelta(days=begin + length)
    done = Done(read=frozenset(lived))
    after = calendar(
        replan(plan, DAY + dt.timedelta(days=begin), back - dt.timedelta(days=1)), graph, done, back
    )
    assert all(each.minutes <= each.limit for each in after.sessions)
    first = after.sessions[0]
    missed = sum(each.minutes for each in before.sessions[begin : begin + length])
    assert first.minutes < missed or len(before.sessions[begin : begin + length]) == 1 or first.minutes == 0
    reading = [
        sum(i.minutes for i in each.items if i.kind == "read") for each in after.sessions if each.limit
    ]
    room = 0.6 * after.sessions[0].limit
    longest = max(minutes(each) for each in graph.concepts.values())
    assert reading[0] <= room + longest


def test_missed_until_the_interview(graph: Graph) -> None:
    """Back on its day there is that day, and nothing after it."""
    plan = plan_of(graph, 21)
    for late, sessions in ((0, 1), (1, 0)):
        back = DAY + dt.timedelta(days=21 + late)
        found = calendar(replan(plan, DAY, back - dt.timedelta(days=1)), graph, Done(), back)
        assert len(found.sessions) == sessions
        assert not [item for each in found.sessions for item in each.items if item.kind != "review"]
    assert any("date of the interview has passed" in note for note in found.notes)


def test_days_off_hold_nothing_and_can_lie_ahead(graph: Graph) -> None:
    first, last = DAY + dt.timedelta(days=10), DAY + dt.timedelta(days=16)
    plan = replan(plan_of(graph), last, first)
    found = calendar(plan, graph, Done(), DAY)
    for each in found.sessions:
        assert (each.limit == 0) == (first <= each.day <= last)
    assert found.material.room < calendar(plan_of(graph), graph, Done(), DAY).material.room


# A day


def test_a_session_mixes_all_four_and_reviews_alternate(graph: Graph) -> None:
    plan = plan_of(graph, hours=10)
    of = {chapter: [id for c in graph.of(chapter) for id in c.questions] for chapter in graph.chapters}
    due = of["transformer-deep-dive"][:3] + of["rag-pipeline-deep-dive"][:3]
    read = frozenset(each.id for each in graph.of("transformer-deep-dive")[:4])
    found = session(plan, graph, Done(read=read, seen=frozenset(due)), DAY, due)
    kinds = [item.kind for item in found.items]
    assert set(kinds) == {"review", "read", "exercise", "question"}
    assert kinds.count("exercise") == 1
    chapters = [graph.questions[item.id].chapter for item in found.items if item.kind == "review"]
    assert all(one != two for one, two in itertools.pairwise(chapters))
    question = next(item for item in found.items if item.kind == "question")
    assert graph.places[question.id] in read | {item.id for item in found.items}


def test_reviews_that_do_not_fit_wait_and_are_counted(graph: Graph) -> None:
    due = list(graph.questions)[:60]
    found = session(plan_of(graph), graph, Done(seen=frozenset(due)), DAY, due)
    held = [item.id for item in found.items if item.kind == "review"]
    assert 5 <= len(held) < 60
    assert set(held) == set(due[: len(held)]), "the most likely forgotten first"
    assert found.waiting == 60 - len(held)
    assert str(found.waiting) in found.notes[0]
    assert "caught up" in found.notes[1]
    assert not any(item.kind == "exercise" for item in found.items), "a new exercise waits until then"
    few = session(plan_of(graph), graph, Done(seen=frozenset(due)), DAY, due[:8])
    assert any(item.kind == "exercise" for item in few.items)

    reviewing = sum(item.minutes for item in found.items if item.kind == "review")
    assert reviewing > found.limit / 2, "what is due goes before what is new"


def test_exercises_change_their_pattern_and_what_is_due_comes_first(graph: Graph) -> None:
    plan = plan_of(graph, 80, 20)
    found = [graph.exercises[id].pattern for id in dealt(calendar(plan, graph, Done(), DAY), "exercise")]
    assert len(found) >= 40
    assert sum(one == two for one, two in itertools.pairwise(found)) <= len(found) / 10
    due = {"merge-intervals-x": DAY, next(iter(graph.exercises)): DAY}
    again = session(plan, graph, Done(due=due), DAY)
    exercise = next(item for item in again.items if item.kind == "exercise")
    assert (exercise.id, exercise.why) == (next(iter(graph.exercises)), "due again")


def test_short_days_hold_an_exercise_by_turns(graph: Graph) -> None:
    plan = plan_of(graph, 60, 3.5)  # half an hour a day
    days = [
        each.day
        for each in calendar(plan, graph, Done(), DAY).sessions
        if any(i.kind == "exercise" for i in each.items)
    ]
    gaps = [(two - one).days for one, two in itertools.pairwise(days)]
    assert gaps
    assert min(gaps) >= 2


def test_a_section_that_the_last_days_begin_is_not_left_out(graph: Graph) -> None:
    plan = plan_of(graph, None, hours=0.5, role="training")
    found = calendar(plan, graph, Done(), DAY, {DAY: 60})
    left = {item.id for item in found.material.left_out}
    assert left
    assert not left & set(dealt(found, "read"))


def test_a_new_question_says_what_it_is_about(graph: Graph) -> None:
    plan = plan_of(graph, hours=20)

    def said(plan: Plan, done: Done) -> set[str]:
        return {item.why for item in session(plan, graph, done, DAY).items if item.kind == "question"}

    ids = tuple(id for id, each in graph.concepts.items() if each.questions)
    assert said(plan, Done()) == {"new, on what is read before it"}
    assert "new, on what is shaky" in said(replace(plan, shaky=ids), Done())
    assert said(replace(plan, solid=ids), Done()) == {"new, on what is solid"}
    assert said(plan, Done(read=frozenset(ids))) == {"new, on what you have read"}


def test_siblings_that_may_not_be_asked_are_not(graph: Graph) -> None:
    plan = plan_of(graph)
    read = frozenset(each.id for each in graph.of("transformer-deep-dive"))
    free = session(plan, graph, Done(read=read), DAY)
    assert any(item.kind == "question" for item in free.items)
    bound = session(plan, graph, Done(read=read), DAY, allowed=())
    assert not any(item.kind == "question" for item in bound.items)


# What the diagnostic changes


def test_solid_is_not_read_again_and_shaky_comes_before_it_is_left_out(graph: Graph) -> None:
    standing = {each.id: Standing("unknown", 0, 1, ()) for each in graph.concepts.values() if each.written}
    solid, shaky = "transformer-deep-dive#masks", "coding-for-ml-engineers#numerics"
    standing[solid], standing[shaky] = Standing("solid", 0.7, 1, ()), Standing("shaky", 0, 0.4, ())
    short = plan_of(graph, 14, 3)
    assert shaky in {item.id for item in calendar(short, graph, Done(), DAY).material.left_out}
    told = plan_of(graph, 14, 3, result=Result(standing, 20, 9))
    found = calendar(told, graph, Done(), DAY)
    assert solid not in dealt(found, "read")
    assert [item.id for item in found.material.known] == [solid]
    assert shaky in dealt(found, "read")
    assert "shaky" in next(item.why for item in found.material.sections if item.id == shaky)


def test_a_role_decides_what_is_left_out(graph: Graph) -> None:
    def areas(role: str) -> Counter[str]:
        found = calendar(plan_of(graph, 14, 4, role=role), graph, Done(), DAY)
        return Counter(graph.concepts[item.id].area for item in found.material.sections)

    assert areas("training")["model-training"] > areas("applications")["model-training"]
    assert areas("applications")["rag-pipelines"] > areas("platform")["rag-pipelines"]


def test_tracks_give_the_order(graph: Graph) -> None:
    for track, steps in graph.tracks.items():
        found = calendar(plan_of(graph, 150, 20, track=track), graph, Done(), DAY)
        places: dict[str, list[int]] = {}
        for number, id in enumerate(dealt(found, "read")):
            places.setdefault(graph.concepts[id].chapter, []).append(number)
        order = sorted(places, key=lambda slug: median(places[slug]))
        assert order == [slug for _, slugs in steps for slug in slugs if slug in order]
        assert len(order) == 6


# Edges


def test_dates_and_hours_at_the_edge(graph: Graph) -> None:
    tomorrow = calendar(plan_of(graph, 1, 14), graph, Done(), DAY)
    assert len(tomorrow.sessions) == 2
    assert tomorrow.sessions[0].items
    assert not [item for item in tomorrow.sessions[1].items if item.kind != "review"]
    assert "interview" in tomorrow.sessions[1].notes[0]
    none = calendar(plan_of(graph, 30, 0), graph, Done(), DAY)
    assert not any(each.items for each in none.sessions)
    assert "no time" in none.notes[0]
    assert len(none.material.left_out) > 200
    passed = session(plan_of(graph, 3), graph, Done(), DAY + dt.timedelta(days=9), list(graph.questions)[:3])
    assert {item.kind for item in passed.items} == {"review"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"date": DAY - dt.timedelta(days=1)}, "in the past"),
        ({"date": DAY + dt.timedelta(days=2000)}, "days away"),
        ({"hours": -1}, "hours"),
        ({"hours": 81}, "hours"),
        ({"hours": float("nan")}, "hours"),
        ({"level": "guru"}, "level"),
        ({"role": "guru"}, "role"),
        ({"track": "guru"}, "track"),
        ({"days": (7,)}, "days"),
        ({"days": ()}, "days"),
    ],
    ids=repr,
)
def test_answers_that_can_not_be_used(graph: Graph, values: dict[str, object], named: str) -> None:
    plan = plan_of(graph)
    with pytest.raises(PlanError, match=named):
        change(plan, graph, DAY, **values)


def test_days_long_before_the_plan_are_a_slip(graph: Graph) -> None:
    with pytest.raises(PlanError, match="0206-11-23"):
        replan(plan_of(graph), dt.date(206, 11, 23), dt.date(206, 11, 24))


def test_a_calendar_ends_where_a_plan_can_reach(graph: Graph) -> None:
    plan = replace(plan_of(graph), begun=dt.date(2200, 1, 1), date=dt.date(2200, 1, 1))
    assert len(calendar(plan, graph, Done(), DAY).sessions) <= FURTHEST + 1


def test_every_fault_is_named_at_once(graph: Graph) -> None:
    with pytest.raises(PlanError, match=r"past.*hours.*role"):
        plan_of(graph, -1, 99, role="x")


def test_a_plan_as_plain_data_and_back(graph: Graph) -> None:
    plan = replan(plan_of(graph, days=40, hours=2.5), DAY, DAY)
    kept = json.loads(json.dumps(plan.to_dict()))
    assert from_dict(kept) == plan
    for fault in (
        {"format": "x"}, {"version": 9}, {"hours": True}, {"hours": "6"}, {"hours": 1e9}, {"days": []},
        {"days": [True]}, {"level": "x"}, {"role": 3}, {"away": [["2026-01-01"]]}, {"away": 3}, {"begun": 7},
        {"date": "soon"}, {"solid": ["a" * 300]}, {"solid": ["a"] * 3000}, {"extra": 1}, {"track": None},
        {"away": [["2026-01-01", "2026-01-02"]] * 60}, {"date": "9999-12-31"}, {"begun": "0001-01-01"},
        {"hours": 10**400}, {"hours": float("nan")},
    ):  # fmt: skip
        with pytest.raises(PlanError):
            from_dict({**kept, **fault})
    with pytest.raises(PlanError):
        from_dict({})


@given(st.lists(st.sampled_from("abcd"), max_size=24))
def test_neighbours_are_of_one_chapter_only_where_it_can_not_be_helped(chapters: list[str]) -> None:
    items = list(enumerate(chapters))
    found = mixed(items, lambda each: each[1])
    assert sorted(found) == items
    meetings = sum(one[1] == two[1] for one, two in itertools.pairwise(found))
    most = max(Counter(chapters).values(), default=0)
    assert meetings == max(0, 2 * most - len(chapters) - 1)
    for name in set(chapters):
        mine = [each for each in found if each[1] == name]
        assert mine == sorted(mine), "what is most likely forgotten still comes first"
