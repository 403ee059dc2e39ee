"""`handbook open`: the app on a loopback address, its address printed, the browser opened."""

import contextlib
import errno
import ipaddress
import os
import socket
import sys
import threading
import time
import webbrowser
from typing import Any

import click

from handbook.errors import PortBusy, SettingsError
from handbook.settings import Settings, load


@click.command("open")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on (default 8017; 0 takes a free one)."
)
@click.option("--no-browser", is_flag=True, help="Print the address, open nothing.")
def open_command(port: int | None, no_browser: bool) -> None:
    """Start the app and open it in the browser."""
    settings = load(port=port)
    if settings.shared:
        from handbook.practice.sandbox.opened import require_isolation

        require_isolation(settings)
    listener = listen(settings)
    address = f"http://{settings.host}:{listener.getsockname()[1]}/"
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    serve(settings, listener, address, browser=not no_browser and _has_display())


def listen(settings: Settings) -> socket.socket:
    """A listening socket on a loopback address. Raises PortBusy, or SettingsError for any other address."""
    try:
        loopback = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsError(
            f"host is {settings.host!r}; the app listens on loopback addresses only.",
            "Set host to 127.0.0.1. To reach it from another machine, use an SSH tunnel.",
        )
    return bind(settings.host, settings.port, "handbook open --port 8018")


def bind(host: str, port: int, command: str) -> socket.socket:
    """A listening socket. command: what would take another port, for the remedy. Raises PortBusy."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            message = f"Port {port} needs administrator rights."
        elif error.errno == errno.EADDRINUSE:
            message = f"Port {port} is in use by another program (perhaps a handbook that already runs)."
        else:
            message = f"Nothing can listen at {host}, port {port}: {error.strerror}."
        raise PortBusy(
            message, f"Choose another one: `{command}`, or `--port 0` for any free one."
        ) from error
    return listener


def serve(settings: Settings, listener: socket.socket, address: str, browser: bool) -> None:
    """Run until interrupted."""
    import uvicorn

    from handbook.app.web import create_app

    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_announce, args=(server, address, browser), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _announce(server: Any, address: str, browser: bool) -> None:
    while not server.started and not server.should_exit:
        time.sleep(0.01)
    if server.should_exit:
        return
    click.echo(f"The handbook is open at {address}\nCtrl-C stops it.")
    if browser:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(address)


def _has_display() -> bool:
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
