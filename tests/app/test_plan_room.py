"""Today, the plan, the diagnostic and progress: made, changed, taken back; answered, corrected, resumed."""

import datetime as dt
import json
import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.conftest import BASE
from app.grader_stand_in import Post, StandInGrader, opened, poster
from handbook.app.web.shelf import Shelf
from handbook.practice.study import Study
from handbook.settings import Settings

HIDDEN = ("Says that proteins form", "which holds gas", "only warms", "without kneading?", "Closes the vent.")
GOOD = "Proteins link into a <b>network</b> that holds gas."  # two of four criteria, three of five by weight
DAYS = {f"day-{n}": "1" for n in range(7)}


@pytest.fixture
def graders() -> StandInGrader:
    return StandInGrader()


@pytest.fixture
def app(settings: Settings, graders: StandInGrader) -> FastAPI:
    return opened(settings, graders)


@pytest.fixture
def study(app: FastAPI, client: TestClient) -> Study:
    shelf: Shelf = app.state.shelf
    return shelf.study


@pytest.fixture(autouse=True)
def let_go(graders: StandInGrader) -> Iterator[None]:
    yield
    graders.go.set()


@pytest.fixture
def post(client: TestClient) -> Post:
    return poster(client)


def text(html: str) -> str:
    main = html[html.index("<main") : html.index("</main>")]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main)))


def days(number: int) -> str:
    return (dt.date.today() + dt.timedelta(days=number)).isoformat()


def form(**changed: str) -> dict[str, str]:
    return {"date": days(30), "hours": "6", "level": "senior", "role": "platform", **DAYS, **changed}


# Today and the plan


def test_before_a_plan_today_reads_on_and_offers_the_diagnostic_and_the_plan(client: TestClient) -> None:
    html = client.get("/").text
    assert "Read the first chapter" in html
    assert 'href="/diagnostic"' in html
    assert 'href="/plan"' in html
    assert "The session" not in html


def test_one_form_makes_a_plan_and_today_deals_its_session(
    client: TestClient, post: Post, study: Study
) -> None:
    page = text(post("/plan", **form()))
    assert "Your plan stands." in page
    assert "30 days to the interview" in page
    assert "Take the diagnostic" in page
    plan = study.plan()
    assert plan is not None
    assert (plan.level, plan.role, plan.track, plan.hours) == ("senior", "platform", "breakfast", 6.0)
    html = client.get("/").text
    assert 'href="/book/basics/bread#kneading" data-start' in html
    assert "Bread: Kneading" in text(html)


def test_what_is_done_is_marked_by_itself_or_by_the_reader_who_can_unmark_it(
    client: TestClient, post: Post, study: Study
) -> None:
    post("/plan", **form())
    today = study.today()
    assert today is not None
    first, other = today.session.items[0], today.session.items[1]
    assert first.id == "bread#kneading"
    html = post("/today/mark", key=other.key, done="1")
    assert f"done, undo: {other.title}" in html
    assert f"1 of {len(today.session.items)} done" in text(html)
    html = post("/today/mark", key=other.key, done="0")
    assert f"mark done: {other.title}" in html
    post("/today/mark", key="read:no#such", done="1")
    assert study.today().done == frozenset()  # type: ignore[union-attr]
    body = {"chapter": "basics/bread", "section": "kneading", "token": client.get("/token").text}
    assert client.post("/reading", data=body).status_code < 400
    assert study.today().done == {first.key}  # type: ignore[union-attr]
    assert f"mark done: {first.title}" not in client.get("/").text


def test_bad_answers_are_all_named_beside_what_was_typed_and_nothing_is_made(
    post: Post, study: Study
) -> None:
    html = post("/plan", 400, **form(date=days(-3), hours="600", level="wizard"))
    page = text(html)
    assert "is in the past" in page
    assert "hours a week: expected 0 to 80, got 600" in page
    assert "level: expected one of" in page
    assert 'value="600"' in html
    assert f'value="{days(-3)}"' in html
    for wrong in ({"hours": "many"}, {"date": "soon"}, {"hours": "nan"}, {"hours": ""}):
        assert 'role="alert"' in post("/plan", 400, **form(**wrong))
    none = {name: value for name, value in form().items() if not name.startswith("day-")}
    assert "one weekday or more" in text(post("/plan", 400, **none))
    assert study.plan() is None


def test_the_plan_is_moved_spread_changed_and_taken_back(
    client: TestClient, post: Post, study: Study
) -> None:
    post("/plan", **form(date="", hours="2,5"))
    assert study.plan().hours == 2.5  # type: ignore[union-attr]
    page = text(post("/plan/date", date=days(10)))
    assert "10 days to the interview" in page
    assert "days with time are left" in page
    assert 'role="alert"' in post("/plan/date", 400, date=days(-1))
    page = text(post("/plan/away", first=days(1), last=days(2)))
    assert page.count("away") >= 2
    assert study.plan().minutes_on(dt.date.today() + dt.timedelta(days=1)) == 0  # type: ignore[union-attr]
    assert 'role="alert"' in post("/plan/away", 400, first="")
    page = text(post("/plan", **form(date=days(10), hours="1", track="breakfast")))
    assert "1 hour a week" in page
    page = text(post("/plan/undo"))
    assert "Taken back: changed " in page
    assert study.plan().hours == 2.5  # type: ignore[union-attr]
    for _ in range(3):
        page = text(post("/plan/undo"))
    assert "Make the plan" in page
    assert study.plan() is None
    assert "There is nothing to take back." in text(post("/plan/undo"))


def test_what_does_not_fit_is_named(client: TestClient, post: Post) -> None:
    page = text(post("/plan", **form(date=days(1), hours="0.1")))
    assert "Left out" in page
    assert "Adding exercise, 5 min" in page
    page = text(post("/plan", **form(hours="0")))
    assert "The plan has no time in it" in page
    assert "Your plan has no time today." in text(client.get("/").text)


def test_a_plan_goes_out_and_comes_in_elsewhere(
    client: TestClient, post: Post, study: Study, settings: Settings, graders: StandInGrader
) -> None:
    post("/plan", **form())
    answer = client.get("/plan/export")
    assert "attachment" in answer.headers["content-disposition"]
    values = answer.json()
    other = opened(Settings(data=settings.data / "other", book=settings.book), graders)
    with TestClient(other, base_url=BASE, follow_redirects=False) as there:
        send = poster(there)
        assert "Imported." in text(send("/plan/import", file=json.dumps(values)))
        shelf: Shelf = other.state.shelf
        assert shelf.study.plan() == study.plan()
        for bad in ("", "{", "[" * 100_000, "[]", '{"format": "else"}', json.dumps({**values, "version": 9})):
            assert 'role="alert"' in send("/plan/import", 400, file=bad)
        bent = json.dumps({**values, "plan": {**values["plan"], "hours": 1e9}})
        assert "Expected a plan of the handbook" in send("/plan/import", 400, file=bent)
        assert shelf.study.plan() == study.plan()
        send("/plan/undo")
        assert shelf.study.plan() is None


def test_a_hostile_plan_shows_as_text(client: TestClient, post: Post, study: Study) -> None:
    post("/plan", **form())
    values = study.export()
    values["plan"]["solid"] = ["<script>alert(1)</script>"]
    post("/plan/import", file=json.dumps(values))
    for path in ("/", "/plan", "/progress"):
        assert "<script>alert" not in client.get(path).text


# The diagnostic


def asked(html: str) -> str:
    found = re.search(r'name="question" value="([a-z-]+)"', html)
    assert found, text(html)
    return found[1]


@pytest.fixture
def first(post: Post) -> str:
    """The question that a diagnostic begins with."""
    return asked(post("/diagnostic/begin", level="senior"))


def test_nothing_of_a_rubric_is_there_before_its_answer(client: TestClient, first: str) -> None:
    html = client.get("/diagnostic").text
    assert "About 20 of 20 minutes are left." in html
    for each in HIDDEN:
        assert each not in html


def test_answers_are_graded_corrected_taken_back_and_say_where_sections_stand(
    client: TestClient, post: Post, study: Study, first: str
) -> None:
    post("/plan", **form())
    assert first == "why-knead"
    html = post("/diagnostic/answer", question=first, answer=GOOD, seconds="70", counted="1")
    assert asked(html) == "bake-design"
    assert "2 of 4 criteria met." in text(html)
    assert "Proteins" in html
    assert "About 19 of 20 minutes are left." in html
    assert "Closes the vent." not in html
    html = post("/diagnostic/correct", question=first, **{"decide-time": "yes", "decide-network": "yes"})
    assert "3 of 4 criteria met." in text(html)
    review = study.deck.reviews()[0]
    assert (review["kind"], review["decided"], review["seconds"]) == ("diagnostic", {"time": "yes"}, 70)
    html = post("/diagnostic/undo")
    assert asked(html) == first
    assert GOOD in unescape(html)
    assert study.deck.reviews() == []
    post("/diagnostic/answer", question=first, answer=GOOD, seconds="70", counted="1")
    html = post("/diagnostic/answer", question="bake-design", how="dont-know", seconds="9", counted="1")
    assert "That was the last question" in text(html)
    html = post("/diagnostic/end")
    page = text(html)
    assert "2 questions answered, in 1 minute, for the level senior" in page
    assert "2 of 4 criteria met" in page
    assert "not known" in page
    assert study.history()[0]["why"] == "took in the diagnostic"
    assert client.get("/diagnostic/result").status_code == 200
    assert "You took one on" in client.get("/diagnostic").text


def test_an_answer_to_another_question_changes_nothing(post: Post, study: Study, first: str) -> None:
    html = post("/diagnostic/answer", question="bake-design", answer="Closes it", seconds="9", counted="1")
    assert asked(html) == first
    assert study.diagnosing.open().diagnostic.answers == []  # type: ignore[union-attr]
    assert "There is no such page." in post("/diagnostic/answer", 404, question="no-such", answer="x")
    assert "There is no answer yet." in post("/diagnostic/answer", 400, question=first, answer=" ")


def test_what_is_left_out_says_nothing_and_a_pause_keeps_the_text(
    client: TestClient, post: Post, study: Study, first: str
) -> None:
    html = post("/diagnostic/answer", question=first, answer="half a", seconds="30", counted="1", how="pause")
    assert "Your diagnostic is paused before the first answer" in text(html)
    html = client.get("/diagnostic").text
    assert "half a" in html
    assert 'name="seconds" value="30"' in html
    html = post("/diagnostic/answer", question=first, how="skipped", seconds="30", counted="1")
    assert "Left out: it says nothing." in text(html)
    post("/diagnostic/end")
    result = study.diagnosing.last()
    assert result is not None
    assert result.answers[0].score is None
    assert study.deck.reviews() == []


def test_what_another_window_typed_in_the_diagnostic_is_kept(post: Post, study: Study, first: str) -> None:
    study.deck.save_draft(first, "diagnostic", "An hour of typing, in the second window.")
    post("/diagnostic/answer", question=first, answer=GOOD, seconds="70", counted="1")
    kept = study.deck.rows.draft(first, "diagnostic-before")
    assert kept is not None
    assert kept["text"] == "An hour of typing, in the second window."


def test_what_was_typed_before_a_question_was_left_out_is_kept(post: Post, study: Study, first: str) -> None:
    post(
        "/diagnostic/answer", question=first, answer="half a thought", seconds="9", counted="1", how="skipped"
    )
    assert "half a thought" in post("/diagnostic/undo")


@pytest.mark.timeout(60)
def test_no_time_in_a_year_long_gone_is_a_slip(client: TestClient, post: Post, study: Study) -> None:
    post("/plan", **form())
    assert "0206-11-23" in post("/plan/away", 400, first="0206-11-23", last="0206-11-24")


def test_ended_before_an_answer_it_has_not_begun(post: Post, study: Study, first: str) -> None:
    assert "The level that the role asks for" in text(post("/diagnostic/end"))
    assert study.rows.last_diagnostic() is None


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    assert true()


def test_a_slow_grade_is_shown_and_taken_in_though_nobody_waits(
    client: TestClient, post: Post, study: Study, first: str, graders: StandInGrader
) -> None:
    html = post("/diagnostic/answer", question=first, answer="slow proteins", seconds="9", counted="1")
    assert "Your answer is being graded." in html
    key = re.search(r'data-grading="([^"]+)"', html)[1]  # type: ignore[index]
    found = client.get(f"/diagnostic/state?grading={key}").json()
    assert (found["state"], found["said"]) == ("waiting", "Grading against 4 criteria.")
    graders.go.set()
    until(lambda: len(study.diagnosing.open().diagnostic.answers) == 1)  # type: ignore[union-attr]
    until(lambda: client.get(f"/diagnostic/state?grading={key}").json()["state"] == "taken")
    assert asked(client.get(f"/diagnostic?grading={key}").text) == "bake-design"


@pytest.mark.parametrize("by", ["rating", "criteria"])
def test_what_nobody_grades_is_rated_beside_a_model_answer(
    post: Post, study: Study, first: str, by: str
) -> None:
    html = post("/diagnostic/answer", question=first, answer="broken proteins", seconds="9", counted="1")
    page = text(html)
    assert "The grader's model is not here." in page
    assert "A model answer" in page
    key = re.search(r'name="grading" value="([^"]+)"', html)[1]  # type: ignore[index]
    assert "Nothing was decided." in post("/diagnostic/rate", 400, question=first, grading=key)
    given = {"rating": "good"} if by == "rating" else {"decide-network": "yes", "decide-gas": "no"}
    html = post("/diagnostic/rate", question=first, grading=key, **given)
    assert asked(html) == "bake-design"
    answer = study.diagnosing.open().diagnostic.answers[0]  # type: ignore[union-attr]
    assert answer.how == ("self" if by == "rating" else "graded")
    assert study.deck.reviews()[0]["answer"] == "broken proteins"


def test_a_slow_grade_is_stopped_and_rated(
    client: TestClient, post: Post, study: Study, first: str, graders: StandInGrader
) -> None:
    html = post("/diagnostic/answer", question=first, answer="slow proteins", seconds="9", counted="1")
    key = re.search(r'data-grading="([^"]+)"', html)[1]  # type: ignore[index]
    html = post("/diagnostic/stop", grading=key)
    assert "How much of it was in yours?" in html
    post("/diagnostic/rate", question=first, grading=key, rating="hard")
    graders.go.set()
    time.sleep(0.1)
    assert [each.how for each in study.diagnosing.open().diagnostic.answers] == ["self"]  # type: ignore[union-attr]


def test_a_handbook_that_stops_while_it_grades_asks_again_with_the_answer_in_place(
    settings: Settings, client: TestClient, post: Post, first: str, graders: StandInGrader
) -> None:
    post("/diagnostic/answer", question=first, answer="slow & sure", seconds="44", counted="1")
    with TestClient(opened(settings, StandInGrader()), base_url=BASE, follow_redirects=False) as again:
        html = again.get("/diagnostic?grading=gone").text
        assert asked(html) == first
        assert "slow &amp; sure" in html
        assert 'name="seconds" value="44"' in html
        # the page from before still has the answer: rated, it counts
        html = poster(again)("/diagnostic/rate", question=first, grading="gone", rating="good", answer="slow")
        assert asked(html) == "bake-design"


def test_drafts_are_kept_and_a_second_window_loses_nothing(
    client: TestClient, study: Study, first: str
) -> None:
    def send(words: str, base: str = "") -> str:
        body = {"question": first, "answer": words, "seconds": "5", "counted": "1", "base": base}
        answer = client.post("/diagnostic/draft", data={**body, "token": client.get("/token").text})
        assert answer.status_code == 200
        version: str = answer.json()["version"]
        return version

    version = send("one")
    send("one, more", version)
    assert "Bring back the text before" not in client.get("/diagnostic").text
    send("from another window", "")
    html = client.get("/diagnostic").text
    assert "from another window" in html
    assert 'data-before="one, more"' in html
    body = {"question": first, "answer": "from another window", "token": client.get("/token").text}
    client.post("/diagnostic/before", data=body)
    assert study.deck.draft(first, "diagnostic").text == "one, more"  # type: ignore[union-attr]
    long = client.post(
        "/diagnostic/draft",
        data={"question": first, "answer": "x" * 60_001, "token": client.get("/token").text},
    )
    assert long.status_code == 400


def test_without_scripts_the_time_since_the_page_was_made_counts(
    post: Post, study: Study, first: str
) -> None:
    shown = (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=90)).isoformat()
    post("/diagnostic/answer", question=first, answer=GOOD, seconds="10", shown=shown)
    assert 100 <= study.diagnosing.open().diagnostic.answers[0].seconds <= 190  # type: ignore[union-attr]


# Progress


def test_progress_says_nothing_before_there_is_something_to_say(client: TestClient) -> None:
    page = text(client.get("/progress").text)
    assert "Nothing is known yet: no question was answered." in page
    assert "No question has come a second time yet" in page
    assert "You have corrected no grade" in page


def test_progress_has_intervals_with_their_evidence_and_no_bare_percentage(
    client: TestClient, post: Post, study: Study, first: str
) -> None:
    post("/diagnostic/answer", question=first, answer=GOOD, seconds="70", counted="1")
    post("/diagnostic/correct", question=first, **{"decide-time": "yes"})
    html = client.get("/progress").text
    page = text(html)
    row = study.readiness()[0]
    assert row.low is not None
    assert f"{row.low:.2f} to {row.high:.2f}" in page
    assert row.evidence[0] in page
    assert "1 verdict of yours" in page
    assert "It said not met, you said met." in page
    assert re.findall(r"\d+ ?%", page) == ["80 %"]  # of what the line holds
    assert html.count("<svg") == html.count("</svg>") >= 3
