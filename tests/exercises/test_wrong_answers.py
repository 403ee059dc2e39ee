"""Each plausible wrong submission is rejected by the test that was written against its fault.

A file of `wrong/<exercise>/` starts with two lines: `# Fault: ...` and `# Rejected by: <test name>`.
"""

import re
from pathlib import Path

import pytest

from handbook.book.exercises import run
from handbook.book.load import open_book

BOOK = open_book()
WRONG = sorted(Path(__file__).with_name("wrong").glob("*/*.py"))
HEADER = re.compile(r"# Fault: .+\n# Rejected by: (?P<test>test_\w+)\n")


@pytest.mark.parametrize("submission", WRONG, ids=[f"{path.parent.name}/{path.stem}" for path in WRONG])
def test_wrong_submission_is_rejected(submission: Path) -> None:
    header = HEADER.match(submission.read_text(encoding="utf-8"))
    assert header, f"{submission.name} must start with '# Fault: ...' and '# Rejected by: test_...'"
    results = {result.name: result for result in run(BOOK.exercises[submission.parent.name], submission)}
    assert header["test"] in results, f"expected a test {header['test']}, got {sorted(results)}"
    rejected = results[header["test"]]
    assert not rejected.passed
    assert "expected" in rejected.message, rejected.message
    assert "got" in rejected.message, rejected.message


def test_every_exercise_has_wrong_submissions() -> None:
    counts = {name: sum(path.parent.name == name for path in WRONG) for name in BOOK.exercises}
    assert min(counts.values()) >= 2, counts
