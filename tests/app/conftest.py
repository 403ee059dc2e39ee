"""The app over the small book, without a model and without background work."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.grader_stand_in import StandInGrader
from app.small_book import WordEmbedder, write
from app.stand_in import StandIn
from handbook.app.web import create_app
from handbook.app.web.grading import Grading, Gradings
from handbook.app.web.rooms import exercise
from handbook.chat import ScriptedChat
from handbook.settings import Settings

BASE = "http://127.0.0.1:8017"
Post = Callable[..., object]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is quick is waited for, however busy the machine is: a page would say after a quarter of a second
    that it still works. A grade that its test holds up is there once it is held up."""
    wait = Gradings.wait

    def patient(self: Gradings, grading: Grading, seconds: float) -> bool:
        grader: Any = self._graders
        if seconds > 1 or not isinstance(grader, StandInGrader):
            return wait(self, grading, seconds)

        def settled() -> bool:
            loading = grading.state == "loading" and not grader.loads.is_set()
            slow = grading.state == "grading" and "slow" in grading.answer and not grader.go.is_set()
            return grading.over or loading or slow

        with self._news:
            self._news.wait_for(settled, 60)
        return grading.over

    monkeypatch.setattr(Gradings, "wait", patient)
    monkeypatch.setattr(exercise, "AT_ONCE", 60.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", book=write(tmp_path / "book"))


@pytest.fixture
def chat() -> ScriptedChat:
    supported = "Kneading builds gluten, a network of proteins that holds gas [1]."
    return ScriptedChat([f"{supported} The moon is cheese [9].", "A second reply."])


@pytest.fixture
def judges() -> StandIn:
    return StandIn()


@pytest.fixture
def app(settings: Settings, chat: ScriptedChat, judges: StandIn) -> FastAPI:
    return create_app(settings, chat=chat, embedder=WordEmbedder(), judges=judges, background=False)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        yield client


@pytest.fixture
def token(client: TestClient) -> Callable[[], str]:
    return lambda: client.get("/token").text
