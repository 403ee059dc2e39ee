"""Sets of programming problems in other people's layouts, judged like exercises: HumanEval's and MBPP's.

HumanEval (Chen et al. 2021, arXiv:2107.03374): task_id, prompt, entry_point, canonical_solution, test, with a
function `check(candidate)`. MBPP (Austin et al. 2021, arXiv:2108.07732): task_id, code, test_list, a list of
asserts, and code to set them up. A line of JSON a problem, also gzipped. Candidates stand in the line itself
(`completion`, else `canonical_solution` or `code`) or in a file of samples (`task_id`, `completion`).

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import ast
import builtins
import gzip
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handbook.errors import DataError
from handbook.practice.judge import MEBI, Judge
from handbook.practice.session import Task
from handbook.practice.verdicts import Incident, cut

SECONDS = 10.0  # wall time for all tests of one problem
MEMORY = 1024  # MiB
LINE = 16 << 20  # characters of one line
FILE = 1 << 30  # bytes after unpacking
STEM = "tests"


@dataclass(frozen=True, slots=True)
class Problem:
    """prompt: what a completion continues; "" where the candidate is a whole program. reference: one that is
    right, "" where none is given. tests: source of a test file for the examiner."""

    task_id: str
    entry: str
    prompt: str
    tests: str
    reference: str = ""
    candidate: str = ""

    def program(self, completion: str) -> str:
        """The submission: the prompt with its completion, or the completion alone if it defines the entry."""
        return completion if not self.prompt or _defines(completion, self.entry) else self.prompt + completion


@dataclass(frozen=True, slots=True)
class ProblemVerdict:
    """message: of the first test that failed. wall, cpu: seconds."""

    task_id: str
    passed: bool
    message: str
    wall: float
    cpu: float
    incidents: tuple[Incident, ...] = ()


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, object) of each line. Raises DataError for the first that is none."""
    opener = gzip.open if path.suffix == ".gz" else open
    read = 0
    with opener(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(iter(lambda: file.readline(LINE), ""), 1):
            read += len(line)
            if read > FILE:
                raise DataError(f"{path} holds more than {FILE >> 20:,} MiB of text.", "Split it.")
            if not line.strip():
                continue
            try:
                made = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, line {number}: not JSON: {error}.", "A problem a line.") from None
            if not isinstance(made, dict):
                raise DataError(f"{path}, line {number}: expected an object, got {type(made).__name__}.")
            yield number, made


def _guarded(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        yield from _lines(path)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Give a .jsonl or .jsonl.gz file.") from None


def read(path: Path) -> list[Problem]:
    """Every problem of a file. Raises DataError with the lines that fit neither layout."""
    found, faults = [], []
    for number, line in _guarded(path):
        try:
            found.append(_problem(line))
        except (KeyError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
            said = f"no {error}" if isinstance(error, KeyError) else str(error)
            faults.append(f"line {number}: {said}")
    if faults or not found:
        what = f"{path}: {len(faults)} lines fit neither layout: {'; '.join(faults[:5])}."
        raise DataError(
            what if faults else f"{path} holds no problem.",
            "HumanEval's keys are task_id, prompt, entry_point, test; MBPP's task_id, code, test_list.",
            tuple(faults),
        )
    return found


def _problem(line: Mapping[str, Any]) -> Problem:
    return _human_eval(line) if "entry_point" in line else _mbpp(line)


def _text(line: Mapping[str, Any], key: str) -> str:
    value = line[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value


def _human_eval(line: Mapping[str, Any]) -> Problem:
    """The examiner gets the prompt, because tests call helpers of it, and check(candidate).

    Some tests call the entry by its own name, as if they stood in one file with it (HumanEval/33).
    """
    entry, prompt = _text(line, "entry_point"), _text(line, "prompt")
    if not entry.isidentifier():
        raise ValueError(f"entry_point {entry[:50]!r} is no name")
    says = '"""The checks of the problem."""'
    run = f"\n\ndef test_check(submission):\n    {says}\n    globals()[{entry!r}] = submission.{entry}\n"
    run += f"    check(submission.{entry})\n"
    reference = str(line.get("canonical_solution", ""))
    tests = f"{prompt}\n    pass\n\n{_text(line, 'test')}{run}"
    candidate = str(line.get("completion", reference))
    return Problem(str(line["task_id"]), entry, prompt, tests, reference, candidate)


def _mbpp(line: Mapping[str, Any]) -> Problem:
    """A test for each assert, whose unknown names are looked up in the submission."""
    asserts = [*line["test_list"], *line.get("challenge_test_list", ())]
    setup = str(line.get("test_setup_code") or "\n".join(line.get("test_imports", ())))
    wanted = _wanted(asserts, setup)
    if not wanted:
        raise ValueError("its tests call nothing")
    parts = [setup]
    for number, text in enumerate(asserts):
        body = "\n".join(
            [f"    {name} = submission.{name}" for name in wanted]
            + [f"    {row}" for row in text.splitlines()]
        )
        parts.append(f"def test_{number}(submission):\n{body}")
    reference = str(line.get("code", ""))
    candidate = str(line.get("completion", reference))
    return Problem(str(line["task_id"]), wanted[0], "", "\n\n".join(parts) + "\n", reference, candidate)


def _wanted(asserts: Iterable[str], setup: str) -> list[str]:
    """Names that the asserts call and that neither Python nor the set-up has; the first is the entry."""
    made = {node.id for node in ast.walk(ast.parse(setup)) if isinstance(node, ast.Name)}
    for node in ast.walk(ast.parse(setup)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made.add(node.name)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).partition(".")[0])
    found: dict[str, None] = {}
    for text in asserts:
        tree = ast.parse(text)
        local = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in local | made and not hasattr(builtins, node.id):
                found.setdefault(node.id)
    return list(found)


def _defines(completion: str, entry: str) -> bool:
    return any(line.startswith(f"def {entry}(") for line in completion.splitlines())


def read_candidates(path: Path) -> dict[str, list[str]]:
    """task_id -> completions, of a file of samples. Raises DataError."""
    found: dict[str, list[str]] = {}
    for number, line in _guarded(path):
        completion = line.get("completion", line.get("code"))
        if "task_id" not in line or not isinstance(completion, str):
            raise DataError(f"{path}, line {number}: expected task_id and completion.", "A sample a line.")
        found.setdefault(str(line["task_id"]), []).append(completion)
    return found


def judge_problem(
    problem: Problem,
    completion: str,
    *,
    seconds: float | None = None,
    judge: Judge,
    stop: threading.Event | None = None,
) -> ProblemVerdict:
    """Run one completion against the problem's tests. Never raises for what it does."""
    settings = judge.settings
    task = Task(
        name=problem.task_id,
        entry=problem.entry,
        code=problem.program(completion),
        files=((STEM, problem.tests),),
        seconds=seconds or getattr(settings, "judge_seconds", None) or SECONDS,
        memory=(getattr(settings, "judge_memory", None) or MEMORY) * MEBI,
        fail_fast=True,
    )
    begin = time.perf_counter()
    outcome = judge.examine(task, stop)
    bad = next((verdict for verdict in outcome.verdicts if not verdict.passed), None)
    message = outcome.broken or (bad.message if bad else "") or ("" if outcome.verdicts else "No test ran.")
    wall = time.perf_counter() - begin
    return ProblemVerdict(
        problem.task_id, not message, cut(message), wall, outcome.cpu, tuple(outcome.incidents)
    )
