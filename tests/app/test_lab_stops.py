"""A lab's kernel is a thread that waits for its reader: it must end with the app, and with its notebook."""

import os
import threading
import time
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.conftest import BASE
from handbook.settings import Settings

LIVE = "/book/basics/bread/lab/live/"


def open_lab(client: TestClient, session: str) -> None:
    assert client.get(LIVE).status_code == 200
    address = f"{BASE.replace('http', 'ws')}{LIVE}ws?session_id={session}"
    with client.websocket_connect(address, headers={"origin": BASE}) as socket:
        while "kernel-ready" not in socket.receive_text():
            pass


def running() -> set[threading.Thread]:
    """Those of other files' apps too, where these still are."""
    return {thread for thread in threading.enumerate() if "launch_kernel" in thread.name}


@pytest.fixture
def kernels() -> Callable[[], int]:
    """How many there are that were not there before the test."""
    before = running()
    return lambda: len(running() - before)


def settle(kernels: Callable[[], int], count: int) -> int:
    """The kernels that are left when there are `count`, or after a minute."""
    end = time.monotonic() + 60
    while kernels() != count and time.monotonic() < end:
        time.sleep(0.02)
    return kernels()


def test_a_labs_kernels_end_with_the_app(app: FastAPI, kernels: Callable[[], int]) -> None:
    with TestClient(app, base_url=BASE) as client:
        open_lab(client, "s_first1")
        open_lab(client, "s_second")
        assert kernels() == 2
    assert settle(kernels, 0) == 0


def test_a_labs_kernels_end_when_its_notebook_changed(
    client: TestClient, settings: Settings, kernels: Callable[[], int]
) -> None:
    assert settings.book
    open_lab(client, "s_before")
    os.utime(settings.book / "basics" / "bread" / "lab.py", (1, 1))
    open_lab(client, "s_after1")
    assert settle(kernels, 1) == 1
