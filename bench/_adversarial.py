"""Answers that try to pass without knowing, and good ones in other words: how their rows are read.

bench/grading/README.md says what the fields mean.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GRADING = Path(__file__).parent / "grading"
ADVERSARIAL = GRADING / "adversarial.jsonl"
PARAPHRASES = GRADING / "paraphrases.jsonl"
# By somebody who saw neither those nor the grader.
SECOND_ADVERSARIAL = GRADING / "second-adversarial.jsonl"
SECOND_PARAPHRASES = GRADING / "second-paraphrases.jsonl"
DEV_ADVERSARIAL, DEV_PARAPHRASES = GRADING / "dev-adversarial.jsonl", GRADING / "dev-paraphrases.jsonl"


def rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines, in order; OSError and ValueError as they come."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def answer_of(row: Mapping[str, Any], prompt: str) -> str:
    """What is handed to the grader: `answer` `times` over, then `then`; "{prompt}" is the question's text."""
    answer: str = row["answer"].replace("{prompt}", prompt.strip())
    return answer * row.get("times", 1) + row.get("then", "")


def must_not_pass(row: Mapping[str, Any], criteria: list[str]) -> list[str]:
    """The ids of the question's criteria that an adversarial answer does not meet."""
    return criteria if row["not"] == "all" else list(row["not"])
