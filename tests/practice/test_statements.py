"""Criteria as statements: the verbs that the book uses, and every criterion of the book."""

import re

import pytest

from handbook.book.load import open_book
from handbook.practice.statements import VERBS, statement

PAIRS = [
    ("Says that decode is limited by memory, or that it reads the weights.",
     "Decode is limited by memory, or it reads the weights."),
    ("Shows or says that q·(U c) equals (Uᵀ q)·c.", "q·(U c) equals (Uᵀ q)·c."),
    ("Says that dx is 0.", "dx is 0."),
    ("Arrives at F = 8C/3.", "F = 8C/3."),
    ("Gets about 4.3 GB (4 GiB) in all.", "The result is about 4.3 GB (4 GiB) in all."),
    ("Gets rollback by moving the tag.", "Get rollback by moving the tag."),
    ("Computes the verdict in a process of its own.", "Compute the verdict in a process of its own."),
    ("Finds GQA-8 about 3.6 times as large.", "GQA-8 is about 3.6 times as large."),
    ("Names work that grows with the square of the length as a price.",
     "Work that grows with the square of the length is a price."),
    ("Names differing rights as reasons for retrieval.", "Differing rights are reasons for retrieval."),
    ("Names a condition, such as a shared prefix.", "A condition is, for example, a shared prefix."),
    ("Explains it by reference counts.", "It is explained by reference counts."),
    ("Identifies the cause and asks for a profile.", "The cause and ask for a profile."),
    ("Ties speed to size, and says that it grows.", "Tie speed to size, and it grows."),
    ("Reaches the target.", "Reach the target."),
    ("Identical runs agree.", "Identical runs agree."),
    ("Has people read a sample", "Have people read a sample."),
    ("Stacks are last in, first out.", "Stacks are last in, first out."),
    ("Keys and values are kept.", "Keys and values are kept."),
    ("", ""),
    ("Supports", "Supports."),
]  # fmt: skip


@pytest.mark.parametrize(("yes", "said"), PAIRS)
def test_turns_into_a_statement(yes: str, said: str) -> None:
    assert statement(yes) == said


def test_every_criterion_of_the_book_becomes_a_sentence() -> None:
    for question in open_book().questions.values():
        for criterion in question.criteria:
            said = statement(criterion.yes)
            first = criterion.yes.split()[0].lower()
            assert first in VERBS or first == "would", criterion
            assert said.endswith("."), criterion
            assert len(said) > 8, criterion
            assert not re.match(r"(?:Says|Names|Gets|Arrives|Gives|Explains|Shows|Asks|Proposes)\b", said), (
                said
            )


def test_a_statement_stays_one() -> None:
    texts = [
        c.yes for q in open_book().questions.values() for c in q.criteria if c.yes.startswith("Says that")
    ]
    assert len(texts) > 400
    changed = [text for text in texts if statement(statement(text)) != statement(text)]
    assert len(changed) <= 2  # where a noun is a verb elsewhere: drops make, checks belong
