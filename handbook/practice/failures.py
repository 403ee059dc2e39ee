"""What a test raised, as a verdict: whose error it is, what was expected and what came.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import dataclasses
import linecache
import re
from typing import Any

from handbook.practice.checks import Mismatch, close
from handbook.practice.frames import Ended, Garbled, NotPlain
from handbook.practice.showing import described, is_array
from handbook.practice.verdicts import Difference, cut

SAID = re.compile(r"(?:(?P<what>.{1,300}?): )?expected (?P<expected>.+), got (?P<got>.+)", re.DOTALL)


def _frames(error: BaseException, files: frozenset[str]) -> list[tuple[Any, int]]:
    """Frames of the test files, innermost last, with their lines."""
    found, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in files:
            found.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return found


def _from_locals(frames: list[tuple[Any, int]], what: str) -> Difference | None:
    """By the variables `expected` and `got` of the frame that failed."""
    if not frames:
        return None
    names = frames[-1][0].f_locals
    if "expected" not in names or "got" not in names:
        return None
    expected, got = names["expected"], names["got"]
    if is_array(expected) or isinstance(expected, (float, complex)):
        try:
            close(got, expected, what)
        except Mismatch as found:
            return dataclasses.replace(found.difference, tolerance="")
        except Exception:
            return Difference(what, described(expected), described(got, typed=True))
    return Difference(what, described(expected), described(got))


def difference_of(error: AssertionError, frames: list[tuple[Any, int]]) -> Difference | None:
    """Of a Mismatch its own; else by local variables, else by the message's words."""
    if isinstance(error, Mismatch):
        return error.difference
    said = SAID.fullmatch(str(error).strip())
    what = (said["what"] or "") if said else ""
    found = _from_locals(frames, what)
    if found is None and said:
        found = Difference(what, said["expected"], said["got"])
    return found


def verdict_of(error: BaseException, files: frozenset[str]) -> dict[str, Any]:
    """state, message, difference and line of a verdict, as plain data."""
    frames = _frames(error, files)
    origin = getattr(error, "_handbook", None)
    if origin is not None:
        return _submissions(error, *origin)
    if isinstance(error, AssertionError):
        text = str(error).strip()
        if not text and frames:
            frame, line = frames[-1]
            text = f"Does not hold: {linecache.getline(frame.f_code.co_filename, line).strip()}"
        difference = difference_of(error, frames)
        made = dataclasses.asdict(difference) if difference else None
        return _made("failed", text or "The test's assertion does not hold.", made)
    if isinstance(error, NotPlain):
        return _made("error", f"The test cannot hand over its argument: {error}.")
    if isinstance(error, (Ended, Garbled)):
        return _made("error", f"The submission's process no longer answers: {error}.")
    names = frames[-1][0].f_locals if frames else {}
    got = f" (got {described(names['got'], most=300)})" if "got" in names else ""
    return _made("error", f"The test cannot use what it got: {type(error).__name__}: {error}{got}")


def _submissions(error: BaseException, line: int | None, source: str) -> dict[str, Any]:
    if isinstance(error, NotPlain):
        return _made("error", f"The submission hands back {error}.")
    text = str(error).strip()
    starter = text and isinstance(error, NotImplementedError)  # its line says the same once more
    where = f" (line {line}{'' if starter or not source else f': {source}'})" if line else ""
    return {**_made("error", f"{type(error).__name__}{': ' if text else ''}{text}{where}"), "line": line}


def _made(state: str, message: str, difference: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"state": state, "message": cut(message), "difference": difference, "line": None}
