"""The lab of the transformer chapter, loaded by its path as `handbook verify` loads it."""

from pathlib import Path
from types import ModuleType

import pytest

from handbook.book import modules

ROOT = Path(__file__).parents[2]
LAB = ROOT / "book/architectures/transformer-deep-dive/lab.py"


@pytest.fixture(scope="session")
def lab() -> ModuleType:
    return modules.load(LAB, "transformer_lab_under_test")
