"""When the page of errors itself fails, its words still arrive, with the headers."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jinja2 import DictLoader

from handbook.app.web import pages
from handbook.app.web.security import POLICY


@pytest.fixture
def broken_templates() -> Iterator[None]:
    loader = pages.environment.loader
    broken = "{{ nothing_of_that_name }}"
    pages.environment.loader = DictLoader(
        dict.fromkeys(("today.html", "fault.html", "fragments/fault.html"), broken)
    )
    assert pages.environment.cache is not None
    pages.environment.cache.clear()
    yield
    pages.environment.loader = loader
    pages.environment.cache.clear()


@pytest.mark.parametrize(
    ("path", "status", "words"), [("/", 500, "That is a bug"), ("/nope", 404, "There is no such page")]
)
@pytest.mark.parametrize("headers", [{}, {"hx-request": "true"}])
def test_a_broken_template_leaves_plain_words(
    app: FastAPI, broken_templates: None, path: str, status: int, words: str, headers: dict[str, str]
) -> None:
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        answer = client.get(path, headers=headers)
    assert answer.status_code == status
    assert words in answer.text
    assert answer.headers["content-security-policy"] == POLICY
