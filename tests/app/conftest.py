"""The app over the small book, without a model and without background work."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.small_book import WordEmbedder, write
from app.stand_in import StandIn
from handbook.app.web import create_app
from handbook.chat import ScriptedChat
from handbook.settings import Settings

BASE = "http://127.0.0.1:8017"
Post = Callable[..., object]


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
