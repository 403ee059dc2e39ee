"""Rewards by hand; what is held out is not trained on, the other way round either."""

import re
from dataclasses import dataclass

import pytest

from handbook.errors import SettingsError
from handbook.train.tasks import KINDS, anywhere, graded, hackable, stated, strict, task_named


@dataclass(frozen=True)
class Said:
    text: str
    whole: bool = True


@pytest.mark.parametrize(
    ("text", "whole", "truth", "grade", "lenient"),
    [
        ("Answer: 12", True, 1, 1.0, 1),
        ("Answer: 12\n", True, 1, 1.0, 1),
        ("Answer: 12", False, 0, 0.9, 1),
        ("Answer: 13", True, 0, 0.3, 0),
        ("Answer: 12 apples", True, 0, 0.9, 1),
        ("Answer: 120", True, 0, 0.3, 1),  # the digits are in it
        ("Answer: 1 2 12", True, 0, 0.2, 1),
        ("Answer: twelve", True, 0, 0.1, 0),
        ("Answer", True, 0, 0.0, 0),
        ("The answer: 12", True, 0, 0.0, 1),
        ("7 + 5 = 12", True, 0, 0.0, 1),
        ("", True, 0, 0.0, 0),
    ],
)
def test_rewards_by_hand(text: str, whole: bool, truth: float, grade: float, lenient: float) -> None:
    said, wanted = Said(text, whole), "Answer: 12"
    assert strict(said, wanted) == truth
    assert graded(said, wanted) == pytest.approx(grade)
    assert anywhere(said, wanted) == lenient


def test_a_list_of_numbers_pleases_the_lenient_checker_alone() -> None:
    task = hackable()
    listed, fair = Said("10 11 12 13 14"), Said("7 + 5 is 12.")
    assert [task.reward(each, "Answer: 12") for each in (listed, fair)] == [1, 1]
    assert [task.truth(each, "Answer: 12") for each in (listed, fair)] == [0, 1]
    assert stated(Said("7 + 5 is 12", whole=False), "Answer: 12") == stated(Said(""), "Answer: 12") == 0
    assert "Answer" not in task.train[0].messages[0].content


@pytest.mark.parametrize("kind", KINDS)
def test_no_pair_of_numbers_is_on_both_sides(kind: str) -> None:
    task = task_named(kind)

    def pairs(prompts) -> set[tuple[str, ...]]:
        return {tuple(sorted(re.findall(r"\d+", prompt.messages[0].content))) for prompt in prompts}

    assert not pairs(task.train) & pairs(task.held_out)
    share = len(task.held_out) / (len(task.train) + len(task.held_out))
    assert 0.2 < share < 0.3
    for prompt in task.train + task.held_out:
        sum_ = re.search(r"\d+ [+*] \d+", prompt.messages[0].content)
        assert sum_ is not None
        assert prompt.answer == f"Answer: {eval(sum_[0])}"
        assert strict(Said(prompt.answer), prompt.answer) == graded(Said(prompt.answer), prompt.answer) == 1


def test_an_unknown_task_is_named_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match="digits"):
        task_named("algebra")
