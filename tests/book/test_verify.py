"""Rerunning labs: what holds, what fails, what is skipped, and what is written."""

import json
from pathlib import Path

import pytest

from handbook.book import verify as verifying
from handbook.book.verify import Outcome, verify
from handbook.errors import BookError

from .tiny import CHAPTER, FOLDER, Tiny

CLAIMS, LAB = f"{FOLDER}/claims.toml", f"{FOLDER}/lab.py"


def lab(tiny: Tiny, body: str) -> Outcome:
    tiny.put(LAB, f"def the_sum(small=True):\n    {body}\n\ndef plot():\n    pass\n")
    (outcome,) = verify(tiny.open())
    return outcome


def test_holds(tiny: Tiny) -> None:
    outcome = lab(tiny, "return 7")
    assert (outcome.holds, outcome.reason, outcome.value) == (True, "", 7.0)
    assert not outcome.failed


def test_median_of_samples(tiny: Tiny) -> None:
    tiny.swap(CLAIMS, "exact = true", "exact = false")
    tiny.swap(CLAIMS, "== 7", "6..8")
    outcome = lab(tiny, "return [9.0, 7.5, 6.0]")
    assert (outcome.value, outcome.low, outcome.high, outcome.samples) == (7.5, 6.0, 9.0, 3)
    assert outcome.holds


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return 8", "Expected == 7, got 8"),
        ("raise KeyError('x')", "the_sum failed: KeyError: 'x'"),
        ("return []", "returned no samples"),
        ("return float('nan')", "not a number"),
        ("return 'seven'", "the_sum failed: ValueError"),
    ],
)
def test_fails(tiny: Tiny, body: str, reason: str) -> None:
    outcome = lab(tiny, body)
    assert outcome.failed
    assert reason in outcome.reason


def test_exact_claims_must_repeat(tiny: Tiny) -> None:
    tiny.swap(CLAIMS, "== 7", ">= 6")
    assert lab(tiny, "return 7 * (1 + 1e-8)").holds
    outcome = lab(tiny, "return 7 * (1 + 1e-5)")
    assert "Expected the recorded 7.0 again" in outcome.reason


def test_small_is_passed_on(tiny: Tiny) -> None:
    tiny.put(LAB, "def the_sum(small=True):\n    return 7 if small else 8\n\ndef plot(): pass\n")
    assert verify(tiny.open())[0].holds
    assert not verify(tiny.open(), small=False)[0].holds


def test_broken_lab_is_an_outcome(tiny: Tiny) -> None:
    tiny.put(LAB, "import no_such_module\n\ndef the_sum(small=True):\n    return 7\n\ndef plot(): pass\n")
    (outcome,) = verify(tiny.open())
    assert outcome.failed
    assert "ModuleNotFoundError" in outcome.reason


def test_no_lab_at_all(tiny: Tiny) -> None:
    tiny.file(LAB).unlink()
    (outcome,) = verify(tiny.open())
    assert outcome.reason == "This chapter has no lab.py."


def test_needs_models(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.swap(CLAIMS, "exact = true", 'exact = true\nneeds = ["models"]')
    monkeypatch.setenv("HANDBOOK_DATA", str(tiny.base / "nothing-here"))
    monkeypatch.setattr("handbook.model.weights.catalog.find", lambda name, settings: None)
    (outcome,) = verify(tiny.open())
    assert outcome.skipped
    assert not outcome.failed
    assert "handbook models get smollm2-135m-instruct" in outcome.reason


def test_needs_text(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.swap(CLAIMS, "exact = true", 'exact = true\nneeds = ["text"]')
    monkeypatch.setenv("HANDBOOK_DATA", str(tiny.base / "nothing-here"))
    monkeypatch.delenv("HANDBOOK_TEXT", raising=False)
    (outcome,) = verify(tiny.open())
    assert outcome.skipped
    assert "handbook train tiny" in outcome.reason
    (tiny.base / "other.txt").write_text("Another text.")
    monkeypatch.setenv("HANDBOOK_TEXT", str(tiny.base / "other.txt"))
    (outcome,) = verify(tiny.open())
    assert outcome.skipped, "its bounds are those of Tiny Shakespeare"
    assert "is not Tiny Shakespeare" in outcome.reason


@pytest.mark.text
def test_with_the_text_it_is_measured(tiny: Tiny, with_text: Path) -> None:
    tiny.swap(CLAIMS, "exact = true", 'exact = true\nneeds = ["text"]')
    (outcome,) = verify(tiny.open())
    assert outcome.holds


@pytest.mark.parametrize(("need", "skipped"), [("text", True), ("models", False)])
def test_a_missing_text_skips_only_what_needs_it(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, need: str, skipped: bool
) -> None:
    tiny.swap(CLAIMS, "exact = true", f'exact = true\nneeds = ["{need}"]')
    monkeypatch.setattr(verifying, "missing", lambda claim: "")
    outcome = lab(tiny, "from handbook.errors import TextUnavailable; raise TextUnavailable('Not here.')")
    assert (outcome.skipped, outcome.failed) == (skipped, not skipped)


@pytest.mark.parametrize("need", ["sets", "retrieval", "models"])
def test_data_that_turns_out_to_be_missing_skips_what_needs_it(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, need: str
) -> None:
    tiny.swap(CLAIMS, "exact = true", f'exact = true\nneeds = ["{need}"]')
    monkeypatch.setattr(verifying, "missing", lambda claim: "")
    outcome = lab(tiny, "from handbook.errors import DataUnavailable; raise DataUnavailable('Not here.')")
    assert outcome.skipped == (need != "models")
    assert outcome.failed == (need == "models")
    assert "Not here." in outcome.reason


def test_needs_retrieval_sets(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.swap(CLAIMS, "exact = true", 'exact = true\nneeds = ["retrieval"]')
    monkeypatch.delenv("HANDBOOK_RETRIEVAL", raising=False)
    (outcome,) = verify(tiny.open())
    assert outcome.skipped
    assert "HANDBOOK_RETRIEVAL names the folder" in outcome.reason
    monkeypatch.setenv("HANDBOOK_RETRIEVAL", str(tiny.base))
    (outcome,) = verify(tiny.open())
    assert outcome.skipped
    assert "scifact/corpus.jsonl, " in outcome.reason
    for name in verifying.RETRIEVAL:
        (tiny.base / name).parent.mkdir(parents=True, exist_ok=True)
        (tiny.base / name).touch()
    (outcome,) = verify(tiny.open())
    assert outcome.holds


def test_a_lab_as_marimo_writes_it(tiny: Tiny) -> None:
    """Functions declared with @app.function import as plain functions; cells do not run."""
    tiny.put(
        LAB,
        """
        import marimo

        app = marimo.App()

        with app.setup:
            FIVE = 5

            def five() -> int:
                return FIVE

        @app.function
        def the_sum(small: bool = True) -> float:
            return five() + 2

        @app.cell
        def plot():
            raise RuntimeError("a cell ran")
            return

        if __name__ == "__main__":
            app.run()
        """,
    )
    assert tiny.faults() == []
    assert verify(tiny.open())[0].holds


def test_progress(tiny: Tiny) -> None:
    seen: list[tuple[int, int, str]] = []
    verify(tiny.open(), "part/one", progress=lambda *args: seen.append(args))
    assert seen == [(0, 1, "the-sum"), (1, 1, "")]


def test_unknown_chapter(tiny: Tiny) -> None:
    with pytest.raises(BookError, match="no chapter three"):
        verify(tiny.open(), "three")


def test_write(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_machine", lambda: "a bench, 2 cores")
    tiny.swap(CLAIMS, "== 7", ">= 6")
    tiny.put(LAB, "def the_sum(small=True):\n    return 9\n\ndef plot(): pass\n")
    (outcome,) = verify(tiny.open(), write=True, small=False)
    assert outcome.holds
    text = tiny.text(CLAIMS)
    assert "# a comment that stays" in text
    book = tiny.open()
    measured = book.claims["the-sum"].measured
    assert measured is not None
    assert (measured.value, measured.machine, measured.small) == (9.0, "a bench, 2 cores", False)
    assert measured.command == "handbook verify part/one --write"
    assert "[9](claim:the-sum)" in tiny.text(CHAPTER)
    assert book.faults == ()


def test_written_digits(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six of a timing, all of an exact value."""
    monkeypatch.setattr(verifying, "_machine", lambda: "a bench")
    tiny.swap(CLAIMS, "== 7", ">= 6")
    tiny.put(LAB, "def the_sum(small=True):\n    return 22 / 3\n\ndef plot(): pass\n")
    for exact, expected in (("true", 22 / 3), ("false", 7.33333)):
        tiny.swap(CLAIMS, "exact = true", f"exact = {exact}")
        verify(tiny.open(), write=True)
        measured = tiny.open().claims["the-sum"].measured
        assert measured is not None
        assert measured.value == expected


def test_write_adds_a_first_measurement(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_machine", lambda: "a bench")
    text = tiny.text(CLAIMS)
    first = text[: text.index("[claim.measured]")]
    tiny.put(CLAIMS, first + first.replace("the-sum", "other-sum").replace("# a comment that stays\n", ""))
    verify(tiny.open(), write=True)
    book = tiny.open()
    assert [c.shown for c in book.claims.values()] == ["7", "7"]
    assert book.faults == ()
    assert tiny.text(CLAIMS).count("[claim.measured]") == 2


def test_write_records_nothing_that_fails(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_machine", lambda: "a bench")
    before = tiny.text(CLAIMS)
    tiny.put(LAB, "def the_sum(small=True):\n    return 8\n\ndef plot(): pass\n")
    assert verify(tiny.open(), write=True)[0].failed
    assert tiny.text(CLAIMS) == before


def test_shape_of_the_json(tiny: Tiny) -> None:
    keys = """
    claim chapter says status reason value low high samples unit bound exact recorded small seconds
    """.split()  # noqa: SIM905
    for body, status in (("return 7", "holds"), ("raise KeyError", "fails")):
        shape = json.loads(json.dumps(lab(tiny, body).to_dict(), allow_nan=False))
        assert list(shape) == keys
        assert shape["status"] == status
