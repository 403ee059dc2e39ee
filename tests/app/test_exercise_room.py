"""The page of an exercise: runs and their verdicts, hints, drafts, attempts, the solution, consent."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.conftest import BASE
from app.small_book import WordEmbedder
from app.stand_in import LOOSE, StandIn
from handbook.app.web import create_app, judging
from handbook.app.web.rooms import exercise as room
from handbook.app.web.shelf import Shelf
from handbook.chat import ScriptedChat
from handbook.settings import Settings

PAGE = "/exercise/adding"
RIGHT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return abs(a + b)\n"
Token = Callable[[], str]


@pytest.fixture
def post(client: TestClient, token: Token) -> Callable[..., str]:
    """Send a form and follow where it leads; the page's HTML."""

    def sending(path: str, **form: str) -> str:
        answer = client.post(path, data={**form, "token": token()})
        if answer.status_code == 303:
            answer = client.get(answer.headers["location"])
        return answer.text

    return sending


Post = Callable[..., str]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for: of a run that does not end there is nothing to wait for."""
    monkeypatch.setattr(room, "AT_ONCE", 0.0)


def part(html: str, id: str) -> str:
    """A part of the page, by its id, up to the next one."""
    start = html.index(f'id="{id}"')
    following = [at for each in PARTS if each != id and (at := html.find(f'id="{each}"', start)) > 0]
    return html[start : min(following, default=len(html))]


def text(html: str) -> str:
    """Without its tags."""
    return unescape(re.sub(r"<[^>]+>", "", html))


PARTS = ("standing", "hints", "tests", "input", "tried", "solution", "attempts", "isolation-said")


def test_a_wrong_run_says_expected_and_got_and_a_right_one_shows_the_solution(
    client: TestClient, post: Post, judges: StandIn
) -> None:
    html = client.get(PAGE).text
    assert "Not run yet." in html
    assert "return a + b" not in html
    assert judges.warmed == 1
    half = post(PAGE, code=WRONG, kind="all")
    assert "1 of 2 tests passed" in half
    assert re.search(r"value</th><td><pre>-3</pre></td><td><pre>3</pre>", half)
    assert "return abs(a + b)" in half
    assert "It opens, with a commentary, when every test passes." in half
    whole = post(PAGE, code=RIGHT, kind="all")
    assert "2 of 2 tests passed.</strong> Solved." in whole
    assert "Do it again" in part(whole, "solution")
    assert "due in 2 days" in part(whole, "standing")  # after a run that failed
    assert "solved" in client.get("/progress").text


def test_the_visible_tests_alone_solve_nothing(client: TestClient, post: Post) -> None:
    html = post(PAGE, code=WRONG, kind="visible")
    assert "1 of 1 visible tests passed.</strong> The hidden ones did not run." in html
    assert "Give up" in html
    assert "Tried, not solved yet." in html


def test_a_script_gets_parts_and_asks_for_news(
    client: TestClient, token: Token, judges: StandIn, at_once: None
) -> None:
    headers = {"hx-request": "true", "x-handbook-token": token()}
    fragment = client.post(PAGE, data={"code": "# slow\n" + RIGHT}, headers=headers)
    assert "<html" not in fragment.text
    assert fragment.headers["x-handbook-token"]
    wait_for(lambda: judges.running == 1)
    run = re.search(r'data-run="([^"]+)"', fragment.text)[1]  # type: ignore[index]
    now = client.get(f"{PAGE}/run/{run}").text
    assert "Running 2 tests." in now
    mark = re.search(r'data-mark="(\d+)"', now)[1]  # type: ignore[index]
    begin = time.monotonic()
    same = client.get(f"{PAGE}/run/{run}?mark={mark}").text
    assert time.monotonic() - begin > 0.7
    assert 'data-state="running"' in same
    assert 'name="token" value=""' in same, "a page that asks again and again takes no tokens"
    headers = {"hx-request": "true", "x-handbook-token": token()}
    stopped = client.post(f"{PAGE}/stop", data={"run": run}, headers=headers).text
    assert "Stopped after" in stopped
    assert "Every run is kept here" in stopped  # this one is not
    assert client.get(f"{PAGE}/run/{run}").status_code == 200
    assert client.get(f"/exercise/nope/run/{run}").status_code == 404
    assert client.get(f"{PAGE}/run/other").status_code == 404


def test_without_scripts_a_running_page_asks_again_by_itself(
    client: TestClient, post: Post, at_once: None
) -> None:
    html = post(PAGE, code="# slow\n" + RIGHT)
    assert '<noscript><meta http-equiv="refresh" content="1; url=/exercise/adding?run=' in html
    run = re.search(r'name="run" value="([^"]+)"', html)
    assert run
    assert "Stopped after" in post(f"{PAGE}/stop", run=run[1])


def test_pages_are_served_while_something_runs_without_end(
    client: TestClient, post: Post, judges: StandIn, at_once: None
) -> None:
    post(PAGE, code="# slow\n" + RIGHT)
    wait_for(lambda: judges.running == 1)
    for path in ("/exercises", PAGE, "/token"):
        assert client.get(path).status_code == 200
    assert judges.running == 1, "and none of them has waited for its end"


def test_a_run_that_the_handbook_did_not_outlive_is_said(client: TestClient) -> None:
    assert "The handbook stopped while that ran" in client.get(f"{PAGE}?run=from-before").text


def test_a_later_run_of_an_exercise_takes_the_place_of_the_earlier(
    client: TestClient, post: Post, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = post(PAGE, code="# slow\n" + RIGHT)
    monkeypatch.setattr(room, "AT_ONCE", 60.0)
    run = re.search(r'name="run" value="([^"]+)"', slow)
    assert run
    assert "2 of 2 tests passed" in post(PAGE, code=RIGHT)
    wait_for(lambda: "Stopped after" in client.get(f"{PAGE}/run/{run[1]}").text)


def test_what_the_judge_cannot_do_is_said_and_nothing_is_lost(client: TestClient, post: Post) -> None:
    html = post(PAGE, code="# bug\n" + RIGHT)
    assert "The judge made a mistake (RuntimeError: no sandbox). That is a bug." in html
    assert "# bug" in client.get(PAGE).text
    assert "Every run is kept here" in html


def test_incidents_growth_and_isolation_are_said_plainly(post: Post) -> None:
    html = post(PAGE, code="# net\n# n squared\n" + RIGHT)
    assert "It tried to open a connection." in html
    assert "looks like n squared" in html
    assert "which does not hold" in html
    assert re.search(r'<svg [^>]*viewBox="0 0 520 300"', html)
    assert "2 of 2 tests passed.</strong> Not solved yet: its time grows faster" in html
    assert "Give up" in html
    assert "<li>timing</li>" in part(html, "isolation-said")
    assert "Held by a process of its own, forked from a warm worker, with namespaces, seccomp." in html
    assert "12.0 ms, of it CPU 8.0 ms, memory 1.0 MiB" in html


def test_code_that_cannot_be_loaded_is_said_once(post: Post) -> None:
    html = post(PAGE, code="def add(a, b:\n")
    assert part(html, "tests").count("The submission cannot be loaded. Line 1:") == 1
    assert "None of 2 tests ran." in html
    assert "0 of 2 tests passed" not in part(html, "tests")


def test_code_beyond_the_limit_is_refused(client: TestClient, token: Token) -> None:
    answer = client.post(PAGE, data={"code": "x" * 100_001, "token": token()})
    assert answer.status_code == 400
    assert "at most 100000 characters" in answer.text


def test_hints_open_one_by_one_and_count(client: TestClient, post: Post) -> None:
    html = client.get(PAGE).text
    assert "Look at the arguments." not in html
    assert "Open hint 1 of 3" in html
    assert "Look at the arguments." in post(f"{PAGE}/hint", number="1")
    third = post(f"{PAGE}/hint", number="3")  # not before the second
    assert "Hint 2 of 3" in third
    assert "Hint 3 of 3" not in third
    assert "Open hint 3 of 3" in third
    solved = post(PAGE, code=RIGHT)
    assert "due tomorrow" in part(solved, "standing")  # with hints it comes sooner
    assert "2 hints" in part(solved, "attempts")


@pytest.mark.parametrize("number", ["0", "4", "-1", "x", "", "\u0663"])
def test_there_is_no_other_hint(client: TestClient, token: Token, number: str) -> None:
    assert client.post(f"{PAGE}/hint", data={"number": number, "token": token()}).status_code == 400


def test_giving_up_shows_the_solution_and_brings_the_exercise_back(client: TestClient, post: Post) -> None:
    html = post(f"{PAGE}/give-up")
    assert "return a + b" in text(part(html, "solution"))
    assert "You gave up on it for now. It comes again: due tomorrow." in html
    assert "gave up" in client.get("/exercises").text
    solved = post(PAGE, code=RIGHT)  # with the solution in view: done, but it comes as it was to come
    assert "Solved. It comes again: due tomorrow." in part(solved, "standing").replace("\n", " ")


def test_doing_it_again_closes_all_and_keeps_what_was_written(client: TestClient, post: Post) -> None:
    post(PAGE, code=RIGHT)
    html = post(f"{PAGE}/again", code=RIGHT + "# typed since\n")
    assert "raise NotImplementedError" in html
    assert "Give up" in html
    assert "Open hint 1 of 3" in html
    assert "solved" in client.get("/progress").text
    assert "# typed since" in post(f"{PAGE}/undo")


def test_solving_it_twice_a_day_is_one_repetition(post: Post, app: FastAPI) -> None:
    from handbook.database.practice import Practice

    shelf: Shelf = app.state.shelf
    assert "due in 8 days" in post(PAGE, code=RIGHT)
    card = Practice(shelf.database).states()["adding"]["card"]
    post(f"{PAGE}/again")
    assert "Solved." in post(PAGE, code=RIGHT)
    assert Practice(shelf.database).states()["adding"]["card"] == card


def test_what_is_due_says_so(client: TestClient, app: FastAPI, post: Post) -> None:
    from handbook.app.web.practising import now
    from handbook.database.practice import Practice

    post(PAGE, code=RIGHT)
    assert "Nothing is due now." in client.get("/exercises?state=due").text
    shelf: Shelf = app.state.shelf
    Practice(shelf.database).change_state("adding", due=now())
    assert "This is due again." in client.get(PAGE).text
    assert "1 due now" in client.get("/exercises").text
    assert "Adding" in client.get("/exercises?state=due").text
    assert "Due again" in client.get("/").text


def test_a_draft_is_kept_by_its_page(client: TestClient, app: FastAPI, token: Token) -> None:
    headers = {"x-handbook-token": token(), "accept": "application/json"}
    saved = client.post(f"{PAGE}/draft", data={"code": "half an", "base": ""}, headers=headers)
    version = saved.json()["version"]
    html = client.get(PAGE).text
    assert "half an</textarea>" in html
    assert f'data-version="{version}"' in html
    headers["x-handbook-token"] = saved.headers["x-handbook-token"]
    client.post(f"{PAGE}/draft", data={"code": "half an idea", "base": version}, headers=headers)
    assert 'data-before=""' in client.get(PAGE).text
    beacon = client.post(f"{PAGE}/draft?token={token()}", data={"code": "gone", "base": "nonsense"})
    assert beacon.status_code == 200
    assert 'data-before="half an idea"' in client.get(PAGE).text


def test_an_hour_of_typing_leaves_the_tokens_of_other_tabs(client: TestClient, token: Token) -> None:
    other, spare = token(), token()
    for number in range(1100):
        headers = {"x-handbook-token": spare, "accept": "application/json"}
        saved = client.post(f"{PAGE}/draft", data={"code": str(number % 2)}, headers=headers)
        spare = saved.headers["x-handbook-token"]
    assert client.post(PAGE, data={"code": RIGHT, "token": other}).status_code == 303


def test_starting_over_can_be_undone(client: TestClient, post: Post) -> None:
    html = post(f"{PAGE}/over", code="half an idea")
    assert "raise NotImplementedError" in html
    assert "Bring back the text before" in html
    assert "half an idea</textarea>" in post(
        f"{PAGE}/undo", code="def add(a, b):\n    raise NotImplementedError\n"
    )


def test_attempts_are_listed_compared_and_restored(client: TestClient, post: Post) -> None:
    assert "Nothing was run yet." in client.get(f"{PAGE}/attempts").text
    post(PAGE, code=WRONG)
    post(PAGE, code=RIGHT)
    html = client.get(f"{PAGE}/attempts").text
    assert "From attempt 1 to attempt 2" in html
    assert re.search(r'diff-gone"><td>2</td><td></td><td>.</td><td><code>    return abs\(a \+ b\)', html)
    assert re.search(r'diff-new"><td></td><td>2</td><td>\+</td><td><code>    return a \+ b', html)
    ids = re.findall(r'name="old" value="(\d+)"', html)
    assert len(ids) == 2
    same = client.get(f"{PAGE}/attempts?old={ids[0]}&new={ids[0]}").text
    assert "No line differs." in same
    assert "not there any more" in client.get(f"{PAGE}/attempts?old=77&new={ids[0]}").text
    first = client.get(f"{PAGE}/attempts/{ids[1]}").text
    assert "1 of 2 tests passed" in first
    assert "return abs(a + b)" in text(first)
    back = post(f"{PAGE}/attempts/{ids[1]}")
    assert "return abs(a + b)\n</textarea>" in back
    assert "Bring back the text before" in back
    assert "return a + b\n</textarea>" in post(f"{PAGE}/undo")
    assert client.get(f"{PAGE}/attempts/77").status_code == 404
    assert client.get(f"{PAGE}/attempts/x").status_code == 422


def test_an_attempt_from_before_the_judge_is_shown(client: TestClient, app: FastAPI) -> None:
    from handbook.database.practice import Practice

    shelf: Shelf = app.state.shelf
    old = {"name": "test_small", "passed": False, "message": "expected 7, got 8", "seconds": 0.1}
    id = Practice(shelf.database).save_attempt("adding", "x", [{**old, "hidden": False}], solved=False)
    html = client.get(f"{PAGE}/attempts/{id}").text
    assert "0 of 1 tests passed" in html
    assert "expected 7, got 8" in html


def test_an_attempt_that_cannot_be_read_is_said(client: TestClient, app: FastAPI) -> None:
    from handbook.database.practice import Practice

    shelf: Shelf = app.state.shelf
    report = {"schema": "handbook.judge/1", "other": 1}
    id = Practice(shelf.database).save_attempt("adding", "x", [{"passed": True}], solved=False, report=report)
    assert "What was kept beside that can" in client.get(f"{PAGE}/attempts/{id}").text


def test_an_input_of_ones_own_stands_beside_the_books(client: TestClient, post: Post) -> None:
    html = post(f"{PAGE}/input", code=WRONG, snippet="add(1, -4)")
    tried = part(html, "tried")
    assert re.search(r"Yours</dt><dd><pre tabindex=\"0\">3</pre>", tried)
    assert re.search(r"The book.s solution</dt><dd><pre tabindex=\"0\">-3</pre>", tried)
    assert "add(1, -4)</textarea>" in html
    assert "Every run is kept here" in html
    assert "NameError" in post(f"{PAGE}/input", code=WRONG, snippet="nope")
    assert "at most 10000 characters" in post(f"{PAGE}/input", code=WRONG, snippet="1" * 10_001)


def test_without_kernel_isolation_nothing_runs_before_consent(settings: Settings) -> None:
    judges = StandIn(LOOSE)
    app = create_app(
        settings, chat=ScriptedChat(["x"]), embedder=WordEmbedder(), judges=judges, background=False
    )
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:

        def send(**form: str) -> Any:
            return client.post(PAGE, data={"code": RIGHT, "token": client.get("/token").text, **form})

        assert "this is not contained: the network; timing." in client.get(PAGE).text
        refused = send()
        assert refused.status_code == 400
        assert "you have not agreed to that yet" in refused.text
        assert judges.most == 0
        assert "return a + b" in client.get(PAGE).text, "what was typed is kept"
        agreed = send(consent="yes")
        assert agreed.status_code == 303
        assert "HttpOnly" in agreed.headers["set-cookie"]
        assert 'name="consent"' not in client.get(PAGE).text
        assert send().status_code == 303
    assert judges.closed


def test_with_isolation_nobody_is_asked(client: TestClient) -> None:
    assert 'name="consent"' not in client.get(PAGE).text


def test_without_a_database_an_exercise_still_runs(settings: Settings, judges: StandIn) -> None:
    broken = settings.model_copy(update={"database_url": "sqlite:////proc/nowhere/x.db"})
    app = create_app(
        broken, chat=ScriptedChat(["x"]), embedder=WordEmbedder(), judges=judges, background=False
    )
    with TestClient(app, base_url=BASE, follow_redirects=True) as client:
        html = client.post(PAGE, data={"code": RIGHT, "token": client.get("/token").text}).text
        assert "2 of 2 tests passed" in html
        assert "is not kept for now" in html
        hint = client.post(f"{PAGE}/hint", data={"number": "1", "token": client.get("/token").text})
        assert hint.status_code == 503
        assert client.get("/exercises").status_code == 200


# The queue


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_no_more_run_at_once_than_there_are_threads(app: FastAPI, judges: StandIn) -> None:
    shelf: Shelf = app.state.shelf
    exercise = shelf.book.exercises["adding"]
    runs = judging.Runs(judges, threads=2)
    begun = [runs.begin(replace(exercise, name=f"e{n}"), "# slow\n", "all") for n in range(5)]
    wait_for(lambda: judges.running == 2)
    assert [runs.place(each) for each in begun] == [0, 0, 0, 1, 2]
    runs.stop(begun[2])
    assert begun[2].state == "stopped"
    assert runs.place(begun[4]) == 1
    runs.stop(begun[0])
    wait_for(lambda: begun[3].state == "running")
    runs.close()
    wait_for(lambda: all(each.over for each in begun))
    assert judges.most == 2
    with pytest.raises(judging.HandbookError, match="closing"):
        runs.begin(exercise, "", "all")


def test_a_queue_that_is_full_says_so(app: FastAPI, judges: StandIn) -> None:
    exercise = app.state.shelf.book.exercises["adding"]
    runs = judging.Runs(judges, threads=1)
    first = runs.begin(exercise, "# slow\n", "all")
    wait_for(lambda: first.state == "running")
    for number in range(judging.WAITING):
        runs.begin(replace(exercise, name=f"e{number}"), "", "all")
    with pytest.raises(judging.HandbookError, match="wait already"):
        runs.begin(replace(exercise, name="one more"), "", "all")
    runs.close()


def test_the_ends_of_only_so_many_runs_are_remembered(app: FastAPI, judges: StandIn) -> None:
    exercise = app.state.shelf.book.exercises["adding"]
    runs = judging.Runs(judges, threads=1)
    first = runs.begin(exercise, RIGHT, "all")
    wait_for(lambda: first.over)
    for _ in range(judging.KEPT):
        last = runs.begin(exercise, RIGHT, "all")
        wait_for(lambda last=last: last.over)  # type: ignore[misc]
    assert runs.get(first.id) is None
    assert runs.get(last.id) is last
    runs.close()
