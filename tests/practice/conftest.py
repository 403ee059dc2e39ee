"""One warm judge for all tests of a process."""

from collections.abc import Iterator

import pytest

from handbook.practice.judge import Judge


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        judge.open()
        yield judge
