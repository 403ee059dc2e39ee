"""Cases of bench/grading: texts that meet a criterion or don't, alone and put together to whole answers.

A grader sees whole answers, in which the best of many sentences speaks for a criterion, so thresholds that
were chosen on single sentences would be too low. `mixed` makes answers of several cases of a question: for
each criterion a text that meets it, one that is wrong, one beside it, or nothing.
"""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _adversarial import DEV_ADVERSARIAL, DEV_PARAPHRASES, answer_of, must_not_pass
from _adversarial import rows as adversarial_rows
from _splits import Split, split_of
from _taught import CASES, REST, kept_back

from handbook.errors import HandbookError
from handbook.practice.evidence import read
from handbook.records import Question

MIXED = 6  # answers a question
STRANGERS = 4  # texts of other questions, a question


@dataclass(frozen=True, slots=True)
class Case:
    """An answer, and for which criteria and misconceptions it is known whether they are met or made.
    kind: yes, wrong, beside, mixed or elsewhere."""

    question: Question
    text: str
    kind: str
    criteria: dict[str, bool]
    mistakes: dict[int, bool]


def rows(splits: Sequence[Split], questions: dict[str, Question]) -> list[dict[str, Any]]:
    """Lines of the case files. Raises HandbookError where there are none."""
    found = [row for row in _lines((CASES,)) if row["question"] in questions]
    found = [row for row in found if split_of(row["question"]) in splits]
    if not found:
        raise HandbookError(f"No cases of {', '.join(splits)} in {CASES}.", "Use a whole clone.")
    return found


def untaught(questions: dict[str, Question]) -> list[dict[str, Any]]:
    """Of the questions that only the grader's last stage of training knows: the texts that it was not taught.
    Raises HandbookError where there are none."""
    found = [kept_back(row) for row in _lines((CASES, REST)) if row["question"] in questions]
    found = [row for row in found if split_of(row["question"]) != "train"]
    if not found:
        raise HandbookError(f"No cases in {REST}.", "Use a whole clone.")
    return found


def _lines(folders: Sequence[Path]) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for folder in folders
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


def single(lines: Sequence[dict[str, Any]], questions: dict[str, Question]) -> list[Case]:
    """Each text as an answer by itself."""
    cases = []
    for row in lines:
        question = questions[row["question"]]
        for kind in ("yes", "wrong", "beside"):
            for text in row.get(kind, ()):
                known = kind == "yes"
                if "criterion" in row:
                    cases.append(Case(question, text, kind, {row["criterion"]: known}, {}))
                else:
                    cases.append(Case(question, text, f"mistake {kind}", {}, {row["misconception"]: known}))
    return cases


def mixed(lines: Sequence[dict[str, Any]], questions: dict[str, Question], seed: int = 8) -> list[Case]:
    """Whole answers of several texts. A criterion without a text counts as not met, unless the answer has
    a text that stands beside another one: such a text may meet its neighbour."""
    by_question: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lines:
        if "criterion" in row:
            by_question[row["question"]].append(row)
    cases = []
    for id, given in sorted(by_question.items()):
        draw = random.Random(f"{seed}/{id}")
        for _ in range(MIXED):
            told: list[str] = []
            known: dict[str, bool] = {}
            absent: list[str] = []
            beside = False
            for row in given:
                kind = draw.choices(("yes", "wrong", "beside", ""), (4, 2, 2, 2))[0]
                texts = row.get(kind, ()) if kind else ()
                if texts:
                    told.append(_ended(draw.choice(texts)))
                    known[row["criterion"]] = kind == "yes"
                    beside |= kind == "beside"
                else:
                    absent.append(row["criterion"])
            if not beside:
                known |= dict.fromkeys(absent, False)
            draw.shuffle(told)
            if told:
                cases.append(Case(questions[id], " ".join(told), "mixed", known, {}))
    return cases


def elsewhere(lines: Sequence[dict[str, Any]], questions: dict[str, Question], seed: int = 8) -> list[Case]:
    """Right texts of other questions: they meet nothing here."""
    texts = [(row["question"], text) for row in lines if "criterion" in row for text in row.get("yes", ())]
    cases = []
    for id in sorted({row["question"] for row in lines}):
        draw = random.Random(f"{seed}/elsewhere/{id}")
        others = [text for asked, text in texts if asked != id]
        for text in draw.sample(others, min(STRANGERS, len(others))):
            unmet = {each.id: False for each in questions[id].criteria}
            cases.append(Case(questions[id], text, "elsewhere", unmet, {}))
    return cases


def whole(questions: dict[str, Question]) -> list[Case]:
    """Whole answers to questions of the split "dev": those that try to pass without knowing ("gamed" and
    how), and good ones ("good")."""
    cases = []
    for row in adversarial_rows(DEV_ADVERSARIAL):
        question = questions[row["question"]]
        unmet = must_not_pass(row, [each.id for each in question.criteria])
        cases.append(
            Case(question, answer_of(row, question.prompt), "gamed", dict.fromkeys(unmet, False), {})
        )
    for row in adversarial_rows(DEV_PARAPHRASES):
        known = {**dict.fromkeys(row["yes"], True), **dict.fromkeys(row["no"], False)}
        cases.append(Case(questions[row["question"]], row["answer"], "good", known, {}))
    return cases


def _ended(text: str) -> str:
    text = text.strip()
    text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def judged(cases: Sequence[Case]) -> list[Case]:
    """Without those that rules alone decide: no calibration hangs on them."""
    kept = []
    for case in cases:
        reading = read(case.question, case.text)
        if not reading.nothing and not reading.foreign:
            kept.append(case)
    return kept
