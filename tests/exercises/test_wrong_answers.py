"""Every exercise on the judge: its solution passes, its starter fails, and each plausible wrong submission is
rejected by the test that was written against its fault.

A file of `wrong/<exercise>/` starts with two lines: `# Fault: ...` and `# Rejected by: <test name>`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from handbook.book.load import open_book
from handbook.practice.judge import Judge

EXERCISES = open_book().exercises
WRONG = sorted(Path(__file__).with_name("wrong").glob("*/*.py"))
HEADER = re.compile(r"# Fault: .+\n# Rejected by: (?P<test>test_\w+)\n")
SECONDS = 60.0  # the wall time of a busy machine is no fault of an exercise


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


@pytest.mark.parametrize("name", EXERCISES)
def test_solution_passes_all(name: str, judge: Judge) -> None:
    exercise = EXERCISES[name]
    code = exercise.file("solution.py").read_text(encoding="utf-8")
    ours = "from handbook" in code  # what wraps the handbook's own code has to import it
    report = judge.run(exercise, code, growth=False, trusted=ours, seconds=SECONDS)
    assert report.verdicts
    assert [(v.name, v.message) for v in report.verdicts if not v.passed] == []
    assert report.incidents == ()


@pytest.mark.parametrize("name", EXERCISES)
def test_starter_runs_and_fails(name: str, judge: Judge) -> None:
    exercise = EXERCISES[name]
    code = exercise.file("starter.py").read_text(encoding="utf-8")
    report = judge.run(exercise, code, hidden=False, growth=False, seconds=SECONDS)
    assert report.broken == ""
    assert not all(v.passed for v in report.verdicts)


@pytest.mark.parametrize("submission", WRONG, ids=[f"{path.parent.name}/{path.stem}" for path in WRONG])
def test_wrong_submission_is_rejected(submission: Path, judge: Judge) -> None:
    code = submission.read_text(encoding="utf-8")
    header = HEADER.match(code)
    assert header, f"{submission.name} must start with '# Fault: ...' and '# Rejected by: test_...'"
    exercise = EXERCISES[submission.parent.name]
    report = judge.run(exercise, code, only=[header["test"]], growth=False, seconds=SECONDS)
    assert len(report.verdicts) == 1, f"expected a test {header['test']}, got {report.verdicts}"
    verdict = report.verdicts[0]
    assert verdict.state in ("failed", "error"), f"{verdict.state}: {verdict.message}"
    assert "expected" in verdict.message, verdict.message
    assert "got" in verdict.message, verdict.message


def test_every_exercise_has_wrong_submissions() -> None:
    """Parametrised tests over nothing would pass."""
    counts = {name: sum(path.parent.name == name for path in WRONG) for name in EXERCISES}
    assert len(counts) >= 35
    assert min(counts.values()) >= 2, counts
