from pathlib import Path

import pytest

from handbook.app.doctor import examine
from handbook.settings import Settings


def test_without_a_compiler_doctor_says_that_none_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    report = examine(Settings(data=tmp_path))
    assert report["compiler"] is None
    said = [item for item in report["missing"] if "compiler" in item["what"]]
    assert len(said) == 1
    assert said[0]["needed"] is False
    assert "Nothing to do" in said[0]["remedy"]
