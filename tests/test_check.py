"""`make check`, as tests: what lands is formatted, linted, typed, and imports one way."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "format": ["-m", "ruff", "format", "--check", "."],
    "lint": ["-m", "ruff", "check", "."],
    "types": ["-m", "mypy"],
    "imports": ["-c", "from importlinter.cli import lint_imports_command as c; c()"],
    "book": ["-m", "handbook", "book", "check"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_check(name: str) -> None:
    done = subprocess.run(
        [sys.executable, *COMMANDS[name]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_makefile_checks_the_same() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    check = text.split("\ncheck:", 1)[1].split("\n\n", 1)[0]
    for tool in ("ruff format --check .", "ruff check .", "mypy", "lint-imports", "handbook book check"):
        assert tool in check
