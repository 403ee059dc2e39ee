"""Each plausible wrong submission is rejected by the test that was written against its fault.

A file of `wrong/<exercise>/` starts with two lines: `# Fault: ...` and `# Rejected by: <test name>`.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from handbook.book.exercises import RUNNER, run
from handbook.book.load import open_book
from handbook.book.nouns import Exercise

BOOK = open_book()
WRONG = sorted(Path(__file__).with_name("wrong").glob("*/*.py"))
HEADER = re.compile(r"# Fault: .+\n# Rejected by: (?P<test>test_\w+)\n")
STEMS = ("tests", "hidden")
Verdicts = dict[str, str]  # test -> message, empty where it passed


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Exercise, Path], Verdicts]]:
    """The verdicts of `handbook.book.exercises.run`, from forks of one process that has imported torch."""
    command = [sys.executable, "-I", "-B", str(Path(__file__).with_name("forking.py")), str(RUNNER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def verdicts(exercise: Exercise, submission: Path) -> Verdicts:
            folder = tmp_path_factory.mktemp(exercise.name)
            shutil.copyfile(submission, folder / "submission.py")
            for stem in STEMS:
                shutil.copyfile(exercise.file(f"{stem}.py"), folder / f"{stem}.py")
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps([str(folder), exercise.entry, *STEMS]), file=process.stdin, flush=True)
            said = [json.loads(line) for line in json.loads(process.stdout.readline())]
            return {m["name"].partition(":")[2]: m["message"] for m in said if "passed" in m}

        yield verdicts
        process.stdin.close()


@pytest.mark.parametrize("submission", WRONG, ids=[f"{path.parent.name}/{path.stem}" for path in WRONG])
def test_wrong_submission_is_rejected(submission: Path, judge: Callable[[Exercise, Path], Verdicts]) -> None:
    header = HEADER.match(submission.read_text(encoding="utf-8"))
    assert header, f"{submission.name} must start with '# Fault: ...' and '# Rejected by: test_...'"
    verdicts = judge(BOOK.exercises[submission.parent.name], submission)
    assert header["test"] in verdicts, f"expected a test {header['test']}, got {sorted(verdicts)}"
    message = verdicts[header["test"]]
    assert "expected" in message, message or "passed"
    assert "got" in message, message


@pytest.mark.parametrize("submission", WRONG[::100], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_forks_judge_as_the_book_does(submission: Path, judge: Callable[[Exercise, Path], Verdicts]) -> None:
    exercise = BOOK.exercises[submission.parent.name]
    expected = {result.name: result.passed for result in run(exercise, submission)}
    assert {name: not message for name, message in judge(exercise, submission).items()} == expected


def test_every_exercise_has_wrong_submissions() -> None:
    counts = {name: sum(path.parent.name == name for path in WRONG) for name in BOOK.exercises}
    assert min(counts.values()) >= 2, counts
