"""Who may ask, and what every answer carries."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from handbook.app.web import create_app, tokens
from handbook.app.web.security import BODY_LIMIT, LAB_POLICY, POLICY, UPLOAD_LIMIT, Guard, limit_of
from handbook.settings import Settings

ROOMS = (
    "/",
    "/book",
    "/book/basics/bread",
    "/book/basics/tea",
    "/book/basics/bread/lab",
    "/book/basics/bread/questions",
    "/exercises",
    "/exercise/adding",
    "/exercise/adding/attempts",
    "/ask",
    "/ask?q=Why+does+kneading+build+gluten",
    "/corpora",
    "/engine",
    "/code",
    "/code/handbook.records",
    "/references",
    "/zoo",
    "/zoo?compare=llama-2-7b,phi-2",
    "/zoo/deepseek-v3",
    "/search?q=dough",
    "/progress",
    "/about",
    "/about?doctor=1",
    "/no-such-page",
)
LIVE = "/book/basics/bread/lab/live/"


@pytest.mark.parametrize("host", ["127.0.0.1:8017", "localhost:8017", "[::1]:8017", "LOCALHOST:8017"])
def test_a_loopback_name_with_our_port_is_served(client: TestClient, host: str) -> None:
    assert client.get("/token", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8017",
        "127.0.0.1.evil.example:8017",
        "127.0.0.1",
        "127.0.0.1:9",
        "localhost:80170",
        "",
        "@127.0.0.1:8017",
        "127.0.0.1:8017@evil.example",
    ],
)
def test_dns_rebinding_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/book/basics/bread", headers={"host": host})
    assert answer.status_code == 421
    assert "Kneading" not in answer.text


@pytest.mark.parametrize("room", ROOMS)
def test_every_page_has_the_strict_headers(client: TestClient, room: str) -> None:
    headers = client.get(room).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_policies_name_no_other_host_and_pages_no_inline_code() -> None:
    known = {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    for policy in (POLICY, LAB_POLICY):
        assert policy.startswith("default-src 'none'")
        for directive in policy.split("; "):
            assert set(directive.split()[1:]) <= known, directive
    assert "unsafe" not in POLICY
    assert "data:" not in POLICY


def test_only_the_labs_frame_has_the_laxer_policy(client: TestClient) -> None:
    assert client.get(LIVE).headers["content-security-policy"] == LAB_POLICY
    assert client.get("/book/basics/bread/lab/live-not").headers["content-security-policy"] == POLICY


@pytest.mark.parametrize("room", ROOMS)
def test_pages_hold_no_inline_style_script_or_handler_and_load_from_here_only(
    client: TestClient, room: str
) -> None:
    html = client.get(room).text
    assert not re.findall(r"<[a-z][^>]*\sstyle=", html)
    assert not re.findall(r"<[a-z][^>]*\son[a-z]+=", html)
    assert "<style" not in html
    assert not re.findall(r"<script(?![^>]*\bsrc=\"/static/)", html)
    loaded = re.findall(r"<(?:link|script|img|iframe)\b[^>]*?\b(?:href|src)=\"([^\"]*)\"", html)
    assert loaded
    assert [url for url in loaded if not url.startswith("/")] == []


def unsafe_routes(app: FastAPI) -> Iterator[APIRoute]:
    stack = list(app.routes)
    while stack:
        route = stack.pop()
        stack.extend(getattr(getattr(route, "original_router", None), "routes", []))
        if isinstance(route, APIRoute) and not route.methods <= {"GET", "HEAD", "OPTIONS"}:
            yield route


def test_every_route_that_changes_state_spends_a_token(app: FastAPI) -> None:
    found = list(unsafe_routes(app))
    assert len(found) >= 9
    for route in found:
        calls = [each.call for each in route.dependant.dependencies]
        assert tokens.fields in calls, route.path


def test_a_change_without_a_token_is_refused_and_nothing_is_lost(
    client: TestClient, token: Callable[[], str]
) -> None:
    form = {"chapter": "basics/bread", "section": "kneading"}
    refused = client.post("/reading", data=form)
    assert refused.status_code == 403
    assert 'value="kneading"' in refused.text
    assert "0 of 3" in client.get("/book/basics/bread").text
    fresh = re.search(r'name="token" value="([^"]+)"', refused.text)
    assert fresh
    assert client.post("/reading", data={**form, "token": fresh[1]}).status_code == 303
    assert "1 of 3" in client.get("/book/basics/bread").text


def test_a_token_works_once(client: TestClient, token: Callable[[], str]) -> None:
    spent = token()
    code = "x = 1\n" * 20
    assert client.post("/exercise/adding", data={"code": code, "token": spent}).status_code == 303
    again = client.post("/exercise/adding", data={"code": code, "token": spent})
    assert again.status_code == 409
    assert code.strip() in again.text
    assert "Try again" in again.text
    assert "second time" in again.text


def test_a_token_of_another_browser_is_refused(client: TestClient, app: FastAPI) -> None:
    with TestClient(app, base_url=str(client.base_url)) as other:
        foreign = other.get("/token").text
    answer = client.post("/reading", data={"chapter": "basics/bread", "token": foreign})
    assert answer.status_code == 403


def test_scripts_are_told_to_retry_and_get_a_fresh_token(client: TestClient) -> None:
    answer = client.post("/reading", data={"chapter": "bread"}, headers={"accept": "application/json"})
    assert answer.status_code == 403
    assert answer.json()["what"]
    assert answer.headers["x-handbook-retry"] == "1"
    fresh = answer.headers["x-handbook-token"]
    answer = client.post(
        "/reading",
        data={"chapter": "bread"},
        headers={"accept": "application/json", "x-handbook-token": fresh},
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9"},
        {"origin": "https://127.0.0.1:8017"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_origins_change_nothing_even_with_a_token(
    client: TestClient, token: Callable[[], str], headers: dict[str, str]
) -> None:
    answer = client.post("/reading", data={"chapter": "bread", "token": token()}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.text
    assert "0 of 3" in client.get("/book/basics/bread").text


def test_our_own_origin_is_let_in(client: TestClient, token: Callable[[], str]) -> None:
    headers = {"origin": "http://127.0.0.1:8017", "sec-fetch-site": "same-origin"}
    assert (
        client.post("/reading", data={"chapter": "bread", "token": token()}, headers=headers).status_code
        == 303
    )


def test_the_session_cookie_stays_with_us(client: TestClient) -> None:
    cookie = client.get("/").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_body_too_large_is_refused_declared_or_not(client: TestClient, token: Callable[[], str]) -> None:
    large = b"code=" + b"a" * BODY_LIMIT
    kind = {"content-type": "application/x-www-form-urlencoded", "x-handbook-token": token()}
    assert client.post("/exercise/adding", content=large, headers=kind).status_code == 413
    pieces = (large[at : at + 65536] for at in range(0, len(large), 65536))
    assert client.post("/exercise/adding", content=pieces, headers=kind).status_code == 413


def test_only_forms_that_send_documents_may_be_large() -> None:
    assert limit_of("/corpora") == limit_of("/corpora/my-notes/add") == UPLOAD_LIMIT
    for path in ("/ask", "/corpora/my-notes", "/corpora/my-notes/delete", "/corpora/a/b/add", "/xcorpora"):
        assert limit_of(path) == BODY_LIMIT, path


@pytest.mark.parametrize(
    ("origin", "host", "let_in"),
    [
        ("http://127.0.0.1:8017", "127.0.0.1:8017", True),
        ("http://localhost:8017", "localhost:8017", True),
        ("http://evil.example", "127.0.0.1:8017", False),
        ("http://127.0.0.1:9", "127.0.0.1:8017", False),
        ("http://evil.example:8017", "evil.example:8017", False),
        (None, "127.0.0.1:8017", False),
    ],
)
def test_a_websocket_comes_from_our_own_pages_only(origin: str | None, host: str, let_in: bool) -> None:
    reached = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
    scope = {"type": "websocket", "path": f"{LIVE}ws", "headers": headers, "server": ("127.0.0.1", 8017)}
    with ThreadPoolExecutor(1) as pool:  # this thread may have a browser's loop already
        pool.submit(lambda: asyncio.run(Guard(inner)(scope, receive, send))).result(30)
    assert bool(reached) is let_in
    assert sent == ([] if let_in else [{"type": "websocket.close", "code": 1008}])


FROM_ELSEWHERE = (
    {"origin": "http://evil.example"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
)


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
@pytest.mark.parametrize("path", ["/ask?q=bread", "/about/export", f"{LIVE}sse?session_id=s_1"])
def test_another_site_loads_nothing_from_here(client: TestClient, headers: dict[str, str], path: str) -> None:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers  # a new session would push out an old one


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"origin": "http://127.0.0.1:8017", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
    ],
)
def test_a_link_and_our_own_pages_are_answered(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/book", headers=headers).status_code == 200


def test_no_site_may_read_the_lab(client: TestClient) -> None:
    for path in (LIVE, f"{LIVE}api/version", "/book"):
        headers = client.get(path).headers
        assert [name for name in headers if name.startswith("access-control-")] == []


def test_a_planted_session_is_not_taken_over(client: TestClient, app: FastAPI) -> None:
    name = tokens.COOKIE + "_8017"
    planted = {"cookie": f"{name}=planted"}
    begun = client.get("/token", headers=planted)
    assert begun.cookies[name] != "planted"
    form = {"chapter": "basics/bread", "token": begun.text}
    with TestClient(app, base_url=str(client.base_url), cookies={name: "planted"}) as other:
        assert other.post("/reading", data=form).status_code == 403


def test_one_token_sent_by_many_at_once_is_spent_once(client: TestClient, token: Callable[[], str]) -> None:
    form = {"chapter": "basics/bread", "token": token()}
    headers = {"accept": "application/json"}
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(client.post, "/reading", data=form, headers=headers) for _ in range(8)]
    assert sorted(each.result().status_code for each in sent) == [200] + [409] * 7


@pytest.mark.parametrize("history", ["[" * 100_000, '[{"role": "user", "content": "\\ud800"}]'])
def test_a_conversation_that_is_none_is_refused(
    client: TestClient, token: Callable[[], str], history: str
) -> None:
    answer = client.post("/engine/chat", data={"message": "hi", "history": history, "token": token()})
    assert answer.status_code == 400
    assert "Start a new one" in answer.text


def test_an_import_of_brackets_is_refused(client: TestClient, token: Callable[[], str]) -> None:
    answer = client.post("/about/import", data={"token": token()}, files={"file": b"[" * 100_000})
    assert answer.status_code == 400
    assert "Nothing was imported" in answer.text


def test_null_characters_do_not_reach_the_database(client: TestClient, token: Callable[[], str]) -> None:
    client.post("/ask", data={"question": "why\0knead", "token": token()})
    export = client.get("/about/export").text
    assert "why\N{REPLACEMENT CHARACTER}knead" in export


def test_secrets_in_addresses_are_not_shown(tmp_path: Path, settings: Settings) -> None:
    secret = settings.model_copy(
        update={"chat_url": "http://me:hunter2@127.0.0.1:9/v1?key=hunter3", "chat_key": "hunter4"}
    )
    with TestClient(create_app(secret, background=False), base_url="http://127.0.0.1:8017") as client:
        for path in ("/about?doctor=1", "/engine", "/about/export"):
            assert "hunter" not in client.get(path).text
        assert "http://127.0.0.1:9/v1" in client.get("/about").text
