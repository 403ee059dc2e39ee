"""What this system has to contain a submission with, tried for real and not guessed from its name.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from handbook.practice.sandbox import libraries
from handbook.practice.sandbox.limits import environment
from handbook.practice.sandbox.numbers import known
from handbook.practice.sandbox.plain import ROOT, start_cold

TRIES = Path(__file__).with_name("tries.py")
PATIENCE = 20  # seconds


@dataclass(frozen=True, slots=True)
class Found:
    """landlock: its ABI, 0 for none. why: for what is not there, what the system said."""

    landlock: int = 0
    seccomp: bool = False
    namespaces: bool = False
    bubblewrap: bool = False
    why: dict[str, str] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that a process can put on itself."""
        return (*(("landlock",) if self.landlock else ()), *(("seccomp",) if self.seccomp else ()))


@functools.cache
def found() -> Found:
    """What works here; looked for once in a process, which takes a tenth of a second."""
    if not known():
        why = f"The judge knows kernel isolation under Linux on x86-64 and ARM only, not {sys.platform}."
        return Found(why=dict.fromkeys(("landlock", "seccomp", "namespaces", "bubblewrap"), why))
    plan = {
        "root": str(ROOT),
        "path": libraries.search_path(),
        "shown": libraries.shown(),
        "hidden": libraries.hidden(),
    }
    try:
        done = subprocess.run(
            start_cold(TRIES),
            input=json.dumps(plan).encode() + b"\n",
            capture_output=True,
            timeout=PATIENCE,
            cwd="/",
            env=environment("/"),
        )
        said = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return Found(why=dict.fromkeys(("landlock", "seccomp", "namespaces"), str(error)))
    reasons: dict[str, str] = dict(said["why"])
    wrapped = bubblewrap(reasons)
    return Found(said["landlock"], said["seccomp"], said["namespaces"], wrapped, reasons)


def program() -> str | None:
    """Where bubblewrap is."""
    return shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/bin:/bin")


def bubblewrap(why: dict[str, str]) -> bool:
    """Whether bubblewrap is here and allowed to do its work."""
    path = program()
    if path is None:
        why["bubblewrap"] = "The program bwrap is not installed."
        return False
    command = [path, "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/tmp", "true"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, env=environment("/"))
    except (OSError, subprocess.TimeoutExpired) as error:
        why["bubblewrap"] = str(error)
        return False
    if done.returncode:
        why["bubblewrap"] = done.stderr.decode("utf-8", "replace").strip()[:300]
    return done.returncode == 0
