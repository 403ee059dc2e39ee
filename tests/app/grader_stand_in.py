"""A grader for tests of the pages: a criterion is met where the answer holds one of its long words."""

import re
import threading
from collections.abc import Callable, Sequence

from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.small_book import WordEmbedder
from handbook.app.web import create_app
from handbook.chat import ScriptedChat
from handbook.errors import HandbookError
from handbook.records import Criterion, Grade, Judgement, Question, Recognised
from handbook.settings import Settings

Post = Callable[..., str]
WORD = re.compile(r"[a-z]{5,}")


class StandInGrader:
    """`maybe` in an answer leaves its last criterion open, `slow` waits until `go`, `broken` can't be graded,
    `warms` makes the question's first mistake, and with `whole` the whole answer does."""

    def __init__(self) -> None:
        self.warmed = 0
        self.graded = 0
        self.go = threading.Event()
        self.loads = threading.Event()
        self.loads.set()

    def warm(self) -> None:
        self.warmed += 1
        self.loads.wait(120)

    def grade(self, question: Question, answer: str) -> Grade:
        self.graded += 1
        if "slow" in answer:
            self.go.wait(120)
        if "broken" in answer:
            raise HandbookError("The grader's model is not here.", "Bring it.")
        if "faulty" in answer:
            raise RuntimeError("no such thing")
        judgements = [_judgement(each, answer) for each in question.criteria]
        if "maybe" in answer:
            last = question.criteria[-1]
            judgements[-1] = Judgement(last.id, "unclear", confidence=0.4, weight=last.weight, must=last.must)
        at = answer.find("warms")
        low, high = (0, len(answer)) if "whole" in answer else (at, at + 5)
        wrong = (Recognised(0, answer[low:high], low, high, 0.9),) if at >= 0 else ()
        return Grade(question.id, answer, tuple(judgements), wrong, "stand-in", 0.01)


def _judgement(criterion: Criterion, answer: str) -> Judgement:
    for word in WORD.findall(criterion.yes.lower()):
        at = answer.lower().find(word)
        if at >= 0:
            quote = answer[at : at + len(word)]
            return Judgement(
                criterion.id, "yes", quote, at, at + len(word), 0.97, 0.97, "", "stand-in", criterion.weight,
                criterion.must,
            )  # fmt: skip
    return Judgement(
        criterion.id, "no", met=0.04, confidence=0.9, why="No sentence says it.", by="stand-in",
        weight=criterion.weight, must=criterion.must,
    )  # fmt: skip


def opened(settings: Settings, graders: StandInGrader, replies: Sequence[str] = ()) -> FastAPI:
    """An app that grades with it."""
    chat = ScriptedChat(list(replies))
    return create_app(settings, chat=chat, embedder=WordEmbedder(), background=False, graders=graders)


def poster(client: TestClient) -> Post:
    """Send a form and follow where it leads; the page's HTML. status: of the answer to the form itself."""

    def sending(path: str, status: int = 0, **form: str) -> str:
        answer = client.post(path, data={**form, "token": client.get("/token").text})
        assert answer.status_code == status or not status, answer.text
        while answer.status_code == 303:
            answer = client.get(answer.headers["location"])
        return answer.text

    return sending
