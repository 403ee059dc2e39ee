"""Attacks on a cell, as sources. Each sets `answer` to "through" if it got what it wanted.

Format fields: {secret} a file of the person's, {home} its folder, {planted} a file to make, {app} and
{bystander} process ids, {port} of a listener on this machine, {abstract} and {path} of listeners on UNIX
sockets, {hidden} the hidden tests of an exercise, {package} the folder of the handbook.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import Any

from handbook.practice.sandbox import Cell, Limits, Sandbox

TRIAL = "handbook.practice.sandbox.trial:main"
SMALL = Limits(wall=40, cpu=40, memory=256 << 20)


@dataclass(frozen=True)
class Outcome:
    """value: what the source left in `answer`; error: the name of what it raised, or ""."""

    cell: Cell
    value: Any
    error: str
    seconds: float

    @property
    def kinds(self) -> set[str]:
        return {incident.kind for incident in self.cell.incidents}


def attack(box: Sandbox, source: str, limits: Limits = SMALL, **named: Any) -> Outcome:
    """Run a source in a cell of its own and wait for its end."""
    ours, theirs = socket.socketpair()
    begin = time.monotonic()
    with ours, theirs:
        cell = box.start(TRIAL, [theirs.fileno()], limits, **named)
        theirs.close()
        said = b""
        try:
            ours.sendall(source.encode())
            ours.shutdown(socket.SHUT_WR)
            ours.settimeout(limits.wall + 5)
            while chunk := ours.recv(1 << 16):
                said += chunk
        except OSError:
            pass
        assert cell.wait(limits.wall + 5), "a cell that does not end"
    try:
        answer = json.loads(said.strip().rpartition(b"\n")[2] or b"{}")
    except (ValueError, RecursionError):
        answer = {}
    return Outcome(cell, answer.get("value"), answer.get("error", ""), time.monotonic() - begin)


def in_turn(sources: dict[str, str]) -> str:
    """One source that runs all of these after each other, and answers {name: its answer or its error}."""
    return f"""
found = {{}}
for name, source in {sources!r}.items():
    space = {{"__name__": "submission"}}
    try:
        exec(source, space)
        found[name] = space.get("answer")
    except BaseException as error:
        found[name] = repr(error)
answer = found
"""


# name: (source, kinds of which one must be named; empty where only the judge can name it)
REFUSED: dict[str, tuple[str, set[str]]] = {
    "fork bomb": (
        "import os\nfor _ in range(50):\n    if os.fork() == 0: os._exit(0)\n    answer = 'through'",
        {"processes"},
    ),
    "a shell": ("import os\nanswer = 'through' if os.system('true') == 0 else ''", {"processes"}),
    "a subprocess": ("import subprocess\nsubprocess.run(['/bin/true'])\nanswer = 'through'", {"processes"}),
    "another program in its place": (
        "import os\nos.execv('/bin/sh', ['sh', '-c', 'sleep 9'])",
        {"processes"},
    ),
    "a pool of processes": (
        "import multiprocessing as m\nwith m.Pool(2) as p: p.map(abs, [1])\nanswer = 'through'",
        set(),
    ),
    "the home folder": ("import os\nos.listdir({home!r})\nanswer = 'through'", {"files"}),
    "a secret file": ("open({secret!r}).read()\nanswer = 'through'", {"files"}),
    "the passwords": ("open('/etc/passwd').read()\nanswer = 'through'", {"files"}),
    "the app's environment": ("open('/proc/{app}/environ','rb').read()\nanswer = 'through'", {"environment"}),
    "its own environment": (
        "import os\nanswer = 'through' if 'SECRET' in str(os.environ) else ''",
        set(),
    ),
    "the environment in C": (
        "import ctypes\ng = ctypes.CDLL(None).getenv\ng.restype = ctypes.c_char_p\n"
        "answer = 'through' if g(b'HANDBOOK_CHAT_KEY') else ''",
        set(),
    ),
    "the hidden tests": ("open({hidden!r}).read()\nanswer = 'through'", {"files"}),
    "the handbook": ("import handbook.book.load\nanswer = 'through'", set()),
    "the handbook's files": (
        "import importlib.machinery as m, sys\nsys.meta_path.append(m.PathFinder)\n"
        "sys.path.append({package!r})\nsys.modules.pop('handbook', None)\n"
        "import handbook.settings\nanswer = 'through'",
        set(),
    ),
    "a symlink": (
        "import os\nos.symlink({secret!r}, 'link')\nopen('link').read()\nanswer = 'through'",
        {"files"},
    ),
    "a symlinked folder": (
        "import os\nos.symlink('/', 'all')\nopen('all' + {secret!r}).read()\nanswer = 'through'",
        {"files"},
    ),
    "a hard link": (
        "import os\nos.link({secret!r}, 'link')\nopen('link').read()\nanswer = 'through'",
        {"files"},
    ),
    "writing through a symlink": (
        "import os\nos.symlink({home!r}, 'home')\nopen('home/planted', 'w').write('x')\nanswer = 'through'",
        {"files"},
    ),
    "writing outside": ("open({home!r} + '/planted', 'w').write('x')\nanswer = 'through'", {"files"}),
    "writing to another folder": ("open({planted!r}, 'w').write('x')\nanswer = 'through'", {"files"}),
    "changing NumPy on disk": (
        "import numpy\nopen(numpy.__file__, 'a').write('')\nanswer = 'through'",
        {"files"},
    ),
    "a device": ("import os\nos.mknod('disk', 0o60600, os.makedev(254, 0))\nanswer = 'through'", set()),
    "TCP": (
        "import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)\nanswer = 'through'",
        {"network"},
    ),
    "listening": ("import socket\nsocket.create_server(('127.0.0.1', 0))\nanswer = 'through'", {"network"}),
    "UDP": (
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(b'secret', ('127.0.0.1', {port}))\nanswer = 'through'",
        {"network"},
    ),
    "an abstract socket": (
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({abstract!r})\nanswer = 'through'",
        {"network"},
    ),
    "a UNIX socket": (
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({path!r})\nanswer = 'through'",
        {"network"},
    ),
    "a pair of datagrams": (
        "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "a.sendto(b'x', {path!r} + '.datagrams')\nanswer = 'through'",
        set(),
    ),
    "a web page": (
        "from urllib.request import urlopen\nurlopen('http://127.0.0.1:{port}', None, 2)\nanswer = 'through'",
        {"network"},
    ),
    "killing the app": ("import os\nos.kill({app}, 0)\nanswer = 'through'", {"signals"}),
    "killing a bystander": ("import os\nos.kill({bystander}, 9)\nanswer = 'through'", {"signals"}),
    "killing everything": ("import os\nos.kill(-1, 9)\nanswer = 'through'", {"signals"}),
    "killing its group": ("import os\nos.killpg(0, 9)\nanswer = 'through'", {"signals"}),
    "killing by a descriptor": (
        "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open({bystander}), 9)\nanswer = 'through'",
        set(),
    ),
    "signals by a file's owner": (
        "import fcntl, os, socket\na, b = socket.socketpair()\n"
        "fcntl.fcntl(a, fcntl.F_SETOWN, {bystander})\nanswer = 'through'",
        set(),
    ),
    "the memory of the app": ("open('/proc/{app}/mem', 'rb').read(1)\nanswer = 'through'", {"files"}),
}
