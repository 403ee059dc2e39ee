"""The coding lab: every claim that needs no data holds, and the notebook runs from end to end."""

import os
import statistics
import subprocess
import sys
from types import ModuleType

import pytest

from handbook.book import modules
from handbook.book.claims import Claim
from handbook.book.load import open_book
from tests.labs.conftest import ROOT

LAB = ROOT / "book/machine-learning/coding-for-ml-engineers/lab.py"
CHAPTER = open_book(ROOT / "book").chapters["coding-for-ml-engineers"]
CLAIMS = {claim.id: claim for claim in CHAPTER.claims}
TIMED = {"ratio", "exponent", "seconds", "milliseconds", "microseconds"}  # units of what a busy machine moves


@pytest.fixture(scope="module")
def lab() -> ModuleType:
    return modules.load(LAB, "coding_lab_under_test")


def untimed(claim: Claim) -> bool:
    return not claim.needs and claim.unit not in TIMED


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS.values() if untimed(claim)], ids=lambda c: c.id)
def test_claims_that_measure_no_time_hold(claim: Claim, lab: ModuleType) -> None:
    found = getattr(lab, claim.lab)(small=True)
    assert claim.holds(statistics.median(found if isinstance(found, list) else [found]))


@pytest.mark.alone
def test_the_script_holds_every_claim(tmp_path: object) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(LAB)], capture_output=True, text=True, env=environment, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert set(CLAIMS) <= set(lines)
    for name, claim in CLAIMS.items():
        assert lines[name].endswith("yes") or (claim.needs and "skipped" in lines[name]), lines[name]
