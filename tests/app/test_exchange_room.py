"""The room of export and import: what can be downloaded, what an upload led to, and taking it back."""

import io
import json
import zipfile
from collections.abc import Callable
from html import unescape

import pytest
from fastapi.testclient import TestClient

from handbook.app.web.security import LONG_BODY_LIMIT, limit_of
from handbook.app.web.shelf import Shelf
from handbook.practice.exchange import KINDS
from handbook.practice.exchange.limits import FILE

Token = Callable[[], str]
HOSTILE = '<img src=x onerror=alert(1)>"\x1b[2J.json'


@pytest.fixture
def shelf(client: TestClient) -> Shelf:
    shelf: Shelf = client.app.state.shelf  # type: ignore[attr-defined]
    shelf.deck.answered("why-knead", "=Gluten <b>", rating="good", seconds=30)
    return shelf


@pytest.fixture
def send(client: TestClient, token: Token) -> Callable[..., tuple[int, str]]:
    """Upload a file; the status of the answer and the page that it led to."""

    def sending(data: bytes, name: str = "f.json") -> tuple[int, str]:
        files = {"files": (name, data)} if name else None
        answer = client.post("/export/import", data={"token": token()}, files=files)
        status = answer.status_code
        if status == 303:
            answer = client.get(answer.headers["location"])
        return status, unescape(answer.text)

    return sending


def test_every_download(client: TestClient, shelf: Shelf) -> None:
    page = client.get("/export").text
    for name in KINDS:
        assert f'href="/export/{name}"' in page
        answer = client.get(f"/export/{name}")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-disposition"].startswith('attachment; filename="')
    assert json.loads(client.get("/export/practice.json").content)["tables"]["review"][0]["rating"] == "good"
    assert "'=Gluten <b>" in client.get("/export/reviews.csv").text
    with zipfile.ZipFile(io.BytesIO(client.get("/export/deck.apkg").content)) as archive:
        assert "collection.anki21" in archive.namelist()
    for name in ("secrets.json", "cards.json", "..%2fcards.csv"):
        assert client.get(f"/export/{name}").status_code == 404


def test_a_deck_that_was_exported_is_brought_back(
    client: TestClient, shelf: Shelf, send: Callable[..., tuple[int, str]], token: Token
) -> None:
    package = client.get("/export/deck.apkg").content
    assert send(package, "deck.apkg")[1].count("Nothing new.") == 1
    shelf.database.delete_all()
    status, page = send(package, "deck.apkg")
    assert status == 303
    assert "1 answer" in page
    assert "1 card that changed" in page
    assert not shelf.deck.state("why-knead").new
    listed = client.get("/export").text
    path = listed[listed.index("/export/import/") :].partition('"')[0]
    undone = client.post(f"{path}/undo", data={"token": token()})
    assert (undone.status_code, undone.headers["location"]) == (303, path)
    assert "Taken back." in client.get(path).text
    assert shelf.deck.state("why-knead").new
    assert "taken back" in client.get("/export").text
    again = client.post(f"{path}/undo", data={"token": token()})
    assert again.status_code == 400
    assert "taken back already" in again.text


def test_what_was_left_out_is_said(send: Callable[..., tuple[int, str]], shelf: Shelf) -> None:
    text = "question,at,rating\nbake-design,2026-01-05T10:00:00Z,good\nnone-such,2026-01-05T10:00:00Z,good\n"
    _, page = send(text.encode(), "mine.csv")
    assert "Reviews of questions that this book does not have: 1" in page
    assert "Take it back" in page


def test_a_name_is_shown_as_text(client: TestClient, shelf: Shelf, token: Token) -> None:
    data = b"question,at,rating\nbake-design,2026-01-05T10:00:00Z,good\n"
    answer = client.post("/export/import", data={"token": token()}, files={"files": (HOSTILE, data)})
    for page in (client.get(answer.headers["location"]).text, client.get("/export").text):
        assert "<img" not in page
        assert "\x1b" not in page


def test_what_is_refused_says_so_and_changes_nothing(
    client: TestClient, shelf: Shelf, send: Callable[..., tuple[int, str]]
) -> None:
    before = client.get("/export/practice.json").content
    for data, name in ((b"no table", "a.csv"), (b"{}", "b.json"), (b"PK\x03\x04", "c.apkg"), (b"", "")):
        status, page = send(data, name)
        assert status == 400
        assert "Nothing was imported" in page
    assert client.get("/export/practice.json").content == before


def test_it_wants_a_token_and_a_size(client: TestClient, shelf: Shelf) -> None:
    data = client.get("/export/practice.json").content
    shelf.database.delete_all()
    assert client.post("/export/import", files={"files": ("f.json", data)}).status_code == 403
    assert not shelf.deck.states()
    assert limit_of("/export/import") == LONG_BODY_LIMIT
    assert FILE <= LONG_BODY_LIMIT
    assert client.get("/export/import/none-such").status_code == 404


def test_delete_everything_deletes_what_is_kept_of_imports(
    client: TestClient, shelf: Shelf, send: Callable[..., tuple[int, str]], token: Token
) -> None:
    send(b"question,at,rating\nbake-design,2026-01-05T10:00:00Z,good\n", "mine.csv")
    assert "mine.csv" in client.get("/export").text
    client.post("/about/delete", data={"token": token(), "confirm": "delete everything"})
    assert "mine.csv" not in client.get("/export").text


def test_an_export_of_everything_is_checked_like_the_practice(
    client: TestClient, shelf: Shelf, token: Token
) -> None:
    shelf.database.save_measurement("kneading-time", 1.0, 0.5, 1.5, 3, "a machine")
    state = client.get("/about/export").json()
    good = state["tables"]["review"][0]
    forged = {"rating": "splendid", "proposed": "", "key": "1" * 32, "at": "2026-01-01T00:00:00+00:00"}
    state["tables"]["review"] += [
        {**good, **forged},
        {**good, "key": "2" * 32, "at": "2999-01-01T00:00:00+00:00"},
    ]
    state["tables"]["card"][0]["card"] = {"due": "never"}
    shelf.database.delete_all()
    files = {"file": ("everything.json", json.dumps(state).encode())}
    answer = client.post("/about/import", data={"token": token()}, files=files)
    assert answer.headers["location"].startswith("/export/import/")
    page = unescape(client.get(answer.headers["location"]).text)
    assert "1 answer" in page
    assert "1 measurement" in page
    assert "Reviews with an unknown rating: 1" in page
    assert "Reviews of a day that is yet to come: 1" in page
    assert "Cards whose state can't be read: 1" in page
    assert "due" in shelf.deck.rows.cards()["why-knead"]["card"]  # reckoned from the answer
    assert len(shelf.deck.rows.facts()) == 1
    client.post(f"{answer.headers['location']}/undo", data={"token": token()})
    tables = shelf.database.export()["tables"]
    assert not tables["review"] + tables["card"] + tables["measurement"]
