"""The submission's process: loads the code, then does what the examiner asks of it.

It holds no test, no expected value and nothing of the handbook but the code that carries values. Whatever
the submission does to this process, it can change nothing but its own answers.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import os
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from handbook.practice.classes import SUBMISSION, place_of
from handbook.practice.frames import Channel, Ended, Garbled
from handbook.practice.guards import Lent, Open
from handbook.practice.proxies import module_of
from handbook.practice.remote import Peer
from handbook.practice.sandbox.inside import conceal
from handbook.practice.showing import described
from handbook.practice.verdicts import cut

KEPT = 8000  # characters printed in one test that its verdict shows


class Printed(io.TextIOBase):
    """Standard output that also keeps the beginning of what was written since the last look."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.parts, self.size = stream, list[str](), 0

    def write(self, text: str) -> int:
        if self.size < KEPT:
            self.parts.append(text[: KEPT - self.size])
            self.size += len(text)
        return int(self.stream.write(text))

    def flush(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            self.stream.flush()

    def fileno(self) -> int:
        return int(self.stream.fileno())

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def take(self) -> str:
        text, self.parts, self.size = "".join(self.parts), [], 0
        return text


def load(source: str, name: str = "submission") -> types.ModuleType:
    """The submission as a module, which its classes can be found in."""
    module = types.ModuleType(name)
    module.__file__ = SUBMISSION
    linecache.cache[SUBMISSION] = (len(source), None, source.splitlines(keepends=True), SUBMISSION)
    sys.modules[name] = module
    exec(compile(source, SUBMISSION, "exec", dont_inherit=True), module.__dict__)
    return module


def explain(error: BaseException) -> str:
    """What went wrong, and in which line of the submission."""
    text = str(error).strip()
    if isinstance(error, SyntaxError):
        where = f"Line {error.lineno}: " if error.lineno else ""
        source = f": {error.text.strip()}" if error.text else ""
        return cut(f"{where}{error.msg}{source}")
    line, source = place_of(error)
    starter = text and isinstance(error, NotImplementedError)  # its line says the same once more
    where = f" (line {line}{'' if starter or not source else f': {source}'})" if line else ""
    return cut(f"{type(error).__name__}{': ' if text else ''}{text}{where}")


class Extras:
    """Operations beside those on objects: drivers, calls that are timed, what was printed."""

    def __init__(self, module: types.ModuleType, out: Printed) -> None:
        self.module, self.out = module, out
        self.held: Callable[[], Any] = lambda: None
        self.operations = {"driver": self.driver, "hold": self.hold, "run": self.run, "printed": self.printed}

    def _function(self, name: str, source: str) -> Callable[..., Any]:
        space: dict[str, Any] = {"__name__": "driver"}
        file = f"<driver {name}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec", dont_inherit=True), space)
        return space[name]  # type: ignore[no-any-return]

    def driver(self, _target: int, name: str, args: list[Any], _kw: Any) -> Any:
        """The driver's result, beside the real module."""
        return self._function(name, args[0])(self.module, *args[1:])

    def hold(self, target: int, name: str, args: list[Any], _kw: Any) -> None:
        """Take a call's arguments, so that doing it can be timed by itself. target: 1 for a driver."""
        if target:
            function = self._function(name, args[0])
            self.held = lambda: function(self.module, *args[1:])
        else:
            entry = getattr(self.module, name, None) if name else lambda *_: None
            self.held = lambda: entry(*args)  # type: ignore[misc]

    def run(self, *_: Any) -> None:
        self.held()

    def printed(self, *_: Any) -> str:
        self.out.flush()
        return self.out.take()


def serve(peer: Peer, out: Printed) -> None:
    """Answer until the other side is gone."""
    while True:
        with peer.lock:
            message, raw = peer.channel.recv()
        answer, parts = peer.perform(message, raw)
        out.flush()
        peer.reply(answer, parts)


def show(module: types.ModuleType, snippet: str) -> dict[str, Any]:
    """Run a snippet after the submission. value: what its last line is, if that is an expression."""
    linecache.cache["<input>"] = (len(snippet), None, snippet.splitlines(keepends=True), "<input>")
    try:
        tree = ast.parse(snippet, "<input>")
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            del tree.body[-1]
        exec(compile(tree, "<input>", "exec"), module.__dict__)
        if not isinstance(last, ast.Expr):
            return {"value": "", "error": ""}
        value = eval(compile(ast.Expression(last.value), "<input>", "eval"), module.__dict__)
        return {"value": "" if value is None else described(value), "error": ""}
    except BaseException as error:
        return {"value": "", "error": explain(error)}


def main(control: int, calls: int = -1) -> None:
    """control: what to load, and whether that worked; calls: the examiner. Both are file descriptors."""
    said = Channel.of(control)
    job, _ = said.recv()
    peer = None if calls < 0 else Channel.of(calls)
    if not job.get("trusted"):
        conceal()
    sys.stdout = out = Printed(sys.stdout)
    try:
        module = load(job["code"])
        if job["entry"] and not hasattr(module, job["entry"]):
            said.send({"broken": f"The submission defines no {job['entry']}."})
            return
    except BaseException as error:  # SystemExit too: a submission that exits has not passed
        line, _ = place_of(error)
        exits = isinstance(error, SystemExit)
        said.send(
            {"broken": f"The submission cannot be loaded. {explain(error)}", "line": line, "exit": exits}
        )
        return
    finally:
        out.flush()
    borrowed = job.get("borrow", [])
    if peer is None or borrowed:
        if peer is not None:  # the book's own code stays in a process of its own
            lender = module_of(Peer(peer, Open()))
            module.__dict__.update({name: getattr(lender, name) for name in borrowed})
        said.send({"loaded": True})
        said.send(show(module, (said.recv()[0])["snippet"]))
    else:
        extras = Extras(module, out)
        lent = job.get("lent", False)
        end = Peer(
            peer, Lent(frozenset({"submission"})) if lent else Open(), {} if lent else extras.operations
        )
        end.export(module)
        said.send({"loaded": True})
        with contextlib.suppress(Ended, Garbled):
            serve(end, out)
    out.flush()
    if threading.active_count() > 1:
        with contextlib.suppress(Ended, Garbled):
            said.recv()  # they are counted and ended from outside, however busy the machine is
    os._exit(0)  # threads that a submission left behind do not keep anybody waiting
