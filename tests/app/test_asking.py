"""Ask and Engine: cited answers, refusals, streams, and what happens when a model isn't there."""

import json
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from app.small_book import WordEmbedder
from handbook.app.web import create_app
from handbook.app.web.prepare import JOB, wanted
from handbook.chat import ScriptedChat
from handbook.errors import ChatError, ModelUnavailable
from handbook.settings import Settings

Token = Callable[[], str]
ASKED = "Why does kneading build gluten, a network of proteins that holds gas?"
STREAM = {"accept": "text/event-stream"}


def events(text: str) -> Iterator[tuple[str, dict[str, object]]]:
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def stream(client: TestClient, url: str, token: str, **form: str) -> list[tuple[str, dict[str, object]]]:
    answer = client.post(url, data=form, headers={**STREAM, "x-handbook-token": token})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    return list(events(answer.text))


def test_a_question_is_kept_and_answered_with_links_to_paragraphs(client: TestClient, token: Token) -> None:
    kept = client.post("/ask", data={"question": ASKED, "token": token()})
    assert kept.status_code == 303
    html = client.get(kept.headers["location"]).text
    assert 'class="cite-link" href="/book/basics/bread#gluten"' in html
    assert "Under the hood" in html
    assert " ms" in html
    assert "Generate with scripted" in html
    assert ASKED in client.get("/").text


def test_looking_at_an_answer_keeps_nothing(client: TestClient) -> None:
    assert client.get("/ask", params={"q": ASKED}).status_code == 200
    assert ASKED not in client.get("/progress").text


def test_what_the_book_does_not_answer_is_refused_with_the_nearest(client: TestClient) -> None:
    html = client.get("/ask", params={"q": "Who won the football championship of 1974?"}).text
    assert "The book does not answer this" in html
    assert "Generate with" not in html
    assert "/book/basics/bread#" in html


def test_generated_sentences_come_with_their_verdict(client: TestClient, token: Token) -> None:
    found = stream(client, "/ask/generate", token(), question=ASKED)
    verdicts = [data["supported"] for name, data in found if name == "sentence"]
    assert verdicts == [True, False]
    assert any(name == "token" for name, _ in found)
    name, data = found[-1]
    assert name == "done"
    assert str(data["note"]).startswith("1 of 2 sentences supported")


def test_generating_works_without_scripts(client: TestClient, token: Token) -> None:
    html = client.post("/ask/generate", data={"question": ASKED, "token": token()}).text
    assert html.count("not supported by the passages") == 1
    assert "1 of 2 sentences supported" in html


def test_generating_after_a_refusal_says_why_not(client: TestClient, token: Token) -> None:
    ((name, data),) = stream(client, "/ask/generate", token(), question="Who won the cup in 1974?")
    assert name == "error"
    assert "does not answer" in str(data["what"])


def test_chat_streams_pieces_then_its_speed(client: TestClient, token: Token, chat: ScriptedChat) -> None:
    history = json.dumps([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}])
    found = stream(client, "/engine/chat", token(), message="And?", history=history)
    assert [name for name, _ in found][-1] == "done"
    assert "".join(str(data["text"]) for name, data in found if name == "token") == chat.replies[0]
    assert "tokens" in str(found[-1][1]["note"])
    asked = [(message.role, message.content) for message in chat.asked[0][0]]
    assert asked == [("user", "Hello"), ("assistant", "Hi"), ("user", "And?")]


def test_chat_works_without_scripts_and_carries_the_conversation(
    client: TestClient, token: Token, chat: ScriptedChat
) -> None:
    first = client.post("/engine/chat", data={"message": "One <b>", "token": token()})
    assert "Kneading builds gluten, a network of proteins that holds gas [1]." in first.text
    assert "One &lt;b&gt;" in first.text
    assert "&#34;role&#34;: &#34;assistant&#34;" in first.text


@pytest.mark.parametrize(
    "form",
    [
        {"message": ""},
        {"message": "x", "temperature": "3"},
        {"message": "x", "temperature": "warm"},
        {"message": "x", "max_tokens": "0"},
        {"message": "x", "history": "["},
        {"message": "x", "history": '[{"role": "system", "content": "x"}]'},
    ],
)
def test_chat_refuses_what_it_cannot_do(client: TestClient, token: Token, form: dict[str, str]) -> None:
    answer = client.post("/engine/chat", data=form, headers={**STREAM, "x-handbook-token": token()})
    assert answer.status_code == 400
    assert answer.json()["remedy"]


def test_a_model_that_fails_is_an_event_with_the_remedy(settings: Settings) -> None:
    broken = ScriptedChat([ChatError("The server hung up.", "Start it again.")])
    app = create_app(settings, chat=broken, embedder=WordEmbedder(), background=False)
    with TestClient(app, base_url="http://127.0.0.1:8017") as client:
        ((name, data),) = stream(client, "/engine/chat", client.get("/token").text, message="Hello")
    assert (name, data["what"], data["remedy"]) == ("error", "The server hung up.", "Start it again.")


class Absent(WordEmbedder):
    def embed(self, texts: object) -> object:  # type: ignore[override]
        raise ModelUnavailable("The model is not here.", "Bring it.")


def test_without_the_embedder_asking_says_so_and_full_text_still_finds(settings: Settings) -> None:
    app = create_app(settings, chat=ScriptedChat([]), embedder=Absent(), background=False)  # type: ignore[arg-type]
    with TestClient(app, base_url="http://127.0.0.1:8017") as client:
        html = client.get("/ask", params={"q": "gluten network"}).text
        found = client.get("/search.json", params={"q": "gluten network"}).json()["results"]
    assert "The model is not here. Bring it." in html
    assert "/book/basics/bread#gluten" in html
    assert found[0]["url"] == "/book/basics/bread#gluten"


def test_background_work_shows_how_far_it_is_and_what_stopped_it(client: TestClient) -> None:
    import threading

    jobs = client.app.state.shelf.jobs  # type: ignore[attr-defined]
    go = threading.Event()

    def work(progress: Callable[[int, int, str], None]) -> None:
        progress(30, 60, "bringing a model")
        go.wait(120)
        raise ModelUnavailable("No network.", "Connect, then try again.")

    job = jobs.start(JOB, "Getting ready", work)
    assert jobs.start(JOB, "Getting ready", work) is job
    while not job.note:
        go.wait(0.01)
    assert "bringing a model, 50%" in client.get("/").text
    assert "made ready for questions" in client.get("/ask", params={"q": "gluten"}).text
    go.set()
    while job.state == "running":
        go.wait(0.01)
        threading.Event().wait(0.01)
    assert "No network." in client.get("/").text
    assert "Connect, then try again." in client.get("/about").text


def test_only_models_that_the_settings_ask_for_are_brought(settings: Settings) -> None:
    def names(**changes: object) -> list[str]:
        app = create_app(settings.model_copy(update=changes), background=False)
        return wanted(app.state.shelf)

    assert names() == ["all-minilm-l6-v2", "smollm2-135m-instruct"]
    assert names(chat_url="http://127.0.0.1:1/v1") == ["all-minilm-l6-v2"]
    assert names(model="/some/file.gguf") == ["all-minilm-l6-v2"]
