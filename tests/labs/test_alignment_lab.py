"""The alignment lab: its claims hold, and it runs from end to end, with the sets and without."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from types import ModuleType

import pytest

from handbook.book import modules
from handbook.book.claims import Claim
from handbook.book.load import open_book
from tests.labs.conftest import ROOT

LAB = ROOT / "book/model-training/preference-alignment/lab.py"
CHAPTER = open_book(ROOT / "book").chapters["preference-alignment"]
CLAIMS = {claim.id: claim for claim in CHAPTER.claims}
PROMISED = """dpo-first-loss equivalence-gap off-support-mass length-baseline reward-accuracy
    reward-length-correlation dpo-accuracy-base dpo-accuracy dpo-accuracy-high-beta dpo-kl dpo-kl-high-beta
    dpo-chosen-change orpo-accuracy orpo-kl rlhf-memory dpo-memory orpo-memory gae-example k1-k3-variance
    grpo-success ppo-success hacking-proxy-gain hacking-true-change clip-share"""


@pytest.fixture(scope="module")
def lab() -> ModuleType:
    return modules.load(LAB, "alignment_lab_under_test")


def test_every_promised_claim_is_there() -> None:
    assert set(PROMISED.split()) <= set(CLAIMS)


@pytest.mark.parametrize(
    "claim", [claim for claim in CLAIMS.values() if "sets" not in claim.needs], ids=lambda c: c.id
)
def test_claims_without_sets_hold(claim: Claim, lab: ModuleType) -> None:
    found = getattr(lab, claim.lab)(small=True)
    assert claim.holds(median(found) if isinstance(found, list) else found), found


@pytest.mark.parametrize(
    "claim", [claim for claim in CLAIMS.values() if "models" in claim.needs], ids=lambda c: c.id
)
def test_small_settings_train_a_tiny_model_and_hold(claim: Claim, lab: ModuleType) -> None:
    found = getattr(lab, claim.lab)(small=True)
    assert claim.holds(median(found)), found


def test_the_length_of_what_is_chosen(lab: ModuleType, with_sets: Path) -> None:
    assert CLAIMS["length-baseline"].holds(lab.length_baseline(small=True))


def run_as_script(**changes: str) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != "HANDBOOK_SETS"} | changes
    environment["OMP_NUM_THREADS"] = "1"  # beside a busy neighbour two threads wait for each other
    done = subprocess.run(
        [sys.executable, str(LAB)], capture_output=True, text=True, env=environment, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line for line in done.stdout.splitlines() if line}


@pytest.mark.slow
def test_the_script_measures_what_it_can_and_says_what_it_lacks(tmp_path: Path) -> None:
    lines = run_as_script(HANDBOOK_DATA=str(tmp_path))
    assert set(CLAIMS) <= set(lines)
    assert lines["grpo-success"].endswith("yes")
    assert "handbook models get smollm2-135m-instruct" in lines["dpo-accuracy"]
    assert "handbook train sets" in lines["length-baseline"]


@pytest.mark.slow
def test_pressing_a_button_trains_and_draws() -> None:
    """The cell of reward hacking, as it runs once its button is pressed."""
    pressed = (
        "import sys; from types import SimpleNamespace as N; from handbook.book import modules;"
        "from pathlib import Path; from handbook.lab.alignment import learner;"
        "learner.ROUNDS.update(grpo=8, hacking=8);"
        "lab = modules.load(Path(sys.argv[1]), 'pressed');"
        "_, found = lab.hacking.run(fool=N(value=sys.argv[2] == 'fool'), honest=N(value=True));"
        "print('drawn')"
    )
    for which in ("fool", "honest"):
        done = subprocess.run(
            [sys.executable, "-c", pressed, str(LAB), which],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout.endswith("drawn\n"), done.stderr
