"""The other end of `talk`: starts a side's process, and asks it."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from talk import Ask

HERE = Path(__file__).parent


class Gone(Exception):
    """A side's process has ended; the message has its last words."""


class Remote:
    """A side in a process of its own. python: the interpreter of its environment."""

    def __init__(
        self,
        python: str | Path,
        script: str,
        arguments: Sequence[object],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.began = perf_counter()
        self.process = subprocess.Popen(
            [str(python), str(HERE / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.about = self._line()
        self.ready_seconds = perf_counter() - self.began

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.errors.seek(0)
            words = self.errors.read()[-2000:].strip()
            self.close()
            raise Gone(f"ended with {code}: {words}")
        told: dict[str, Any] = json.loads(line)
        return told

    def run(self, asks: Sequence[Ask], **switches: Any) -> dict[str, Any]:
        """What the side told of a run of these. Raises Gone."""
        assert self.process.stdin is not None
        told = {"requests": [asdict(ask) for ask in asks], "switches": switches}
        with suppress(BrokenPipeError):  # the missing answer tells more
            self.process.stdin.write(json.dumps(told) + "\n")
            self.process.stdin.flush()
        return self._line()

    def close(self) -> None:
        """Ends the process, at once where it doesn't end by itself."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class Stepper(Remote):
    """A side that trains (`on_training`, `on_trl`): one step at a time."""

    def step(self) -> dict[str, Any]:
        """Take a step, and what it told. Raises Gone."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        return self._line()
