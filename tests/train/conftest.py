"""A text and a shape so small that a model trains in a second."""

import sys
from pathlib import Path

import pytest
import torch

from handbook.train.characters import Corpus
from handbook.train.runs import Run
from handbook.train.tiny import Shape, recipe, schedule

TINY = Shape(dim=16, layers=2, heads=2, hidden=32, experts=4, k=2, length=16, batch=8)
WORDS = "the cat sat on the mat and the dog lay by the door while rain fell on the roof all night long\n"
TEXT = "".join(f"{n} {WORDS}" for n in range(40))


def tiny_run(name: str, folder: Path | None = None, steps: int = 12, seed: int = 0, every: int = 4) -> Run:
    made = recipe(name, len(set(TEXT)), TINY)
    return Run(
        recipe=made, shape=TINY, schedule=schedule(steps), seed=seed, text="t", folder=folder, every=every
    )


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """What a test draws without a seed of its own is the same, whatever ran before it in this process."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def not_a_notebook() -> None:
    """transformers takes an imported marimo (other files test labs) for a notebook, and then wants IPython.
    What it finds at the first question stands."""
    from transformers.utils.import_utils import is_in_notebook

    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "marimo", raising=False)
        is_in_notebook.cache_clear()
        assert not is_in_notebook()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return Corpus.of(TEXT, TINY.length)
