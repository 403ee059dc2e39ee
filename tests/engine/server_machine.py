"""A server on a real socket over a tiny random model, made slow where a test needs time."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import torch

from handbook.app.cli.open import bind
from handbook.engine.engine import Engine
from handbook.engine.listening import Listening
from handbook.engine.served import Served
from handbook.engine.server import create_server
from handbook.engine.work import Limits
from handbook.model.load import Loaded
from handbook.model.template import ChatTemplate
from handbook.model.transformer import Transformer

TEMPLATE = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}a:"
LONG = 1500


def talking(loaded: Loaded, context: int = 2048) -> Loaded:
    """The same over a longer context, with a template."""
    torch.manual_seed(5)
    config = dataclasses.replace(loaded.config, context=context)
    model = Transformer(config).eval().requires_grad_(False)
    return dataclasses.replace(loaded, model=model, template=ChatTemplate(TEMPLATE), config=config)


class Slow:
    """An executor that takes its time."""

    def __init__(self, executor: Any, seconds: float) -> None:
        self.executor, self.seconds = executor, seconds

    def run(self, batch: Any) -> torch.Tensor:
        time.sleep(self.seconds if batch.work else 0)
        return self.executor.run(batch)


class Running:
    """The server that runs, and what talks to it."""

    def __init__(
        self, engine: Engine, served: Served, listening: Listening, thread: threading.Thread
    ) -> None:
        self.engine, self.served, self.listening, self.thread = engine, served, listening, thread
        self.port = listening.port
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=60)
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=60)

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(path, content=content, **options)

    def chat(self, text: str = "hello", **options: Any) -> Any:
        options = {"max_tokens": 12, "temperature": 0, **options}
        return self.client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": text}], **options
        )

    def free(self) -> bool:
        """All pages can be had, and nobody is there."""
        return self.engine.pages.available == self.engine.pages.count and not len(self.engine.scheduler)


@contextmanager
def serving(
    loaded: Loaded,
    *,
    delay: float = 0.0,
    memory: int = 4 << 20,
    limits: Limits | None = None,
    drain: float = 20.0,
    **options: Any,
) -> Iterator[Running]:
    """On a free port of the loopback, in a thread. delay: seconds that each step takes longer."""
    engine = Engine(loaded, memory=memory, limits=limits or Limits(tokens=256, running=32))
    if delay:
        engine.executor = Slow(engine.executor, delay)
    served = Served(engine)
    listening = Listening(create_server(served, **options), drain)
    listener = bind("127.0.0.1", 0, "")
    thread = threading.Thread(target=listening.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until(lambda: listening.started or not thread.is_alive())
    running = Running(engine, served, listening, thread)
    try:
        yield running
    finally:
        running.client.close()
        running.http.close()
        listening.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()
        assert served.close(drain=False, timeout=20)
        listener.close()


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for it; fail when it doesn't come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)
