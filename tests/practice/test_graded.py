"""Agreement with people's scores as scikit-learn and scipy compute it; questions are really left out."""

import sys
from pathlib import Path

import numpy as np
import pytest

from handbook.errors import HandbookError

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from _agreement import agreement, points, quadratic_kappa
from _graded import Answered, Graded, as_question, from_csv, mohler, saf
from _scoring import equate, folds, left_out
from grading import between_people, measured


@pytest.fixture
def draw() -> np.random.Generator:
    """The same for each test, whichever ran before."""
    return np.random.default_rng(3)


def test_kappa_and_r_are_those_of_the_libraries(draw: np.random.Generator) -> None:
    from scipy.stats import pearsonr
    from sklearn.metrics import cohen_kappa_score

    human = draw.integers(0, 11, 300) / 2
    given = np.clip(human + draw.normal(0, 1.2, 300), 0, 5)
    found = agreement(given, human, 0, 5)
    one, two = points(given, 0, 5), points(human, 0, 5)
    assert found.kappa == pytest.approx(cohen_kappa_score(one, two, weights="quadratic"), abs=1e-12)
    assert found.r == pytest.approx(pearsonr(given, human).statistic, abs=1e-12)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((given - human) ** 2)), abs=1e-12)


def test_bands_by_hand() -> None:
    found = agreement([3, 1, 5, 5], [0, 1, 4, 5], 0, 5)
    assert [band.answers for band in found.bands] == [1, 1, 0, 0, 2]
    assert found.bands[0].mean_error == 3
    assert found.poor.answers == 2
    assert found.poor.mean_error == 1.5
    assert found.bands[4].mean_error == 0.5


def test_halves_go_up_and_a_scale_to_one_has_fifths() -> None:
    assert points(np.array([0.5, 1.49, 4.5]), 0, 5).tolist() == [1, 1, 5]
    assert points(np.array([0.0, 0.5, 1.0]), 0, 1).tolist() == [0, 3, 5]


def test_a_constant_grader_agrees_with_nobody() -> None:
    found = agreement([4.0] * 6, [0, 1, 2, 3, 4, 5], 0, 5)
    assert found.r == 0
    assert found.kappa == pytest.approx(0, abs=1e-12)
    assert quadratic_kappa(np.array([2, 2]), np.array([2, 2])) == 0


def test_no_question_is_on_both_sides() -> None:
    asked = [f"q{n % 7}" for n in range(70)]
    parts = folds(asked, 1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(70))
    for out in parts:
        inside = {asked[place] for place in out}
        rest = {asked[place] for place in np.setdiff1d(np.arange(70), out)}
        assert not inside & rest
    with pytest.raises(ValueError, match="two questions"):
        folds(["one"] * 5)


def test_a_score_that_hangs_on_the_question_is_not_learned(draw: np.random.Generator) -> None:
    """Each question has its own level, which only a fit that has seen it could know."""
    asked = [f"q{n % 20}" for n in range(400)]
    level = {f"q{n}": draw.uniform(0, 5) for n in range(20)}
    human = np.array([level[each] for each in asked])
    own = np.eye(20)[[int(each[1:]) for each in asked]]
    plain, _ = left_out([own], human, asked, 0, 5)
    assert abs(agreement(plain, human, 0, 5).r) < 0.35 or agreement(plain, human, 0, 5).r < 0


def test_equated_scores_have_the_spread_of_the_human_ones(draw: np.random.Generator) -> None:
    human = draw.choice([0, 2, 5], 600, p=[0.1, 0.2, 0.7]).astype(float)
    scored = 4 + 0.1 * human + draw.normal(0, 0.05, 600)
    given = equate(scored, human, scored)
    assert abs(given.mean() - human.mean()) < 0.1
    assert abs(given.std() - human.std()) < 0.15


def test_the_table_has_what_was_computed() -> None:
    rows = tuple(Answered(f"q{n % 5}", "a b c", "a b", n % 6, (n % 6, (n + 1) % 6)) for n in range(60))
    graded = Graded("own", rows, 0, 5)
    seen = np.array([[row.score] for row in rows])
    said, scores = measured(graded, {"oracle": [seen]}, range(2))
    assert said["oracle"]["ridge"]["r"] > 0.999
    assert scores["oracle"].shape == (60,)
    people = between_people(graded)
    assert people is not None
    assert people.n == 60


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("Question,Reference,Answer,Score\nq,One. Two is more.,an answer,2\nq2,r,b,4\n", "utf-8")
    graded = from_csv(file)
    assert (graded.low, graded.high, len(graded.rows)) == (0, 4, 2)
    assert [each.yes for each in as_question(graded.rows[0]).criteria] == ["One.", "Two is more."]
    assert from_csv(file, 0, 5).high == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question,reference,answer\nq,r,a\n", "expected a column score"),
        ("question,reference,answer,score\nq,r,a,good\n", "line 2: 'good' is no score"),
        ("question,reference,answer,score\nq,r,a,nan\n", "no score"),
        ("question,reference,answer,score\n", "expected a column"),
        ("question,reference,answer,score\nq,r,a,0\n", "all scores"),
        ("", "expected a column"),
    ],
)
def test_a_faulty_table_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "own.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(HandbookError, match=said):
        from_csv(file)


def test_a_set_in_xml_reads_no_other_file(tmp_path: Path) -> None:
    folder = tmp_path / "saf" / "training" / "english"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("the secret", "utf-8")
    (folder / "1.xml").write_text(
        f'<!DOCTYPE q [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
        "<question><questionText>Why?</questionText>"
        "<referenceAnswers><referenceAnswer>Because.</referenceAnswer></referenceAnswers><studentAnswers>"
        "<studentAnswer><response>so &x;</response><score>0.5</score></studentAnswer></studentAnswers>"
        "</question>",
        "utf-8",
    )
    graded = saf(tmp_path, "training")
    assert len(graded.rows) == 1
    assert "secret" not in graded.rows[0].answer


def test_the_public_set_is_whole(grading_path: Path) -> None:
    graded = mohler(grading_path)
    assert len(graded.rows) == 2273
    people = between_people(graded)
    assert people is not None
    assert people.r == pytest.approx(0.597, abs=0.001)
    assert people.kappa == pytest.approx(0.491, abs=0.001)


def test_cells_beyond_the_head_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text("question,reference,answer,score\na,b,c,1,2,3\nq,b,c,2\n")
    assert [row.score for row in from_csv(file).rows] == [1, 2]
