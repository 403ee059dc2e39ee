"""The queue of answers, and the places that a grade quotes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.grader_stand_in import StandInGrader
from handbook.app.web import grading as module
from handbook.app.web.grading import Gradings, by_hand
from handbook.app.web.marking import pieces
from handbook.errors import HandbookError
from handbook.records import Criterion, Grade, Judgement, Question, Recognised, Verdict

CRITERIA = (Criterion("gas", "Holds the gas.", 2.0, True), Criterion("rest", "Needs the rest."))


def question(id: str) -> Question:
    return Question(id, "basics/bread", "senior", "explain", "Why?", "So.", CRITERIA, (), (), "gluten")


def test_answers_are_graded_one_after_the_other() -> None:
    graders = StandInGrader()
    gradings = Gradings(graders)
    first = gradings.begin(question("a"), "slow holds")
    later = [gradings.begin(question(id), "needs") for id in "bcd"]
    assert not gradings.wait(first, 0.05)
    assert {each.state for each in later} == {"waiting"}
    graders.go.set()
    assert all(gradings.wait(each, 60) for each in (first, *later))
    assert [each.grade.low for each in (first, *later) if each.grade] == pytest.approx([2 / 3, *[1 / 3] * 3])
    gradings.close()


def test_a_later_answer_to_the_same_question_takes_the_place_of_the_one_that_waits() -> None:
    graders = StandInGrader()
    gradings = Gradings(graders)
    first = gradings.begin(question("a"), "slow")
    second, third = (gradings.begin(question("b"), "holds") for _ in range(2))
    assert second.stopped
    graders.go.set()
    assert gradings.wait(third, 60)
    assert gradings.wait(first, 60)
    assert graders.graded == 2
    gradings.close()


def test_a_stopped_answer_is_the_persons_whatever_the_grader_says_later() -> None:
    graders = StandInGrader()
    gradings = Gradings(graders)
    first = gradings.begin(question("a"), "slow holds")
    while graders.graded == 0:
        time.sleep(0.005)
    waiting = gradings.begin(question("b"), "holds")
    gradings.stop(first)
    assert gradings.wait(waiting, 60), "the next one does not wait for a grader that hangs"
    mark = first.mark
    graders.go.set()
    time.sleep(0.05)
    assert first.grade == by_hand(first.question, "slow holds")
    assert first.mark == mark
    gradings.close()


def test_too_many_answers_are_refused_and_none_begins_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 2)
    graders = StandInGrader()
    gradings = Gradings(graders)
    gradings.begin(question("a"), "slow")
    while graders.graded == 0:
        time.sleep(0.005)
    for id in "bc":
        gradings.begin(question(id), "x")
    with pytest.raises(HandbookError, match="2 answers wait"):
        gradings.begin(question("d"), "x")
    gradings.close()
    with pytest.raises(HandbookError, match="closing"):
        gradings.begin(question("e"), "x")
    graders.go.set()


def test_old_grades_are_forgotten_and_running_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    graders = StandInGrader()
    gradings = Gradings(graders)
    running = gradings.begin(question("z"), "slow")
    while graders.graded == 0:
        time.sleep(0.005)
    waiting = [gradings.begin(question(str(at)), "x") for at in range(4)]
    assert gradings.get(running.id) is running
    graders.go.set()
    assert gradings.wait(waiting[-1], 60)
    last = gradings.begin(question("last"), "x")
    assert gradings.get(running.id) is None
    assert gradings.get(last.id) is last
    gradings.close()


def test_no_answer_is_judged_without_a_person() -> None:
    assert by_hand(question("a"), " \n").low == by_hand(question("a"), "").high == 0
    assert by_hand(question("a"), "x").open == ("gas", "rest")


@given(
    some.text(max_size=30),
    some.lists(some.tuples(some.integers(-3, 33), some.integers(-3, 33)), max_size=5),
    some.lists(some.tuples(some.integers(-3, 33), some.integers(-3, 33)), max_size=3),
)
def test_the_pieces_are_the_answer_and_each_quote_is_marked_whole(
    answer: str, met: list[tuple[int, int]], wrong: list[tuple[int, int]]
) -> None:
    verdicts: tuple[Verdict, ...] = ("yes", "unclear", "no")
    judgements = tuple(
        Judgement("c", verdicts[at % 3], start=low, end=high) for at, (low, high) in enumerate(met)
    )
    mistakes = tuple(Recognised(0, "", low, high) for low, high in wrong)
    found = pieces(Grade("q", answer, judgements, mistakes))
    assert "".join(each.text for each in found) == answer
    quoted = {at for low, high in met + wrong if 0 <= low < high <= len(answer) for at in range(low, high)}
    assert sum(len(each.text) for each in found if each.kind) == len(quoted)
    for at, (low, high) in enumerate(met, 1):
        marked = "".join(each.text for each in found if at in each.criteria)
        assert marked == (answer[low:high] if 0 <= low < high <= len(answer) else "")
    for low, high in wrong:
        if 0 <= low < high <= len(answer):
            place = 0
            for each in found:
                assert not (low <= place < high) or each.kind == "wrong"
                place += len(each.text)
