"""Which of the book's questions a grader may be trained on: by a hash of the id, so none ever moves."""

from hashlib import sha256
from typing import Literal

Split = Literal["train", "dev", "test"]


def split_of(question: str) -> Split:
    """test: 2 of 10, never trained on. dev: 1 of 10, thresholds and calibration. train: the rest."""
    place = int(sha256(question.encode()).hexdigest(), 16) % 10
    return "test" if place < 2 else "dev" if place == 2 else "train"
