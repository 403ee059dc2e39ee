"""Which models are in the zoo: their config.json as published, and where each was read.

Plain data. Loads no torch, so that pages and the book's links can ask for names.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MOST = 4  # models side by side


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. hub: its repository there. sources: where its fields were read. paper: what describes it.
    note: what config.json does not say, or says differently from the paper."""

    name: str
    title: str
    hub: str
    paper: str
    sources: tuple[str, ...]
    note: str = ""

    @property
    def hub_url(self) -> str:
        return f"https://huggingface.co/{self.hub}"

    @property
    def paper_url(self) -> str:
        arxiv = self.paper.removeprefix("arXiv:")
        return f"https://arxiv.org/abs/{arxiv}" if arxiv != self.paper else f"https://{self.paper}"

    @property
    def source_urls(self) -> tuple[tuple[str, str], ...]:
        """Each source and its address, empty for a package."""
        found = []
        for source in self.sources:
            place = re.match(r"(github\.com/\S+) (\w+) ([^,\s]+)", source)
            found.append((source, f"https://{place[1]}/blob/{place[2]}/{place[3]}" if place else ""))
        return tuple(found)

    @property
    def config(self) -> dict[str, Any]:
        """The fields of its config.json that say what the model is."""
        found: dict[str, Any] = json.loads((FOLDER / f"{self.name}.json").read_text(encoding="utf-8"))
        return found


@cache
def entries() -> dict[str, Entry]:
    """Every model by its name, in the order of index.toml."""
    index = tomllib.loads((FOLDER / "index.toml").read_text(encoding="utf-8"))
    return {
        name: Entry(name, **row | {"sources": tuple(row["sources"])}) for name, row in index["model"].items()
    }


def address(names: Sequence[str]) -> str:
    """The page of these models: the whole zoo for none, one alone, several side by side."""
    if len(names) > 1:
        return f"/zoo?compare={','.join(names)}"
    return f"/zoo/{names[0]}" if names else "/zoo"
