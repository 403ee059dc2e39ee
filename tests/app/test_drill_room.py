"""The drill room: nothing given away, a grade that can be corrected, an answer that counts once and can be
taken back, what is put aside, and a handbook that stops in the middle."""

import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.conftest import BASE
from app.grader_stand_in import Post, StandInGrader, opened, poster
from handbook.app.web import drilling
from handbook.app.web.shelf import Shelf
from handbook.practice.cards import Deck
from handbook.settings import Settings

PAGE = "/drill/why-knead"
OTHER = "/drill/bake-design"
GOOD = "Proteins link into a network <b>that</b> holds gas; it takes long."
HIDDEN = ("Says that proteins form", "which holds gas", "only warms", "without kneading?", "builds <strong>")


@pytest.fixture
def graders() -> StandInGrader:
    return StandInGrader()


@pytest.fixture
def app(settings: Settings, graders: StandInGrader) -> FastAPI:
    return opened(settings, graders)


@pytest.fixture
def post(client: TestClient) -> Post:
    return poster(client)


@pytest.fixture
def deck(app: FastAPI, client: TestClient) -> Deck:
    shelf: Shelf = app.state.shelf
    return shelf.deck


@pytest.fixture(autouse=True)
def let_go(graders: StandInGrader) -> Iterator[None]:
    yield
    graders.go.set()
    graders.loads.set()


def text(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html)))


def field(html: str, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]*)"', html)
    assert found, name
    return found[1]


def row(html: str, criterion: str) -> str:
    found = re.search(rf'data-criterion="{criterion}".*?</li>', html, re.DOTALL)
    assert found, criterion
    return found[0]


def checked(html: str, name: str) -> str | None:
    found = re.search(f'name="{name}" value="([^"]*)" checked', html)
    return found[1] if found else None


def form_of(html: str) -> dict[str, str]:
    """What the form of a grade would send."""
    form = {name: field(html, name) for name in ("grading", "proposed", "only")}
    form["answer"] = unescape(
        re.search(r"<textarea name=\"answer\" hidden>\n(.*?)</textarea>", html, re.S)[1]
    )  # type: ignore[index]
    for name in re.findall(r'type="radio" name="([^"]+)"', html):
        if (value := checked(html, name)) is not None:
            form[name] = value
    return form


def test_nothing_of_the_rubric_is_on_the_page_before_the_answer(client: TestClient, post: Post) -> None:
    before = client.get(PAGE).text
    assert "Why is dough kneaded?" in before
    for words in HIDDEN:
        assert words not in before
    assert "#gluten" not in before, "the paragraph that answers it"
    after = post(PAGE, answer=GOOD)
    for words in HIDDEN[:1] + HIDDEN[3:]:
        assert words in after
    assert "only warms" not in after, "a mistake that this answer does not make"


def test_a_grade_says_what_is_met_where_and_what_is_missing(post: Post) -> None:
    html = post(PAGE, answer="Proteins, and it only warms.", seconds="12")
    assert "1 of 4 criteria met, 2 of 5 by weight." in html
    met, missed = row(html, "network"), row(html, "gas")
    assert "Met. The grader is sure. Proteins" in text(met)
    assert 'value="yes" checked' in met
    assert "Not met. The grader is fairly sure. No sentence says it." in text(missed)
    assert '<mark class="quoted-met" data-quotes="1">Proteins</mark><sup>1</sup>' in html
    assert '<mark class="quoted-wrong" data-quotes="">warms</mark>' in html
    assert "It builds a network." in html, "the mistake, named and corrected"
    assert "Kneading builds gluten, a network of proteins that holds gas" in html, "the paragraph"
    assert 'href="/book/basics/bread#gluten"' in html
    assert "And without kneading?" in html


def test_what_is_typed_is_text_and_no_markup(post: Post) -> None:
    html = post(PAGE, answer="<script>alert(1)</script> Proteins </textarea><b>")
    html += post(PAGE, answer="A whole <script>alert(2)</script> warms </textarea><b>")
    assert 'class="quoted-wrong"' in html
    assert "<script>alert" not in html
    assert "</textarea><b>" not in html


def test_a_correction_moves_the_rating_and_is_kept(post: Post, deck: Deck) -> None:
    html = post(PAGE, answer="It holds gas.", seconds="70")
    assert checked(html, "rating") == "again", "a must-have is missing"
    assert "a must-have is missing" in html
    form = form_of(html) | {"decide-network": "yes", "decide-time": "yes", "decide-rest": "yes"}
    html = post(f"{PAGE}/decide", **form)
    assert "You say that it is met. The grader said not met." in text(row(html, "network"))
    assert checked(html, "rating") == "easy"
    html = post(f"{PAGE}/confirm", **form_of(html))
    assert "Counted as easy; it comes again" in html
    (review,) = deck.reviews()
    assert review["rating"] == "easy"
    assert review["seconds"] == 70
    assert review["decided"] == {"network": "yes", "time": "yes", "rest": "yes"}
    assert {each["criterion"] for each in deck.rows.corrections()} == {"network", "time", "rest"}
    assert "bake-design" in html, "the next question"


def test_another_rating_is_the_persons_own(post: Post, deck: Deck) -> None:
    form = form_of(post(PAGE, answer=GOOD))
    assert form["proposed"] != "hard"
    post(f"{PAGE}/confirm", **form | {"rating": "hard"})
    assert deck.reviews()[0]["rating"] == "hard"
    assert deck.reviews()[0]["decided"] == {}


def test_without_scripts_a_changed_verdict_carries_the_rating_with_it(post: Post, deck: Deck) -> None:
    form = form_of(post(PAGE, answer="It holds gas."))
    post(f"{PAGE}/confirm", **form | {"decide-network": "yes"})  # the rating stands where the page had put it
    assert deck.reviews()[0]["rating"] == "hard"


def test_an_answer_counts_once_however_often_it_is_sent(post: Post, deck: Deck) -> None:
    form = form_of(post(PAGE, answer=GOOD))
    for _ in range(3):
        post(f"{PAGE}/confirm", **form)
    assert len(deck.reviews()) == 1


def test_a_page_of_an_answer_that_was_taken_back_counts_it_again(post: Post, deck: Deck) -> None:
    form = form_of(post(PAGE, answer=GOOD))
    review = field(post(f"{PAGE}/confirm", **form), "review")
    post("/drill/undo", review=review)
    assert deck.reviews() == []
    post(f"{PAGE}/confirm", **form)
    assert len(deck.reviews()) == 1


def test_deciding_a_thousand_times_spends_no_other_tabs_tokens(client: TestClient, post: Post) -> None:
    form = form_of(post(PAGE, answer=GOOD))
    other_tab, token = client.get("/token").text, client.get("/token").text
    sessions = client.app.state.tokens._sessions  # type: ignore[attr-defined]
    before = max(map(len, sessions.values()))
    for _ in range(5):
        headers = {"hx-request": "true", "x-handbook-token": token}
        token = client.post(f"{PAGE}/decide", data=form, headers=headers).headers["x-handbook-token"]
    assert max(map(len, sessions.values())) == before
    assert client.post(f"{PAGE}/bury", data={"token": other_tab}).status_code == 303


def test_i_do_not_know_shows_it_all_and_comes_again(post: Post, deck: Deck) -> None:
    html = post(PAGE, answer=" ", unknown="1")
    assert "You gave none." in html
    assert "grader is sure" not in html  # it had nothing to judge
    assert "Judged by" not in html
    assert "builds <strong>gluten</strong>" in html
    html = post(f"{PAGE}/confirm", **form_of(html))
    assert "Counted as again" in html
    assert deck.state("why-knead").due is not None


def test_no_answer_is_not_sent(post: Post) -> None:
    assert "There is no answer yet." in post(PAGE, answer="  ")


def test_what_is_open_waits_for_the_person_and_counts_as_not_met(post: Post, deck: Deck) -> None:
    html = post(PAGE, answer="Proteins hold gas, maybe.")
    assert "1 waits for you" in html
    assert "You decide." in row(html, "rest")
    assert checked(row(html, "rest"), "decide-rest") is None
    assert "what is open counts as not met" in html
    post(f"{PAGE}/confirm", **form_of(html) | {"decide-rest": "yes"})
    assert [each["proposed"] for each in deck.rows.corrections()] == ["unclear"]


def test_the_last_answer_is_taken_back_with_what_was_decided(
    client: TestClient, post: Post, deck: Deck
) -> None:
    before = deck.state("why-knead")
    form = form_of(post(PAGE, answer="It holds gas.")) | {"decide-network": "yes"}
    html = post(f"{PAGE}/confirm", **form)
    review = field(html, "review")
    html = post("/drill/undo", review=review)
    assert deck.state("why-knead") == before
    assert "You say that it is met." in row(html, "network")
    assert "It holds gas." in client.get(PAGE).text, "it is a draft again"
    html = post(f"{PAGE}/confirm", **form_of(html))
    assert [each["rating"] for each in deck.reviews()] == ["hard"]
    assert "is taken back already" in post("/drill/undo", review=review)
    assert len(deck.reviews()) == 1


def test_a_session_ends_with_what_came_of_it(client: TestClient, post: Post) -> None:
    assert "2 new questions come today" in text(client.get("/drill").text)
    post(f"{PAGE}/confirm", **form_of(post(PAGE, answer=GOOD)))
    html = post(f"{OTHER}/confirm", **form_of(post(OTHER, answer="", unknown="1")))
    assert "once more" in html, "it failed, so it comes again today"
    html = post(f"{OTHER}/confirm", **form_of(post(OTHER, answer="Close it, water, heat, opens")))
    assert "That is all for today" in html
    assert "3 answers in 1 minute of typing: 1 again" in text(html)
    assert "Missed today" in html


def test_a_chapter_alone(client: TestClient, post: Post) -> None:
    assert "bake-design" in client.get("/drill?only=bread").text
    assert "Nothing is due in this chapter" in text(client.get("/drill?only=tea").text)
    assert "2 new questions" in text(client.get("/drill?only=nowhere").text)
    html = post(f"{PAGE}/confirm", **form_of(post(PAGE, answer=GOOD, only="bread")))
    assert field(html, "only") == "bread"


def test_with_a_plan_the_new_questions_are_those_of_its_day(app: FastAPI, client: TestClient) -> None:
    study = app.state.shelf.study
    assert drilling.of_plan(study) is None
    study.start(date=None, hours=7.0)
    planned = drilling.of_plan(study)
    assert planned is not None
    at = drilling.now()
    deck = app.state.shelf.deck
    asked = drilling.sitting(deck, "", (), at, planned).asked
    assert tuple(each.question.id for each in asked) == planned
    html = client.get("/drill").text
    assert [id for id in ("why-knead", "bake-design") if f'href="/drill/{id}"' in html] == sorted(
        planned, key="why-knead bake-design".index
    )
    both = ("bake-design", "why-knead", "gone")
    order = [each.question.id for each in drilling.sitting(deck, "", (), at, both).asked]
    assert order == ["bake-design", "why-knead"]
    deck.suspend("bake-design")
    assert [each.question.id for each in drilling.sitting(deck, "", (), at, both).asked] == ["why-knead"]
    alone = drilling.sitting(deck, "bread", (), at, ())
    assert [each.question.id for each in alone.asked] == ["why-knead"], "a chapter that was asked for"


def test_put_aside_and_taken_back(client: TestClient, post: Post, deck: Deck) -> None:
    html = post(f"{PAGE}/later", answer="half a thought")
    assert "It comes at the end." in html
    assert "Design an oven" in html
    assert client.get("/drill/next").headers["location"].startswith(OTHER)
    assert "half a thought" in post(f"{PAGE}/back", how="later")
    assert client.get("/drill/next").headers["location"].startswith(PAGE)
    assert "Not today." in post(f"{PAGE}/bury")
    assert [each.id for each in deck.new()] == ["bake-design"]
    post(f"{PAGE}/back", how="bury")
    assert "It is not asked any more." in post(f"{PAGE}/suspend")
    assert "Laid aside" in client.get("/drill").text
    post(f"{PAGE}/back", how="suspend", list="1")
    assert {each.id for each in deck.new()} == {"why-knead", "bake-design"}


def test_the_only_question_put_off_comes_again_at_once(client: TestClient, post: Post) -> None:
    post(f"{OTHER}/suspend")
    assert "Why is dough kneaded?" in post(f"{PAGE}/later")


def test_a_leech_is_sent_to_its_paragraph(client: TestClient, post: Post, deck: Deck) -> None:
    post(f"{PAGE}/confirm", **form_of(post(PAGE, answer="", unknown="1")))
    deck.rows.change_card("why-knead", lapses=4, leech=True)
    html = client.get(PAGE).text
    assert "You have lost this one 4 times." in html
    assert 'href="/book/basics/bread#gluten"' in html
    assert "Lost again and again" in client.get("/drill").text


def test_a_slow_grade_says_that_it_works_and_can_be_stopped(
    client: TestClient, post: Post, graders: StandInGrader
) -> None:
    html = post(PAGE, answer="slow proteins")
    assert "Grading against 4 criteria." in html
    assert '<noscript><meta http-equiv="refresh" content="1; url=/drill/why-knead?grading=' in html
    for words in HIDDEN:
        assert words not in html
    key, mark = re.search(r'data-grading="([^"]+)" data-mark="(\d+)"', html).groups()  # type: ignore[union-attr]
    begin = time.monotonic()
    same = client.get(f"{PAGE}/grading/{key}?mark={mark}").text
    assert time.monotonic() - begin > 0.7
    assert 'data-state="grading"' in same
    assert 'name="token" value=""' in same, "a page that asks again and again takes no tokens"
    html = post(f"{PAGE}/stop", grading=key)
    assert "4 wait for you" in html
    assert client.get(f"{OTHER}/grading/{key}").status_code == 404
    quick = post(OTHER, answer="water")
    assert "1 of 4 criteria met" in quick, "a grader that hangs holds no other answer up"
    graders.go.set()


def test_a_grader_that_is_loading_says_so(client: TestClient, post: Post, graders: StandInGrader) -> None:
    graders.loads.clear()
    html = post(PAGE, answer=GOOD)
    assert "Loading the grader" in html
    key = re.search(r'data-grading="([^"]+)"', html)
    graders.loads.set()
    assert key
    end = time.monotonic() + 60
    while 'data-state="done"' not in (html := client.get(f"{PAGE}/grading/{key[1]}").text):
        assert time.monotonic() < end
    assert "3 of 4 criteria met" in html


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("broken proteins", "The grader's model is not here. Bring it."),
        ("faulty proteins", "The grader made a mistake (RuntimeError: no such thing). That is a bug."),
    ],
)
def test_where_no_grader_can_the_person_judges(post: Post, answer: str, words: str, deck: Deck) -> None:
    html = post(PAGE, answer=answer)
    assert words in text(html)
    assert "0 of 4 criteria met, 0 of 5 by weight. 4 wait for you." in text(html)
    everything = {f"decide-{id}": "yes" for id in ("network", "gas", "time", "rest")}
    html = post(f"{PAGE}/decide", **form_of(html) | everything)
    assert checked(html, "rating") == "easy"
    post(f"{PAGE}/confirm", **form_of(html))
    assert len(deck.rows.corrections()) == 4


def test_a_draft_is_kept_and_a_second_windows_text_can_be_brought_back(
    client: TestClient, post: Post
) -> None:
    def keep(answer: str, base: str = "") -> str:
        data = {"answer": answer, "base": base, "seconds": "5"}
        headers = {"accept": "application/json", "x-handbook-token": client.get("/token").text}
        version: str = client.post(f"{PAGE}/draft", data=data, headers=headers).json()["version"]
        return version

    first = keep("one")
    assert keep("one and more", first) != first
    assert 'data-before=""' in client.get(PAGE).text
    keep("from another window", first)
    html = client.get(PAGE).text
    assert ">\nfrom another window</textarea>" in html
    assert 'data-before="one and more"' in html
    html = post(f"{PAGE}/before", answer="from another window")
    assert ">\none and more</textarea>" in html
    assert 'data-before="from another window"' in html
    post(f"{PAGE}/confirm", **form_of(post(PAGE, answer=GOOD)))
    assert ">\n</textarea>" in client.get(PAGE).text


def test_what_another_window_typed_outlives_an_answer(client: TestClient, post: Post, deck: Deck) -> None:
    deck.save_draft("why-knead", "drill", "An hour of typing, in the second window.")
    html = post(PAGE, answer=GOOD)
    assert deck.rows.draft("why-knead", "drill-before")["text"] == "An hour of typing, in the second window."
    deck.save_draft("why-knead", "drill", "Typed in the second window since.")
    post(f"{PAGE}/confirm", **form_of(html))
    page = client.get(PAGE).text
    assert ">\nTyped in the second window since.</textarea>" in page
    assert 'data-before="An hour of typing, in the second window."' in page


def test_an_answer_typed_on_from_its_own_draft_leaves_nothing(
    client: TestClient, post: Post, deck: Deck
) -> None:
    deck.save_draft("why-knead", "drill", "Proteins lnk into a network that holds")
    html = post(PAGE, answer="Proteins link into a network that holds gas.")
    assert deck.rows.draft("why-knead", "drill-before") is None
    post(f"{PAGE}/confirm", **form_of(html))
    assert deck.draft("why-knead") is None
    assert 'data-before=""' in client.get(PAGE).text


@pytest.mark.parametrize(
    ("before", "text", "same"),
    [
        ("", "", True),
        ("abc", "", False),
        ("abcdefghij", "abcdefghij and on", True),
        ("abcdefghij", "abcXefghij", True),
        ("abcdefghij", "abcdefgh", True),
        ("aaaa", "aa", False),
        ("one text", "quite another", False),
    ],
)
def test_a_text_typed_on(before: str, text: str, same: bool) -> None:
    assert drilling.typed_on(before, text) is same


def test_a_handbook_that_was_started_anew_counts_nothing_unseen(
    settings: Settings, graders: StandInGrader, post: Post, deck: Deck
) -> None:
    form = form_of(post(PAGE, answer="It holds gas.")) | {"decide-network": "yes"}
    with TestClient(opened(settings, graders), base_url=BASE, follow_redirects=False) as client:
        again = poster(client)
        html = client.get(f"{PAGE}?grading={form['grading']}").text
        assert "The handbook was started anew while that was graded." in html
        assert "It holds gas.</textarea>" in html
        html = again(f"{PAGE}/confirm", **form)
        assert deck.reviews() == []
        assert "You say that it is met." in row(html, "network")
        again(f"{PAGE}/confirm", **form_of(html))
    assert [each["decided"] for each in deck.reviews()] == [{"network": "yes"}]


def test_decisions_of_other_criteria_and_other_words_are_no_decisions(post: Post, deck: Deck) -> None:
    html = post(PAGE, answer=GOOD)
    form = form_of(html) | {"decide-nope": "yes", "decide-gas": "perhaps", "rating": "brilliant"}
    post(f"{PAGE}/confirm", **form)
    assert deck.reviews()[0]["decided"] == {}
    assert deck.reviews()[0]["rating"] in ("good", "easy")


def test_an_answer_beyond_all_measure_is_refused_and_one_of_50000_is_not(post: Post) -> None:
    assert "Expected an answer of at most 60,000 characters" in post(PAGE, answer="x" * 60_001)
    assert "by weight" in post(PAGE, answer="Proteins. " * 5_000)


def test_questions_that_there_are_not(client: TestClient, post: Post) -> None:
    assert client.get("/drill/nope").status_code == 404
    assert client.get(f"{PAGE}/grading/nope").status_code == 404
    token = client.get("/token").text
    assert client.post("/drill/nope", data={"answer": "x", "token": token}).status_code == 404
    assert client.post("/drill/undo", data={"token": client.get("/token").text}).status_code == 400


def test_without_a_database_an_answer_is_graded_and_nothing_is_claimed(
    settings: Settings, graders: StandInGrader, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    broken = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/file/handbook.db"})
    with TestClient(opened(broken, graders), base_url=BASE, follow_redirects=False) as client:
        post = poster(client)
        assert client.get("/drill").status_code == 200
        html = post(PAGE, answer=GOOD)
        assert "3 of 4 criteria met" in html
        answer: Any = client.post(
            f"{PAGE}/confirm", data=form_of(html) | {"token": client.get("/token").text}
        )
        assert answer.status_code == 503
        assert "Counted" not in answer.text
