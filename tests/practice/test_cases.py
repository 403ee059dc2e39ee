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
from _adversarial import (  # noqa: E402
    ADVERSARIAL,
    DEV_ADVERSARIAL,
    DEV_PARAPHRASES,
    PARAPHRASES,
    SECOND_ADVERSARIAL,
    SECOND_PARAPHRASES,
    answer_of,
    must_not_pass,
)
from _adversarial import rows as answers  # noqa: E402
from _splits import split_of  # noqa: E402

FOLDER = ROOT / "bench" / "grading" / "cases"
REST = FOLDER.parent / "rest"  # of the test questions
MORE = FOLDER.parent / "more"  # a second helping, of all questions
FILES = sorted((*FOLDER.glob("*.jsonl"), *REST.glob("*.jsonl")))
ALL = sorted((*FILES, *MORE.glob("*.jsonl")))
SHORTEST, LONGEST = 8, 700  # characters
KINDS = ("yes", "wrong", "beside")


def rows(file: Path) -> list[tuple[str, dict[str, object]]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [(f"{file.name}:{number}", json.loads(line)) for number, line in enumerate(lines, 1) if line]


def texts(row: dict[str, object]) -> list[str]:
    return [text for kind in KINDS for text in row.get(kind, [])]  # type: ignore[attr-defined]


def test_there_are_cases() -> None:
    assert FILES
    assert len(ALL) > len(FILES)


@pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)
def test_cases_name_what_exists(file: Path) -> None:
    for place, row in rows(file):
        question = questions().get(str(row["question"]))
        assert question is not None, f"{place}: no question {row['question']!r}"
        kept = split_of(question.id) == "test"
        assert file.parent == MORE or kept == (file.parent == REST), (
            f"{place}: {question.id} is of the other folder"
        )
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
    for files in (FILES, sorted(MORE.glob("*.jsonl"))):
        keys = Counter(
            (row["question"], row.get("criterion", row.get("misconception")))
            for file in files
            for _, row in rows(file)
        )
        assert [key for key, count in keys.items() if count > 1] == []
    said = Counter(text for file in ALL for _, row in rows(file) for text in texts(row))
    assert [text for text, count in said.items() if count > 1] == []


SMALLEST = {  # rows
    "adversarial": 240,
    "paraphrases": 120,
    "dev-adversarial": 180,
    "dev-paraphrases": 85,
    "second-adversarial": 140,
    "second-paraphrases": 65,
}
ATTACKS = (ADVERSARIAL, DEV_ADVERSARIAL, SECOND_ADVERSARIAL)
GOOD = (PARAPHRASES, DEV_PARAPHRASES, SECOND_PARAPHRASES)
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


def criteria_of(row: dict[str, Any], file: Path) -> list[str]:
    question = questions().get(row["question"])
    assert question is not None, f"{row['id']}: no question {row['question']!r}"
    wanted = "dev" if file.stem.startswith("dev") else "test"
    assert split_of(question.id) == wanted, f"{row['id']}: {question.id} isn't kept for that"
    return [each.id for each in question.criteria]


@pytest.mark.parametrize("file", [*ATTACKS, *GOOD], ids=lambda file: file.stem)
def test_answers_kept_for_the_test_are_there_once(file: Path) -> None:
    kept = answers(file)
    assert len(kept) >= SMALLEST[file.stem]
    ids = Counter(row["id"] for row in kept)
    assert [each for each, count in ids.items() if count > 1] == []
    said = Counter((row["question"], row["answer"], row.get("then")) for row in kept)
    assert [each for each, count in said.items() if count > 1] == []


def test_no_answer_is_in_two_sets() -> None:
    ids = Counter(row["id"] for file in (*ATTACKS, *GOOD) for row in answers(file))
    assert [each for each, count in ids.items() if count > 1] == []
    long = Counter(
        (row["question"], row["answer"])
        for file in (*ATTACKS, *GOOD)
        for row in answers(file)
        if len(row["answer"]) > 60
    )
    assert [each for each, count in long.items() if count > 1] == []


@pytest.mark.parametrize("file", ATTACKS, ids=lambda file: file.stem)
def test_attacks_name_what_they_must_not_pass(file: Path) -> None:
    for row in answers(file):
        criteria = criteria_of(row, file)
        refused = must_not_pass(row, criteria)
        assert row["not"] != [] or row["kind"] == "language", row["id"]
        assert sorted([*refused, *row["may"]]) == sorted(criteria), row["id"]
        assert row["kind"] == "empty" or row["answer"].strip(), row["id"]
        assert ("language" in row) == (row["kind"] == "language"), row["id"]


@pytest.mark.parametrize("file", ATTACKS, ids=lambda file: file.stem)
def test_attacks_are_of_all_kinds(file: Path) -> None:
    kinds = Counter(row["kind"] for row in answers(file))
    assert set(kinds) == KINDS_OF_ATTACK
    if file == ADVERSARIAL:
        assert {kind: count for kind, count in kinds.items() if count < OF_A_KIND} == {}


@pytest.mark.parametrize("file", ATTACKS, ids=lambda file: file.stem)
def test_long_attacks_are_long_and_no_others(file: Path) -> None:
    for row in answers(file):
        size = len(answer_of(row, questions()[row["question"]].prompt))
        assert (size >= 50_000) == (row["kind"] == "long"), f"{row['id']}: {size} characters"
        assert size < 70_000, f"{row['id']}: {size} characters"


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_paraphrases_say_what_they_meet(file: Path) -> None:
    kept = answers(file)
    for row in kept:
        criteria = set(criteria_of(row, file))
        yes, no = set(row["yes"]), set(row["no"])
        assert yes, row["id"]
        assert yes | no <= criteria, f"{row['id']}: {(yes | no) - criteria}"
        assert not yes & no, f"{row['id']}: {yes & no}"
        assert row["voice"] in VOICES, row["id"]
        words = len(row["answer"].split())
        assert words in WORDS, f"{row['id']}: {words} words"
    assert len({row["question"] for row in kept}) >= (25 if file == DEV_PARAPHRASES else 40)
    assert {row["voice"] for row in kept} == VOICES
