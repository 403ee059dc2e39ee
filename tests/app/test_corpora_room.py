"""The rooms of one's own documents: added, followed, asked, looked through, updated, taken back, deleted."""

import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from app.conftest import BASE
from app.small_book import WordEmbedder, write
from handbook.app.web import create_app
from handbook.app.web.shelf import Shelf
from handbook.chat import ScriptedChat
from handbook.settings import Settings

ASKED = "Which water does green tea want, and of how many degrees?"
TEA = "# Tea\n\n## Green\n\nGreen tea wants water of seventy degrees. It steeps for two minutes.\n"
CELLAR = "The cellar of the house is cold. Wine is kept in it, and cheese, and in winter the apples too.\n"


class Room:
    """The app, as a person without scripts uses it."""

    def __init__(self, client: TestClient, folder: Path) -> None:
        self.client, self.folder = client, folder

    @property
    def shelf(self) -> Shelf:
        shelf: Shelf = self.client.app.state.shelf  # type: ignore[attr-defined]
        return shelf

    def post(self, where: str, files: object = None, **form: str) -> str:
        """Send a form and return where it leads."""
        token = self.client.get("/token").text
        answer = self.client.post(where, data={**form, "token": token}, files=files)  # type: ignore[arg-type]
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def refused(self, where: str, files: object = None, **form: str) -> str:
        token = self.client.get("/token").text
        answer = self.client.post(where, data={**form, "token": token}, files=files)  # type: ignore[arg-type]
        assert answer.status_code == 400
        return text_of(answer.text)

    def read(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, path
        return answer.text

    def wait(self, name: str) -> str:
        """Until an ingestion has ended; the last answer to the page's question."""
        end = time.monotonic() + 180
        while time.monotonic() < end:
            answer = self.client.get(f"/corpora/{name}/progress")
            if "hx-get" not in answer.text:
                assert answer.headers["hx-trigger"] == "ingested"
                return text_of(answer.text)
            time.sleep(0.05)
        raise AssertionError("it did not end")


def text_of(html: str) -> str:
    main = html[html.index("<main") : html.index("</main>")] if "<main" in html else html
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))).strip()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """An app with a corpus of a folder: two documents, and one that can't be read."""
    path = tmp_path_factory.mktemp("corpora")
    folder = path / "My Notes"
    (folder / "house").mkdir(parents=True)
    (folder / "tea.md").write_text(TEA)
    (folder / "house" / "cellar.txt").write_text(CELLAR)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\nno more of it")
    settings = Settings(data=path / "data", book=write(path / "book"))
    chat = ScriptedChat(["Green tea wants water of seventy degrees [1]. It grows on the moon [1]."] * 5)
    app = create_app(settings, chat=chat, embedder=WordEmbedder(), background=False)
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        room = Room(client, folder)
        assert "Your first corpus" in text_of(room.read("/corpora"))
        assert "<select" not in room.read("/ask")
        assert room.post("/corpora", path=str(folder)) == "/corpora/my-notes"
        assert room.wait("my-notes").startswith("Done")
        yield room


def test_the_corpus_says_what_it_holds_and_what_was_lost(room: Room) -> None:
    text = text_of(room.read("/corpora/my-notes"))
    assert "My Notes" in text
    assert "Documents 3" in text
    assert "1 document could not be read" in text
    assert re.search(r"broken\.pdf Not read\. The PDF is broken", text)
    assert "house/cellar.txt" in text
    lost = text_of(room.read("/corpora/my-notes?show=report"))
    assert "broken.pdf" in lost
    assert "cellar.txt" not in lost
    there = text_of(room.read("/corpora"))
    assert re.search(r"My Notes Ask it : My Notes 3 documents, 2 passages, 1 that could not be read", there)


def test_a_question_is_answered_from_the_corpus_and_the_corpus_remembered(room: Room) -> None:
    room.client.cookies.delete("handbook_corpus")
    where = room.post("/ask", question=ASKED, corpus="my-notes")
    html = room.read(where)
    assert "seventy degrees" in text_of(html)
    cited = re.search(r'class="cite-link" href="(/corpora/my-notes/passage/[^"]+)"', html)
    assert cited
    assert '<option value="my-notes" selected>' in room.read("/book/basics/bread")
    passage = room.read(cited[1])
    assert '<mark id="passage">' in passage
    assert "Green tea wants water" in passage.partition('<mark id="passage">')[2]
    assert str(room.folder / "tea.md") in passage
    assert room.client.get(f"{cited[1]}/source").content == TEA.encode()
    assert "attachment" in room.client.get(f"{cited[1]}/source").headers["content-disposition"]
    assert "in My Notes" in text_of(room.read("/ask"))


def test_what_the_corpus_does_not_answer_is_refused_in_its_name(room: Room) -> None:
    text = text_of(room.read("/ask?q=Who+won+the+football+championship+of+1974%3F&corpus=my-notes"))
    assert "My Notes does not answer this" in text
    assert "Generate with" not in text


def test_wherever_it_is_answered_the_answer_says_where(room: Room) -> None:
    assert "From My Notes" in text_of(room.read(room.post("/ask", question=ASKED, corpus="auto")))


def test_each_step_is_shown_with_its_code(room: Room) -> None:
    html = room.read(room.post("/ask", question=ASKED, corpus="my-notes"))
    text = text_of(html)
    for stage in ("Understand: spelling", "Retrieve", "Fuse", "Pack", "Synthesize"):
        assert re.search(rf"{stage} (under 0\.1|\d+\.\d) (ms|s)", text), stage
    for address in sorted(set(re.findall(r'href="(/code/[^"]+)"', html))):
        assert room.client.get(address).status_code == 200, address
    by_words = html[html.index("By words") :]
    assert re.search(r'<li value="1"><a href="/corpora/my-notes/passage/[^"]+">', by_words)


def test_a_generated_answer_is_of_the_same_corpus(room: Room) -> None:
    html = room.client.post(
        "/ask/generate",
        data={"question": ASKED, "corpus": "my-notes", "token": room.client.get("/token").text},
    ).text
    assert html.count("not supported by the passages") == 1
    assert "1 of 2 sentences supported" in html


def test_a_follow_up_carries_what_was_asked_before(room: Room) -> None:
    html = room.read(room.post("/ask", question=ASKED, corpus="my-notes"))
    before = re.search(r'name="after" value="([^"]+)"', html)
    assert before
    follow_up = {"question": "How long does it steep?", "corpus": "my-notes", "after": "What is green tea?"}
    then = room.post("/ask", **follow_up, follow="1")
    assert parse_qs(urlsplit(then).query)["after"] == ["What is green tea?"]
    assert "after" not in parse_qs(urlsplit(room.post("/ask", **follow_up)).query)
    rewrite = re.search(r"Understand: rewrite.*?Produced(.*?)Its code", text_of(room.read(then)))
    assert rewrite
    assert "green tea" in rewrite[1].lower()


def test_what_helped_and_what_was_opened_is_kept_and_shown(room: Room) -> None:
    where = room.post("/ask", question=ASKED, corpus="my-notes")
    html = room.read(where)
    ping = re.search(r'class="cite-link"[^>]* ping="([^"]+)"', html)
    assert ping
    address = ping[1].replace("&amp;", "&")
    told = room.client.post(address, content=b"PING", headers={"content-type": "text/ping"})
    assert told.status_code == 204
    assert room.client.post(address, content=b"PING").status_code == 409, "once"
    form = dict(
        re.findall(r'name="(question|corpus|back|ask)" value="([^"]*)"', html.partition('id="feedback"')[2])
    )
    form = {name: unescape(value) for name, value in form.items()}
    back = room.post("/signals", kind="not_helped", **form)
    assert "Noted: it did not answer this." in text_of(room.read(back))
    text = text_of(room.read("/corpora/my-notes"))
    assert re.search(r"Did not 1 Citations opened 1", text)
    assert re.search(r"Opened most .*Tea, Green", text)
    rows = room.shelf.database.signals("my-notes")
    assert {row["kind"] for row in rows} == {"cited", "not_helped"}
    assert all(row["question"] == ASKED and row["ask"] for row in rows)


@pytest.mark.parametrize(
    "form", [{"kind": "loved", "question": "x"}, {"kind": "helped"}, {"question": "x"}, {}]
)
def test_a_signal_that_says_nothing_is_refused(room: Room, form: dict[str, str]) -> None:
    assert "Expected a question and one of" in room.refused("/signals", **form)


def test_a_signal_leads_to_the_ask_page_only(room: Room) -> None:
    for back in ("https://evil.example/", "//evil.example", "/about/delete"):
        assert room.post("/signals", kind="helped", question="x", back=back).startswith("/ask?")


def test_files_that_are_sent_become_documents_and_can_be_taken_out(room: Room) -> None:
    sent = [("files", ("../../garden.md", b"# Garden\n\nTomatoes are watered every second evening."))]
    assert room.post("/corpora/my-notes/add", files=sent) == "/corpora/my-notes"
    assert "1 new" in room.wait("my-notes")
    kept = room.shelf.corpora.uploads("my-notes") / "garden.md"
    assert kept.is_file()
    text = text_of(room.read("/corpora/my-notes"))
    assert "Files that you sent" in text
    assert "garden.md" in text
    room.post("/corpora/my-notes/remove", source=str(kept))
    assert "garden.md" not in text_of(room.read("/corpora/my-notes"))
    assert not kept.exists()


def test_an_update_reads_only_what_changed_and_can_be_taken_back(room: Room) -> None:
    room.post("/corpora/my-notes/update")
    assert "new" not in room.wait("my-notes")
    before = next(version.number for version in room.shelf.corpora.versions("my-notes") if version.live)
    (room.folder / "wine.txt").write_text("Riesling is a white wine of the Moselle and of the Rhine.\n")
    room.post("/corpora/my-notes/update")
    assert "1 new" in room.wait("my-notes")
    assert "wine.txt" in text_of(room.read("/corpora/my-notes"))
    where = room.post("/corpora/my-notes/rollback", version=str(before))
    text = text_of(room.read(where))
    assert "wine.txt" not in text
    assert "The corpus is what it was then" in text
    assert "Expected a version" in room.refused("/corpora/my-notes/rollback", version="x")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "Expected a folder, files or the address of a page"),
        ({"path": "notes"}, "Expected a whole path"),
        ({"path": "/no/such/folder"}, "/no/such/folder"),
        ({"path": "~no-such-person/notes"}, "can't be read"),
        ({"url": "ftp://example.org/x"}, "Begin it with https://"),
        ({"url": "https://[x"}, "is no URL"),
        ({"url": "https://anna:secret@example.org/"}, "a name or a password"),
    ],
)
def test_what_can_t_be_added_says_why_and_leaves_no_corpus(
    room: Room, form: dict[str, str], said: str
) -> None:
    assert said in room.refused("/corpora", title="Empty", **form)
    assert room.client.get("/corpora/empty").status_code == 404
    assert said in room.refused("/corpora/my-notes/add", **form)


def test_a_file_that_is_no_document_is_refused_before_any_is_kept(room: Room) -> None:
    sent = [("files", ("a.md", b"# A")), ("files", ("b.exe", b"MZ"))]
    assert "b.exe can't be read as documents" in room.refused("/corpora/my-notes/add", files=sent)
    assert not (room.shelf.corpora.uploads("my-notes") / "a.md").exists()


def test_what_is_not_there_is_not_found(room: Room) -> None:
    for path in ("/corpora/nobody", "/corpora/my-notes/passage/none", "/corpora/nobody/passage/none"):
        assert room.client.get(path).status_code == 404, path
    token = room.client.get("/token").text
    assert room.client.post("/corpora/my-notes/explode", data={"token": token}).status_code == 404
    assert "There is no corpus" in room.refused("/ask", question="x", corpus="nobody")


def test_a_document_s_text_is_shown_as_text(room: Room) -> None:
    (room.folder / "script.md").write_text(
        "# <img src=x>\n\nThe cook says <script>alert(1)</script> & more.\n"
    )
    room.post("/corpora/my-notes/update")
    room.wait("my-notes")
    html = room.read("/ask?q=What+does+the+cook+say%3F&corpus=my-notes")
    for each in (html, room.read("/corpora/my-notes")):
        assert "<script>alert" not in each
        assert "<img src=x" not in each


def test_sources_that_disagree_are_shown_side_by_side(room: Room) -> None:
    ovens = room.folder.parent / "ovens"
    ovens.mkdir()
    for name, degrees in (("manual", 240), ("notes", 210)):
        said = f"The deck oven is heated to {degrees} degrees before the first batch of bread.\n"
        (ovens / f"{name}.md").write_text(f"# {name}\n\n{said}")
    room.post("/corpora", path=str(ovens), title="Ovens!")
    room.wait("ovens")
    asked = "To how many degrees is the deck oven heated before the first batch of bread?"
    text = text_of(room.read(room.post("/ask", question=asked, corpus="ovens")))
    shown = re.search(r"Your sources disagree (.*?) Passages", text)
    assert shown
    assert "The deck oven is heated to 240 degrees" in shown[1]
    assert "The deck oven is heated to 210 degrees" in shown[1]
    room.post("/corpora/ovens/delete", confirm="ovens")


def test_documents_that_were_sent_with_a_spent_token_have_to_be_chosen_again(room: Room) -> None:
    token = room.client.get("/token").text
    room.client.post("/corpora/my-notes/title", data={"title": "My Notes", "token": token})
    sent = [("files", ("late.md", b"# Late"))]
    answer = room.client.post("/corpora/my-notes/add", data={"token": token}, files=sent)
    assert answer.status_code == 409
    assert "choose the files again" in answer.text
    assert "Try again</button>" not in answer.text
    assert not (room.shelf.corpora.uploads("my-notes") / "late.md").exists()


def test_a_corpus_gets_another_title(room: Room) -> None:
    room.post("/corpora/my-notes/title", title="Kitchen & cellar")
    assert "Kitchen & cellar" in text_of(room.read("/corpora"))


def test_deleting_wants_the_name_and_takes_only_the_corpus(room: Room) -> None:
    assert "Nothing was deleted" in room.refused("/corpora/my-notes/delete", confirm="my notes")
    uploads = room.shelf.corpora.uploads("my-notes")
    assert room.post("/corpora/my-notes/delete", confirm="my-notes") == "/corpora?done=deleted"
    assert room.client.get("/corpora/my-notes").status_code == 404
    assert "Your first corpus" in text_of(room.read("/corpora"))
    assert (room.folder / "tea.md").is_file()
    assert not uploads.exists()
    asked = room.read("/ask")
    assert '<option value="my-notes"' not in asked
    assert re.search(r"in my-notes, which is gone", text_of(asked))
    assert "corpus=my-notes" not in asked
