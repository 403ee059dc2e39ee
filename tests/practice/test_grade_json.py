"""What ships beside the grader: grade.json is read, and fits the signals that graders have."""

from handbook.practice.calibration import chat_odds, fitted
from handbook.practice.graders.cross import CrossGrader
from handbook.practice.graders.embedding import EmbeddingGrader


def test_each_local_grader_has_a_calibration_of_its_own_signals() -> None:
    for grader in (EmbeddingGrader, CrossGrader):
        found = fitted(grader.name)
        assert set(found.met.names) == set(grader.names)
        assert found.mistakes is not None
        assert set(found.mistakes.names) == set(grader.mistake_names)
        assert 0 < found.no < found.yes < 1
        assert 0 < found.mistake < 1


def test_odds_of_a_chat_model() -> None:
    assert 0.5 < chat_odds().yes < 1
    assert 0.5 < chat_odds().no < 1
