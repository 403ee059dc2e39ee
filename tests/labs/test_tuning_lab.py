"""The fine-tuning lab: its claims hold, and it runs from end to end, with the model and without."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from handbook.book import modules
from handbook.book.claims import Claim
from handbook.book.load import open_book
from tests.labs.conftest import ROOT

LAB = ROOT / "book/model-training/fine-tuning-strategies/lab.py"
CHAPTER = open_book(ROOT / "book").chapters["fine-tuning-strategies"]
CLAIMS = {claim.id: claim for claim in CHAPTER.claims}
PROMISED = """lora-share full-bytes-per-parameter logits-megabytes chunked-logits-peak packing-waste
    packing-speed packing-leak lora-step-speed checkpointing-cost checkpointing-memory base-loss rank-loss-4
    rank-loss-16 rank-loss-64 attention-only-loss full-loss forgetting-full forgetting-lora facts-tuned
    facts-in-context merge-difference merge-bf16-loss pissa-start nf4-bits nf4-error nf4-perplexity
    qlora-memory qlora-step adam8-memory adam8-loss adapters-batch-cost"""
RANDOM = """packing-speed lora-step-speed checkpointing-cost checkpointing-memory qlora-step
    adapters-batch-cost"""


@pytest.fixture(scope="module")
def lab() -> ModuleType:
    return modules.load(LAB, "tuning_lab_under_test")


def held(claim: Claim, lab: ModuleType) -> bool:
    found = getattr(lab, claim.lab)(small=True)
    samples = sorted(found) if isinstance(found, list) else [found]
    return claim.holds(samples[len(samples) // 2])


def test_every_promised_claim_is_there() -> None:
    assert set(PROMISED.split()) <= set(CLAIMS)


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS.values() if not claim.needs], ids=lambda c: c.id)
def test_claims_without_a_model_hold(claim: Claim, lab: ModuleType) -> None:
    assert held(claim, lab)


@pytest.mark.alone
@pytest.mark.parametrize("id", RANDOM.split())
def test_counted_and_timed_claims_hold_for_a_random_model_too(id: str, lab: ModuleType) -> None:
    assert held(CLAIMS[id], lab)


def run_as_script(**changes: str) -> dict[str, str]:
    away = ("HANDBOOK_TEXT", "HANDBOOK_SETS")
    environment = {name: value for name, value in os.environ.items() if name not in away} | changes
    environment["OMP_NUM_THREADS"] = "1"  # beside a busy neighbour two threads wait for each other
    done = subprocess.run(
        [sys.executable, str(LAB)], capture_output=True, text=True, env=environment, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line for line in done.stdout.splitlines() if line}


@pytest.fixture(scope="module")
def printed(smollm2_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """What the notebook prints when it runs from end to end, on real weights, and the text and the sets if
    they are here."""
    found = {}
    for variable, fixture in (("HANDBOOK_TEXT", "text_path"), ("HANDBOOK_SETS", "sets_path")):
        try:
            found[variable] = str(request.getfixturevalue(fixture))
        except pytest.skip.Exception:
            continue
    return run_as_script(**found)


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("claim", CLAIMS)
def test_the_script_holds_every_claim(
    claim: str, printed: dict[str, str], request: pytest.FixtureRequest
) -> None:
    for need in ("text", "sets"):
        if need in CLAIMS[claim].needs:
            request.getfixturevalue(f"{need}_path")  # skips, and says why, where there is none
    assert printed[claim].endswith("yes")


@pytest.mark.slow
def test_without_the_model_the_script_measures_the_rest_and_says_so(tmp_path: Path) -> None:
    lines = run_as_script(HANDBOOK_DATA=str(tmp_path))
    assert set(CLAIMS) <= set(lines)
    assert lines["qlora-memory"].endswith("yes")
    assert "handbook models get smollm2-135m-instruct" in lines["nf4-error"]
