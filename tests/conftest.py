"""Fixtures that every part of the tests may use: the packaged models, where they are on this machine.

A test that asks for one is marked `models`, and skipped with the reason where the weights are missing.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as property_settings
from hypothesis.database import DirectoryBasedExampleDatabase

from handbook import settings as settings_module
from handbook.errors import HandbookError
from handbook.model.weights import catalog
from handbook.settings import Settings

if TYPE_CHECKING:
    from handbook.model.load import Loaded

# `make fuzz` draws other examples in every run; elsewhere hypothesis's own profile `ci` draws the same ones.
property_settings.register_profile(
    "fuzz",
    derandomize=False,
    deadline=None,
    print_blob=True,
    database=DirectoryBasedExampleDatabase(".hypothesis/examples"),
)

SMOLLM2 = "smollm2-135m-instruct"
MINILM = "all-minilm-l6-v2"


@pytest.fixture(scope="session")
def model_settings() -> Settings:
    """Settings of the machine that runs the tests: HANDBOOK_DATA names the data folder."""
    return settings_module.load()


def weights_or_skip(name: str, settings: Settings) -> Path:
    try:
        path = catalog.find(name, settings)
    except HandbookError as error:
        pytest.fail(f"{name}: {error}")
    if path is None:
        pytest.skip(f"{name} is not in {settings.models}; `handbook models get {name}` brings it")
    return path


@pytest.fixture(scope="session")
def models_dir(model_settings: Settings) -> Path:
    """The folder of models, when all packaged ones are there."""
    for name in (SMOLLM2, MINILM):
        weights_or_skip(name, model_settings)
    return model_settings.models


@pytest.fixture(scope="session")
def smollm2_path(model_settings: Settings) -> Path:
    """The GGUF file of SmolLM2-135M-Instruct."""
    return weights_or_skip(SMOLLM2, model_settings)


@pytest.fixture(scope="session")
def minilm_path(model_settings: Settings) -> Path:
    """The safetensors file of all-MiniLM-L6-v2, its other files beside it."""
    return weights_or_skip(MINILM, model_settings)


@pytest.fixture(scope="session")
def smollm2(smollm2_path: Path) -> "Loaded":
    """SmolLM2-135M-Instruct in fp32, loaded once for all tests. Don't change it."""
    from handbook.model.load import load_model

    return load_model(smollm2_path)


@pytest.fixture(scope="session")
def text_path() -> Path:
    """Tiny Shakespeare: what HANDBOOK_TEXT names, else the data sets beside the checkout."""
    named = os.environ.get("HANDBOOK_TEXT")
    path = Path(named) if named else Path(__file__).parents[2] / "shared/data/text/tinyshakespeare.txt"
    if not path.is_file():
        pytest.skip(f"{path} is not here; HANDBOOK_TEXT names the file of Tiny Shakespeare")
    return path


@pytest.fixture
def with_text(text_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `text_path`, and the settings find it too."""
    monkeypatch.setenv("HANDBOOK_TEXT", str(text_path))
    return text_path


@pytest.fixture(scope="session")
def sets_path() -> Path:
    """The folder of the sets to train on: what HANDBOOK_SETS names, else those beside the checkout."""
    named = os.environ.get("HANDBOOK_SETS")
    path = Path(named) if named else Path(__file__).parents[2] / "shared/data/preference"
    if not path.is_dir():
        pytest.skip(f"{path} is not here; HANDBOOK_SETS names the folder of the sets to train on")
    return path


@pytest.fixture
def with_sets(sets_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `sets_path`, and the settings find them too."""
    monkeypatch.setenv("HANDBOOK_SETS", str(sets_path))
    return sets_path


@pytest.fixture(scope="session")
def retrieval_path() -> Path:
    """The folder of the retrieval sets: what HANDBOOK_RETRIEVAL names, else those beside the checkout."""
    named = os.environ.get("HANDBOOK_RETRIEVAL")
    path = Path(named) if named else Path(__file__).parents[2] / "shared/data/retrieval"
    if not path.is_dir():
        pytest.skip(f"{path} is not here; HANDBOOK_RETRIEVAL names the folder of retrieval sets")
    return path


@pytest.fixture(scope="session")
def grading_path() -> Path:
    """The folder of answers graded by people: what HANDBOOK_GRADING names, else those beside the checkout."""
    named = os.environ.get("HANDBOOK_GRADING")
    path = Path(named) if named else Path(__file__).parents[2] / "shared/data/grading"
    if not (path / "mohler").is_dir():
        pytest.skip(f"{path}/mohler is not here; HANDBOOK_GRADING names the folder of graded answers")
    return path
