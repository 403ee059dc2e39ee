"""No exercise can be talked into a verdict: every function gives an object that agrees with everything.

It equals what it is compared with, is above and below it, and what is computed with it is 0.
"""

import ast
from collections.abc import Iterator

import pytest

from handbook.book.load import open_book
from handbook.book.nouns import Exercise
from handbook.practice.judge import Judge

EXERCISES = open_book().exercises
YES = """
class Yes(Exception):
    def __init__(self, *args, **named): pass
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return {"item": lambda: 0.0, "tolist": lambda: [], "shape": Yes(), "dtype": Yes()}.get(name, Yes())
    def __call__(self, *args, **named): return Yes()
    def __getitem__(self, index): return 0.0
    def __setitem__(self, index, value): pass
    def __len__(self): return 1
    def __iter__(self): return iter([0.0])
    def __contains__(self, item): return True
    def __bool__(self): return True
    def __float__(self): return 0.0
    def __int__(self): return 0
    def __index__(self): return 0
    def __hash__(self): return 0
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __enter__(self): return self
    def __exit__(self, *error): return True

for name in (
    "add radd sub rsub mul rmul truediv rtruediv matmul rmatmul pow abs neg pos invert and or round".split()
):
    setattr(Yes, f"__{name}__", lambda self, *other: 0.0)
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


def lying(exercise: Exercise) -> str:
    """A submission that defines what the solution defines."""
    lines = [YES]
    for node in ast.parse(exercise.file("solution.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            lines.append(f"class {node.name}(Yes): pass")
        elif isinstance(node, ast.FunctionDef):
            lines.append(f"def {node.name}(*args, **named): return Yes()")
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            lines.append(f"{node.targets[0].id} = Yes()")
    return "\n".join(lines)


@pytest.mark.parametrize("name", EXERCISES)
def test_an_object_that_agrees_with_everything_passes_no_example(name: str, judge: Judge) -> None:
    """Only that arguments stay as they were, and that little memory is used, is true of it."""
    exercise = EXERCISES[name]
    report = judge.run(exercise, lying(exercise), growth=False, seconds=5.0)
    assert report.broken == ""
    passed = [verdict.name for verdict in report.verdicts if verdict.passed]
    assert len(passed) < len(report.verdicts) / 4, passed
    assert not [name for name in passed if "worked" in name or "example" in name], passed
