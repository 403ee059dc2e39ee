"""The answers that the grader learns from and is tried with: of questions of the right split, none twice."""

import json
import sys
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from handbook.book.load import open_book
from handbook.records import Question

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from _adversarial import ADVERSARIAL, PARAPHRASES, answer_of, must_not_pass  # noqa: E402
from _adversarial import rows as answers  # noqa: E402
from _splits import split_of  # noqa: E402

FOLDER = ROOT / "bench" / "grading" / "cases"
REST = FOLDER.parent / "rest"  # of the test questions
FILES = sorted((*FOLDER.glob("*.jsonl"), *REST.glob("*.jsonl")))
SHORTEST, LONGEST = 8, 700  # characters
KINDS = ("yes", "wrong", "beside")


def rows(file: Path) -> list[tuple[str, dict[str, object]]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [(f"{file.name}:{number}", json.loads(line)) for number, line in enumerate(lines, 1) if line]


def texts(row: dict[str, object]) -> list[str]:
    return [text for kind in KINDS for text in row.get(kind, [])]  # type: ignore[attr-defined]


def test_there_are_cases() -> None:
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_cases_name_what_exists(file: Path) -> None:
    for place, row in rows(file):
        question = questions().get(str(row["question"]))
        assert question is not None, f"{place}: no question {row['question']!r}"
        kept = split_of(question.id) == "test"
        assert kept == (file.parent == REST), f"{place}: {question.id} is of the other folder"
        assert ("criterion" in row) != ("misconception" in row), place
        if "criterion" in row:
            assert row["criterion"] in {each.id for each in question.criteria}, place
            assert row["wrong"], place
            assert row["beside"], place
        else:
            assert row["misconception"] in range(len(question.misconceptions)), place
        assert row["yes"], place
        for text in texts(row):
            assert SHORTEST <= len(text) <= LONGEST, f"{place}: {len(text)} characters: {text!r}"
            assert text == text.strip(), place


def test_no_case_is_there_twice() -> None:
    keys = Counter(
        (row["question"], row.get("criterion", row.get("misconception")))
        for file in FILES
        for _, row in rows(file)
    )
    assert [key for key, count in keys.items() if count > 1] == []
    said = Counter(text for file in FILES for _, row in rows(file) for text in texts(row))
    assert [text for text, count in said.items() if count > 1] == []


SMALLEST = {"adversarial": 240, "paraphrases": 120}  # rows
KINDS_OF_ATTACK = {
    "praise",
    "echo",
    "salad",
    "wrong",
    "fatal",
    "negated",
    "orders",
    "language",
    "empty",
    "long",
    "neighbour",
    "hedge",
    "questions",
    "views",
}
OF_A_KIND = 18  # rows, at least
VOICES = {"notes", "spoken", "essay", "bullets", "learner", "typos"}
WORDS = range(40, 221)


@cache
def questions() -> Mapping[str, Question]:
    return open_book().questions


def criteria_of(row: dict[str, Any]) -> list[str]:
    question = questions().get(row["question"])
    assert question is not None, f"{row['id']}: no question {row['question']!r}"
    assert split_of(question.id) == "test", f"{row['id']}: {question.id} isn't kept for the test"
    return [each.id for each in question.criteria]


@pytest.mark.parametrize("file", [ADVERSARIAL, PARAPHRASES], ids=lambda file: file.stem)
def test_answers_kept_for_the_test_are_there_once(file: Path) -> None:
    kept = answers(file)
    assert len(kept) >= SMALLEST[file.stem]
    ids = Counter(row["id"] for row in kept)
    assert [each for each, count in ids.items() if count > 1] == []
    said = Counter((row["question"], row["answer"], row.get("then")) for row in kept)
    assert [each for each, count in said.items() if count > 1] == []


def test_attacks_name_what_they_must_not_pass() -> None:
    for row in answers(ADVERSARIAL):
        criteria = criteria_of(row)
        refused = must_not_pass(row, criteria)
        assert row["not"] != [] or row["kind"] == "language", row["id"]
        assert sorted([*refused, *row["may"]]) == sorted(criteria), row["id"]
        assert row["kind"] == "empty" or row["answer"].strip(), row["id"]
        assert ("language" in row) == (row["kind"] == "language"), row["id"]


def test_attacks_are_of_all_kinds() -> None:
    kinds = Counter(row["kind"] for row in answers(ADVERSARIAL))
    assert set(kinds) == KINDS_OF_ATTACK
    assert {kind: count for kind, count in kinds.items() if count < OF_A_KIND} == {}


def test_long_attacks_are_long_and_no_others() -> None:
    for row in answers(ADVERSARIAL):
        size = len(answer_of(row, questions()[row["question"]].prompt))
        assert (size >= 50_000) == (row["kind"] == "long"), f"{row['id']}: {size} characters"
        assert size < 60_000, f"{row['id']}: {size} characters"


def test_paraphrases_say_what_they_meet() -> None:
    kept = answers(PARAPHRASES)
    for row in kept:
        criteria = set(criteria_of(row))
        yes, no = set(row["yes"]), set(row["no"])
        assert yes, row["id"]
        assert yes | no <= criteria, f"{row['id']}: {(yes | no) - criteria}"
        assert not yes & no, f"{row['id']}: {yes & no}"
        assert row["voice"] in VOICES, row["id"]
        words = len(row["answer"].split())
        assert words in WORDS, f"{row['id']}: {words} words"
    assert len({row["question"] for row in kept}) >= 40
    assert {row["voice"] for row in kept} == VOICES
