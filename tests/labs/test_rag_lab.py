"""The RAG lab: its claims hold, and it runs from end to end, with models and sets and without."""

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

LAB = ROOT / "book/rag-pipelines/rag-pipeline-deep-dive/lab.py"
CHAPTER = open_book(ROOT / "book").chapters["rag-pipeline-deep-dive"]
CLAIMS = {claim.id: claim for claim in CHAPTER.claims}
PROMISED = """parse-columns-kept parse-down-kept parse-page-noise chunk-recall-50 chunk-recall-200
    chunk-recall-800 chunk-unread chunk-titles-gain chunk-overlap-gain chunk-parents-gain embed-unread
    embed-padding embed-half embed-int8 embed-binary embed-binary-rescored embed-sum-pooled ivf-read-95
    hnsw-read-95 rabitq-read-95 pq-recall pq-refined rabitq-bias rabitq-outside index-even typo-cost
    typo-mended feedback-gain scifact-bm25 scifact-dense scifact-hybrid cacm-bm25 cacm-dense cacm-hybrid
    book-hybrid hybrid-gain-scifact rrf-60-gain score-fusion-gain mmr-cost maxsim-gain budget-recall
    middle-nats answered-own refused-foreign check-right check-antonyms attacks-through interval-300
    questions-needed false-alarms best-chosen best-quoted"""


@pytest.fixture(scope="module")
def lab() -> ModuleType:
    return modules.load(LAB, "rag_lab_under_test")


def test_every_promised_claim_is_there() -> None:
    assert set(PROMISED.split()) <= set(CLAIMS)


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS.values() if not claim.needs], ids=lambda c: c.id)
def test_claims_without_needs_hold(claim: Claim, lab: ModuleType) -> None:
    assert claim.holds(getattr(lab, claim.lab)(small=True))


def run_as_script(**changes: str) -> dict[str, str]:
    environment = {
        name: value for name, value in os.environ.items() if name != "HANDBOOK_RETRIEVAL"
    } | changes
    environment["OMP_NUM_THREADS"] = "1"  # beside a busy neighbour two threads wait for each other
    done = subprocess.run(
        [sys.executable, str(LAB)], capture_output=True, text=True, env=environment, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line for line in done.stdout.splitlines() if line}


@pytest.fixture(scope="module")
def printed(models_dir: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """What the notebook prints when it runs on real weights, and on the sets if they are here."""
    try:
        return run_as_script(HANDBOOK_RETRIEVAL=str(request.getfixturevalue("retrieval_path")))
    except pytest.skip.Exception:
        return run_as_script()


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("claim", [claim.id for claim in CLAIMS.values() if claim.needs])
def test_the_script_holds_every_claim(
    claim: str, printed: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if "retrieval" in CLAIMS[claim].needs:
        request.getfixturevalue("retrieval_path")  # skips, and says why, where there is none
    assert printed[claim].endswith("yes")


@pytest.mark.slow
def test_without_models_and_sets_the_script_measures_the_rest_and_says_so(tmp_path: Path) -> None:
    lines = run_as_script(HANDBOOK_DATA=str(tmp_path))
    assert set(CLAIMS) <= set(lines)
    assert lines["hnsw-read-95"].endswith("yes")
    assert "handbook models get" in lines["chunk-unread"]
    assert "HANDBOOK_RETRIEVAL names the folder" in lines["scifact-hybrid"]


PRESSED = """
import sys
from pathlib import Path
from types import SimpleNamespace

from handbook.book import modules
from handbook.lab.rag import looks

lab = modules.load(Path(sys.argv[1]), "pressed")


def value(what):
    return SimpleNamespace(value=what)


def show(cell, **controls):
    shown, _ = cell.run(**{name: value(what) for name, what in controls.items()})
    print(getattr(shown, "text", "drawn"))


ask = {"handed": 3, "question": "How hot is the boiler set?", "size": 50, "wide": "none"}
show(lab.hood, ask=True, files=(), texts=looks.NOTES, **ask)
show(lab.hood, ask=True, files=[SimpleNamespace(name="f.txt", contents=b"The boiler is set to 99 degrees.")],
     texts="", **ask)
show(lab.chunks, limit=25, method="semantic", overlap=5, text=looks.PAGE)
show(lab.injection, attack=2, inject=True)
show(lab.enough, draws=True)
"""


@pytest.mark.slow
@pytest.mark.models
def test_buttons_show_what_they_promise(minilm_path: Path) -> None:
    """One's own texts and files under the hood, chunks, an attack; and what is said of a missing set."""
    environment = {name: value for name, value in os.environ.items() if name != "HANDBOOK_RETRIEVAL"}
    done = subprocess.run(
        [sys.executable, "-c", PRESSED, str(LAB)],
        capture_output=True,
        text=True,
        env=environment | {"OMP_NUM_THREADS": "1"},
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for said in ("set to 60 degrees", "set to 99 degrees", "what is embedded", "caught", "HANDBOOK"):
        assert said in done.stdout
