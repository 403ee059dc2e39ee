"""`handbook judge`: exercises, problems, isolation; and hints and solutions of exercises."""

import io
import json
from pathlib import Path

import pytest
from cli.test_shapes import assert_shape, printed

from handbook.app.cli.main import run

NAME = "merge-intervals"
COLD = ("--isolation", "process")  # quicker than a worker that starts for one submission


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path / "data"))


@pytest.fixture
def solution(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Path:
    from handbook.book.load import open_book

    file = tmp_path / "mine.py"
    file.write_text(open_book().exercises[NAME].file("solution.py").read_text())
    return file


def test_a_solution_passes(capsys: pytest.CaptureFixture[str], solution: Path) -> None:
    code, values = printed(capsys, "judge", NAME, str(solution), "--json", "--visible")
    assert_shape(values)
    assert (code, values["passed"]) == (0, True)
    assert {verdict["state"] for verdict in values["verdicts"]} == {"passed"}
    assert values["growth"] is None


def test_a_wrong_answer_on_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from handbook.book.load import open_book

    entry = open_book().exercises[NAME].entry
    monkeypatch.setattr("sys.stdin", io.StringIO(f"def {entry}(*args):\n    print('here')\n    return []\n"))
    code = run(["judge", NAME, "-", "--test", "test_worked_example", "--no-growth", *COLD])
    said = capsys.readouterr().out
    assert code == 1
    assert "FAIL  test_worked_example" in said
    assert "expected" in said
    assert "printed:\n        here" in said
    assert "0 of 1 passed." in said
    assert "isolation: " in said


def test_code_that_cannot_be_loaded_is_said_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import no_such_thing\n")
    assert run(["exercise", "run", NAME, str(file)]) == 1
    said = capsys.readouterr().out
    assert said.count("Line 1 imports no_such_thing.") == 1
    assert "tests ran." in said
    code, values = printed(capsys, "exercise", "run", NAME, str(file), "--json")
    assert_shape(values)
    assert (code, values["passed"]) == (1, False)
    assert "no_such_thing" in values["broken"]


def test_input(capsys: pytest.CaptureFixture[str], solution: Path) -> None:
    code, values = printed(capsys, "judge", NAME, str(solution), "--json", "--input", "1 + 1", *COLD)
    assert_shape(values)
    assert (code, values["value"], values["reference_value"]) == (0, "2", "2")
    assert run(["judge", NAME, str(solution), "--input", "1 / 0", *COLD]) == 1
    assert "error:     ZeroDivisionError" in capsys.readouterr().out


def test_wrong_use(capsys: pytest.CaptureFixture[str], solution: Path) -> None:
    assert run(["judge", "merge-interval", str(solution)]) == 2
    assert "merge-intervals" in capsys.readouterr().err
    assert run(["judge", NAME, str(solution), "--test", "test_nothing"]) == 2
    assert run(["judge", NAME, "no-such-file.py"]) == 2
    assert run(["judge", NAME, str(solution), "--isolation", "nothing"]) == 2


def test_isolation(capsys: pytest.CaptureFixture[str]) -> None:
    code, values = printed(capsys, "judge", "isolation", "--json")
    assert_shape(values)
    assert code == 0
    assert values["layers"]
    assert run(["judge", "isolation", "--isolation", "process"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("process: limits")
    assert "not contained" in said


def test_problems(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    problem = {
        "task_id": "H/0",
        "prompt": "def one():\n    '''One.'''\n",
        "entry_point": "one",
        "canonical_solution": "    return 1\n",
        "test": "def check(candidate):\n    assert candidate() == 1, 'expected 1'\n",
    }
    file, samples = tmp_path / "p.jsonl", tmp_path / "s.jsonl"
    file.write_text(json.dumps(problem) + "\n")
    samples.write_text(
        "".join(
            json.dumps({"task_id": "H/0", "completion": c}) + "\n" for c in ("    return 2", "    return 1")
        )
    )
    code, values = printed(
        capsys, "judge", "problems", str(file), "--json", "--candidates", str(samples), *COLD
    )
    assert_shape(values)
    assert (code, values["candidates"], values["passed"], values["solved"]) == (1, 2, 1, 1)
    assert [(row["candidate"], row["message"]) for row in values["results"]] == [(0, "expected 1"), (1, "")]
    assert run(["judge", "problems", str(file), "--limit", "1", *COLD]) == 0
    assert capsys.readouterr().out.startswith("1 of 1 candidates passed (1 problems).")
    assert run(["judge", "problems", str(file), "--ids", "H/9"]) == 2
    file.write_text("{}\n")
    assert run(["judge", "problems", str(file)]) == 3


def test_hints_and_solution(capsys: pytest.CaptureFixture[str]) -> None:
    from handbook.book.load import open_book

    exercise = open_book().exercises[NAME]
    assert run(["exercise", "hint", NAME, "2"]) == 0
    assert capsys.readouterr().out.strip() == exercise.hints[1].strip()
    assert run(["exercise", "hint", NAME, "4"]) == 2
    capsys.readouterr()
    assert run(["exercise", "solution", NAME]) == 0
    said = capsys.readouterr().out
    assert f"def {exercise.entry}" in said
    assert exercise.commentary.strip() in said
    assert run(["exercise", "solution", "top-p-sampling"]) == 0
    assert "def top_p_filter" in capsys.readouterr().out
