"""Other people's sets of problems: both layouts read, references accepted, mutants of them rejected."""

import ast
import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from handbook.errors import DataError
from handbook.practice.judge import Judge
from handbook.practice.problems import Problem, judge_problem, read, read_candidates
from handbook.settings import load

HUMAN = {
    "task_id": "H/0",
    "prompt": "def twice(x):\n    return 2 * x\n\n\ndef add(a, b):\n    '''Add.'''\n",
    "entry_point": "add",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n    assert twice(add(1, 1)) == 4\n",
}
MBPP = {
    "task_id": 7,
    "text": "Largest of a list.",
    "code": "def largest(xs):\n    return max(xs)\n",
    "test_list": ["assert largest([1, 3]) == 3", "assert math.isclose(largest([2.5]), 2.5)"],
    "test_setup_code": "import math",
    "challenge_test_list": [],
}


def written(file: Path, *lines: Any) -> Path:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(text.encode()))
    else:
        file.write_text(text)
    return file


def verdict(judge: Judge, problem: Problem, code: str) -> str:
    return judge_problem(problem, code, judge=judge, seconds=5.0).message


def test_both_layouts(judge: Judge, tmp_path: Path) -> None:
    human, mbpp = read(written(tmp_path / "a.jsonl.gz", HUMAN, MBPP))
    assert (human.entry, mbpp.entry, mbpp.task_id) == ("add", "largest", "7")
    assert verdict(judge, human, human.candidate) == ""
    assert verdict(judge, human, "def add(a, b):\n    return a + b\n") == ""
    assert verdict(judge, mbpp, mbpp.candidate) == ""
    assert "Does not hold: assert candidate(2, 3) == 5" in verdict(judge, human, "    return a - b\n")
    assert "Does not hold" in verdict(judge, mbpp, "def largest(xs):\n    return xs[0]\n")
    assert "defines no largest" in verdict(judge, mbpp, "x = 1\n")
    assert "cannot be loaded" in verdict(judge, human, "   return (\n")


def test_candidates(tmp_path: Path) -> None:
    file = written(tmp_path / "c.jsonl", {"task_id": 7, "completion": "a"}, {"task_id": 7, "code": "b"})
    assert read_candidates(file) == {"7": ["a", "b"]}
    with pytest.raises(DataError, match="line 1: expected task_id and completion"):
        read_candidates(written(tmp_path / "d.jsonl", {"task_id": 7}))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"task_id": 1}, "line 1: no 'test_list'"),
        ([1], "expected an object"),
        ({**HUMAN, "entry_point": "a b"}, "is no name"),
        ({**HUMAN, "prompt": 3}, "prompt is no text"),
        ({**MBPP, "test_list": ["assert ("]}, "line 1"),
        ({**MBPP, "test_list": []}, "its tests call nothing"),
        ({**MBPP, "test_list": ["assert a" + ".b" * 50000]}, "line 1"),
    ],
)
def test_what_is_no_problem_is_said(tmp_path: Path, line: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read(written(tmp_path / "a.jsonl", line))
    assert said in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{not json\n")
    (tmp_path / "b.jsonl.gz").write_bytes(b"not gzip")
    (tmp_path / "c.jsonl").write_bytes(b"\xff\xfe")
    (tmp_path / "d.jsonl").write_text("\n")
    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl", "d.jsonl", "missing.jsonl"):
        with pytest.raises(DataError):
            read(tmp_path / name)


@pytest.fixture(scope="module")
def human_eval() -> list[Problem]:
    folder = load().code or Path(__file__).parents[3] / "shared" / "data" / "code"
    file = folder / "humaneval" / "HumanEval.jsonl.gz"
    if not file.is_file():
        pytest.skip("the setting `code` names no folder with humaneval/HumanEval.jsonl.gz")
    return read(file)


def all_of(judge: Judge, work: list[tuple[Problem, str]]) -> Iterator[tuple[Problem, str]]:
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda one: judge_problem(*one, judge=judge), work)
        yield from ((problem, found.message) for (problem, _), found in zip(work, done, strict=True))


@pytest.mark.shared
def test_all_references_of_human_eval_are_accepted(judge: Judge, human_eval: list[Problem]) -> None:
    assert len(human_eval) == 164
    work = [(problem, problem.reference) for problem in human_eval]
    assert {problem.task_id: said for problem, said in all_of(judge, work) if said} == {}


SWAPPED = ((ast.Lt, ast.GtE), (ast.Gt, ast.LtE), (ast.Eq, ast.NotEq))
OTHER = dict([*SWAPPED, *((b, a) for a, b in SWAPPED)])


class Negated(ast.NodeTransformer):
    """Each comparison the other way round, each sum a difference."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        node.ops = [OTHER.get(type(op), type(op))() for op in node.ops]
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add):
            node.op = ast.Sub()
        return node


@pytest.mark.shared
def test_mutants_of_references_are_rejected(judge: Judge, human_eval: list[Problem]) -> None:
    work = []
    for problem in human_eval[::8]:
        tree = ast.parse(problem.program(problem.reference))
        mutant = ast.unparse(Negated().visit(tree))
        if mutant != ast.unparse(ast.parse(problem.program(problem.reference))):
            work.append((problem, mutant))
    assert len(work) > 10
    accepted = [problem.task_id for problem, said in all_of(judge, work) if not said]
    assert accepted == []
