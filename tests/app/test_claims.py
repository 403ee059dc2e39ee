"""Claims in the margin: measured elsewhere, measured here."""

import time
from collections.abc import Callable

from fastapi.testclient import TestClient

from handbook.app.web.rooms.claims import same_machine

Token = Callable[[], str]


def wait(client: TestClient, claim: str) -> None:
    job = client.app.state.shelf.jobs.get(f"claim:{claim}")  # type: ignore[attr-defined]
    end = time.monotonic() + 120
    while job.state == "running" and time.monotonic() < end:
        time.sleep(0.02)
    assert job.state != "running"


def note(client: TestClient, claim: str) -> str:
    html = client.get("/book/basics/bread").text
    start = html.index(f'id="note-claim-{claim}"')
    return html[start : html.index("</aside>", start)]


def test_a_note_says_when_it_was_measured_on_another_machine(client: TestClient) -> None:
    text = note(client, "kneading-time")
    assert "A baker in Paris" in text
    assert "Measured on another machine than this one." in text
    assert "Measure here" in text


def test_measuring_here_runs_the_lab_and_is_kept(client: TestClient, token: Token) -> None:
    headers = {"hx-request": "true", "x-handbook-token": token()}
    fragment = client.post("/claims/kneading-time", headers=headers)
    assert fragment.status_code == 200
    assert "<html" not in fragment.text
    wait(client, "kneading-time")
    text = note(client, "kneading-time")
    assert "<strong>8 minutes</strong> (7 to 9)" in text
    assert "the bound holds" in text
    assert "Measured on another machine" not in text
    assert "Minutes of kneading" in client.get("/progress").text


def test_a_measurement_that_fails_says_why_and_keeps_nothing(client: TestClient, token: Token) -> None:
    answer = client.post("/claims/water-share", data={"token": token()})
    assert answer.headers["location"] == "/book/basics/bread#note-claim-water-share"
    wait(client, "water-share")
    text = note(client, "water-share")
    assert "the scales are broken" in text
    assert "On this machine" not in text
    assert client.post("/claims/nope", data={"token": token()}).status_code == 404


def test_a_machine_is_known_by_processor_and_cores() -> None:
    here = "AMD EPYC, 2 cores, AVX-512, 24 GiB, Linux x86_64, Python 3.11.7"
    assert same_machine("AMD EPYC, 2 cores, AVX-512, 24 GiB, Linux x86_64, Python 3.12.1", here)
    assert not same_machine("AMD EPYC, 4 cores, AVX-512, 24 GiB, Linux x86_64, Python 3.11.7", here)
    assert not same_machine("a desk", here)
