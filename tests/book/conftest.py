import itertools
from pathlib import Path

import pytest

from .tiny import Tiny, build

_count = itertools.count()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A tiny faultless book with a package of its own, whose name no other test has used."""
    return build(tmp_path, f"tinycode{next(_count)}", monkeypatch.syspath_prepend)
