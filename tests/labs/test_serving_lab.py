"""The serving lab: its claims hold, and it runs from end to end, with the model and without."""

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

pytestmark = pytest.mark.alone

LAB = ROOT / "book/inference-ops/llm-serving-optimization/lab.py"
CHAPTER = open_book(ROOT / "book").chapters["llm-serving-optimization"]
CLAIMS = {claim.id: claim for claim in CHAPTER.claims}
PROMISED = """intensity-1 intensity-32 batch-gain-8 batch-gain-32 static-idle-share continuous-over-static
    continuous-over-static-steps page-waste reservation-waste page-size-128-waste
    prefix-throughput prefix-ttft chunked-gap chunked-ttft-cost swap-over-recompute
    verify-8-cost speculation-expected-error lookup-gain-copy lookup-gain-prose
    lookup-acceptance-copy rejection-distance same-draw-identical int8-token-scale-perplexity
    int8-hadamard-perplexity int8-hadamard-kl int8-kv-perplexity mm1-wait-90-over-70
    batch-invariance constrained-step-cost tensor-parallel-bytes disaggregation-gap
    simulator-error"""
RANDOM = """batch-gain-8 batch-gain-32 continuous-over-static chunked-gap chunked-ttft-cost
    swap-over-recompute gather-share prefix-throughput prefix-ttft verify-8-cost
    verify-8-cost-16 simulator-error"""


@pytest.fixture(scope="module")
def lab() -> ModuleType:
    return modules.load(LAB, "serving_lab_under_test")


def held(claim: Claim, lab: ModuleType) -> bool:
    found = getattr(lab, claim.lab)(small=True)
    samples = sorted(found) if isinstance(found, list) else [found]
    return claim.holds(samples[len(samples) // 2])


def test_every_promised_claim_is_there() -> None:
    assert set(PROMISED.split()) <= set(CLAIMS)


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS.values() if not claim.needs], ids=lambda c: c.id)
def test_claims_without_a_model_hold(claim: Claim, lab: ModuleType) -> None:
    assert held(claim, lab)


@pytest.mark.parametrize("id", RANDOM.split())
def test_timed_claims_hold_for_a_random_model_too(id: str, lab: ModuleType) -> None:
    assert held(CLAIMS[id], lab)


def run_as_script(**changes: str) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != "HANDBOOK_TEXT"} | changes
    done = subprocess.run(
        [sys.executable, str(LAB)], capture_output=True, text=True, env=environment, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line for line in done.stdout.splitlines() if line}


@pytest.fixture(scope="module")
def printed(smollm2_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """What the notebook prints when it runs from end to end, on real weights, and the text if it is here."""
    try:
        return run_as_script(HANDBOOK_TEXT=str(request.getfixturevalue("text_path")))
    except pytest.skip.Exception:
        return run_as_script()


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("claim", CLAIMS)
def test_the_script_holds_every_claim(
    claim: str, printed: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if "text" in CLAIMS[claim].needs:
        request.getfixturevalue("text_path")  # skips, and says why, where there is none
    assert printed[claim].endswith("yes")


@pytest.mark.slow
def test_without_the_model_the_script_measures_the_rest_and_says_so(tmp_path: Path) -> None:
    lines = run_as_script(HANDBOOK_DATA=str(tmp_path))
    assert set(CLAIMS) <= set(lines)
    assert lines["page-waste"].endswith("yes")
    assert "handbook models get smollm2-135m-instruct" in lines["lookup-gain-copy"]
