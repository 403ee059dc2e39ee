"""One Settings object: environment variables (HANDBOOK_*) over a TOML file over defaults.

The file is `settings.toml` in the configuration folder of the platform, or what HANDBOOK_SETTINGS names.
Unknown keys raise, in the file and in the environment, because a misspelt setting that is ignored looks
like one that does not work.
"""

import os
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handbook.errors import SettingsError

PREFIX = "HANDBOOK_"
RESERVED = {"HANDBOOK_SETTINGS"}
PRIVATE = ("key", "url")  # a setting whose name holds one of these may hold a secret


class Settings(BaseModel):
    """Everything that differs between two people's handbooks.

    Raises SettingsError (through `load`) that names every faulty key at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("handbook", appauthor=False)),
        description="Folder for models, the database and indexes.",
    )
    book: Path | None = Field(
        default=None, description="Folder of the book; the clone's or the packaged one when not given."
    )
    model: str = Field(default="smollm2-135m-instruct", description="Chat model: name, path or hub id.")
    embedder: str = Field(default="all-minilm-l6-v2", description="Embedding model: name, path or hub id.")
    text: Path | None = Field(
        default=None, description="Text to train on; Tiny Shakespeare in the data folder when not given."
    )
    sets: Path | None = Field(
        default=None, description="Folder with the public sets to train on; sets/ in the data folder."
    )
    retrieval: Path | None = Field(
        default=None, description="Folder of golden sets (scifact, cacm) that `handbook bench rag` reads."
    )
    chat_url: str | None = Field(
        default=None, description="An OpenAI-compatible server; `model` is then its model's name."
    )
    chat_key: str | None = Field(default=None, description="API key for chat_url.", repr=False)
    embed_url: str | None = Field(
        default=None,
        description="An OpenAI-compatible server for embeddings; `embedder` is its model's name.",
    )
    embed_dimension: int | None = Field(
        default=None,
        ge=1,
        description="Keep so many of a vector's first dimensions, for models trained for it (Matryoshka).",
    )
    reranker: str = Field(
        default="",
        description="Cross-encoder that reorders what is found in your own corpora: name, path or hub id.",
    )
    embed_precision: Literal["auto", "int8", "bf16", "fp32"] = Field(
        default="auto",
        description="Of the local encoder's products; auto: fp32, on compiled kernels if they are quicker.",
    )
    embed_key: str | None = Field(default=None, description="API key for embed_url.", repr=False)
    serve_key: str | None = Field(
        default=None, description="API key that clients of `handbook serve` must show.", repr=False
    )
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL; SQLite in the data folder when not given.", repr=False
    )
    store_url: str | None = Field(default=None, description="LanceDB URI; by default in the data folder.")
    host: str = Field(default="127.0.0.1", description="Loopback address to listen on.")
    port: int = Field(default=8017, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    fetch: bool = Field(default=True, description="Bring missing default models when the app starts.")
    precision: Literal["auto", "int8", "int4", "bf16", "fp32"] = Field(
        default="auto", description="Of the engine's products; auto: int8 on compiled kernels, else fp32."
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads for models; default all cores.")
    judge_isolation: Literal["auto", "worker", "bubblewrap", "process"] = Field(
        default="auto", description="What holds submissions; auto: the strongest that this system has."
    )
    judge_seconds: float | None = Field(
        default=None, gt=0, le=600, description="Wall time for an exercise's tests, instead of its own."
    )
    judge_memory: int | None = Field(
        default=None, ge=64, description="MiB that a submission may take, instead of the exercise's own."
    )
    code: Path | None = Field(
        default=None, description="Folder of sets of programming problems (humaneval) to test the judge with."
    )
    grader: Literal["auto", "local", "chat", "embedding", "none"] = Field(
        default="auto",
        description="Who judges typed answers; auto: the model at chat_url, else the local grader, else you.",
    )
    grading: Path | None = Field(
        default=None, description="Folder of answers graded by people (mohler, saf) to test the grader with."
    )
    shared: bool = Field(
        default=False,
        description="Several people use this server: it refuses to start where the judge cannot isolate.",
    )

    @cached_property
    def models(self) -> Path:
        return self.data / "models"

    @cached_property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data / 'handbook.db'}"

    @cached_property
    def store(self) -> str:
        return self.store_url or str(self.data / "index")


def settings_file() -> Path:
    named = os.environ.get("HANDBOOK_SETTINGS")
    if named:
        return Path(named)
    return Path(platformdirs.user_config_dir("handbook", appauthor=False)) / "settings.toml"


def shown(url: str) -> str:
    """A URL for messages and pages: without user, password and query, where secrets stand."""
    scheme, separator, rest = url.partition("://")
    place, slash, path = re.split(r"[?#]", rest or scheme, maxsplit=1)[0].partition("/")
    return (scheme + separator if rest else "") + place.rpartition("@")[2] + slash + path


def without(secret: str, text: str) -> str:
    """The text with a secret blotted out."""
    return text.replace(secret, "***") if secret else text


def _fault(error: Any) -> str:
    """One fault that pydantic found; with the value, unless it may be a secret (a misspelt key may)."""
    name = ".".join(map(str, error["loc"]))
    known = name in Settings.model_fields and not any(word in name for word in PRIVATE)
    return f"{name}: {error['msg']}" + (f" (got {error['input']!r})" if known else "")


def load(**overrides: Any) -> Settings:
    """Read file and environment; `overrides` win. None among them means 'not given'."""
    path = settings_file()
    values: dict[str, Any] = {}
    if path.is_file():
        try:
            values.update(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            message = f"{path} is not valid TOML: {error}."
            raise SettingsError(message, "Correct or remove the file.") from error
    elif "HANDBOOK_SETTINGS" in os.environ:
        raise SettingsError(f"HANDBOOK_SETTINGS names {path}, which is not a file.", "Correct or unset it.")
    for key, value in os.environ.items():
        if key.startswith(PREFIX) and key not in RESERVED and value != "":
            values[key[len(PREFIX) :].lower()] = value
    values.update({key: value for key, value in overrides.items() if value is not None})
    try:
        return Settings(**values)
    except ValidationError as error:
        faults = "; ".join(map(_fault, error.errors()))
        known = ", ".join(Settings.model_fields)
        where = f"Known settings: {known}. File read: {path}."
        raise SettingsError(f"Settings are not usable: {faults}.", where) from None  # it holds the values
