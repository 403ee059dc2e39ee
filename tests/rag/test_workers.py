"""The workers are real processes; each test starts one or two."""

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handbook.errors import HandbookError
from handbook.rag.workers import parse_all


def misbehave(source: str) -> str:
    """What a parser may do to its process."""
    if source == "hang":
        time.sleep(600)
    if source == "crash":
        ctypes.string_at(0)
    if source == "swell":
        return str(len(bytearray(8 << 30)))
    if source == "nest":
        return misbehave(source)
    if source == "leave":
        os._exit(3)
    if source == "fail":
        raise KeyError("no such thing")
    if source == "refuse":
        raise HandbookError("This is encrypted.", "Decrypt it.")
    if source == "print":
        print("noise", flush=True)
    return source.upper()


def session(_: str) -> int:
    return os.getsid(0)


HERE = "tests.rag.test_workers:misbehave"
NO_LIMIT = sys.platform != "linux"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import from the tests' folder too."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def outcomes(sources: list[str], **options: Any) -> dict[str, tuple[str | None, str]]:
    return {o.source: (o.result, o.fault) for o in parse_all(sources, 1, HERE, **options)}


def test_one_documents_fault_is_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = ["a", "crash", "b", "leave", "c", "fail", "nest", "refuse", "print", "d"]
    found = outcomes(sources if NO_LIMIT else [*sources, "swell"])
    assert [found[s] for s in ("a", "b", "c", "d", "print")] == [
        (s.upper(), "") for s in ("a", "b", "c", "d", "print")
    ]
    assert found["crash"] == (None, "The parser crashed on it (exit status -11).")
    assert found["leave"] == (None, "The parser crashed on it (exit status 3).")
    assert found["fail"] == (None, "The parser failed on it: KeyError: 'no such thing'")
    assert found["nest"] == (None, "It is nested too deeply to read.")
    assert found["refuse"] == (None, "This is encrypted. Decrypt it.")
    assert NO_LIMIT or found["swell"] == (None, "It takes more than 4,096 MB of memory to read.")


def test_a_module_in_the_folder_at_hand_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    for name in ("pickle", "struct", "handbook"):
        (tmp_path / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    assert outcomes(["a"])["a"] == ("A", "")
    assert not ran.exists()


def test_what_takes_too_long_is_given_up() -> None:
    started = time.monotonic()
    found = outcomes(["a", "hang", "b"], seconds=0.3)
    assert time.monotonic() - started < 150
    assert found["hang"] == (None, "It took more than 0 s to read, and was given up.")
    assert (found["a"], found["b"]) == (("A", ""), ("B", ""))


def test_who_waits_may_give_up_while_a_document_hangs() -> None:
    started = time.monotonic()

    def tick() -> None:
        if time.monotonic() - started > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcomes(["hang"], tick=tick)
    assert time.monotonic() - started < 60


def test_a_document_is_not_in_reach_of_the_terminals_interrupt() -> None:
    (outcome,) = parse_all(["x"], 1, "tests.rag.test_workers:session")
    assert outcome.result != os.getsid(0)


def test_two_workers_share_many_documents() -> None:
    sources = [f"document {i}" for i in range(500)]
    found = list(parse_all(iter(sources), 2, HERE))
    assert sorted(o.source for o in found) == sorted(sources)
    assert all(o.result == o.source.upper() for o in found)


def test_stopping_leaves_no_process_behind() -> None:
    import psutil

    before = set(psutil.Process().children())
    outcomes_ = parse_all((f"d{i}" for i in range(10**9)), 2, HERE)
    for _ in range(5):
        next(outcomes_)
    outcomes_.close()  # type: ignore[attr-defined]
    assert set(psutil.Process().children()) - before == set()


def test_asked_to_stop_it_begins_no_more() -> None:
    begun: list[int] = []

    def sources() -> Iterator[str]:
        for i in range(10_000):
            begun.append(i)
            yield f"d{i}"

    found = list(parse_all(sources(), 1, HERE, stop=lambda: len(begun) > 20))
    assert 20 <= len(found) <= 21


def test_a_fault_of_the_list_itself_is_the_callers() -> None:
    def sources() -> Iterator[str]:
        yield "a"
        raise OSError("the folder went away")

    with pytest.raises(OSError, match="went away"):
        list(parse_all(sources(), 1, HERE))


def test_files_are_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Title\n\nWords.")
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7 no more")
    good, bad = sorted(
        parse_all([str(tmp_path / "a.md"), str(tmp_path / "b.pdf")], 1), key=lambda o: o.source
    )
    assert good.result.title == "Title"
    assert "cut off" in bad.fault
