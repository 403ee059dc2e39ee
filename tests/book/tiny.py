"""A tiny book with everything in it and no fault, to break in one place at a time."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handbook.book import draw as drawing
from handbook.book.load import open_book
from handbook.book.nouns import Book, Fault

CHAPTER = "book/part/one.md"
FOLDER = "book/part/one"

FILES = {
    "book/book.toml": """
        title = "Tiny"

        [[part]]
        slug = "part"
        title = "The part"
        chapters = [
            { slug = "one", title = "One", summary = "The first." },
            { slug = "two", title = "Two", summary = "The second." },
        ]

        [[path]]
        id = "way"
        title = "The way"
        steps = [{ title = "Step", chapters = ["one", "two"] }]
        """,
    "book/references.bib": """
        @article{lovelace1843,
          author = {Lovelace, Ada},
          title = {Notes on {\\'e}ngines},
          journal = {Memoirs},
          year = {1843},
          eprint = {1234.5678},
        }
        """,
    CHAPTER: """
        ---
        title: One
        status: written
        summary: The first.
        code: [CODE.sums]
        ---

        Before any heading.

        ## First section {#first}

        {#opening}
        A sum of $a + b$ is [7](claim:the-sum), says [Lovelace 1843](cite:lovelace1843). See
        [`add`](code:CODE.sums:add), [the lab](lab:), [its plot](lab:plot), [the question](question:why-add),
        [the exercise](exercise:adding), [Mixtral](zoo:mixtral-8x7b),
        [the second](chapter:two), [the box](#boxed), [the web](https://example.org/?a=1&b=2) and a note[^n].

        - one item
        - {#item}
          another item

        $$
        a < b
        $$

        ```python code=CODE.sums:add
        def add(a: int, b: int) -> int:
            \"\"\"The sum.\"\"\"
            return a + b
        ```

        ![Two bars](figure:two-bars)

        ### Deeper {#deeper}

        | n | square |
        |--:|:------|
        | 2 | 4 |

        {#boxed}
        ::: worked By hand
        Two and five.

        Make seven.
        :::

        ::: definition Sum
        What addition gives.
        :::

        [^n]: The note cites [Lovelace](cite:lovelace1843).
        """,
    f"{FOLDER}/claims.toml": """
        # a comment that stays
        [[claim]]
        id = "the-sum"
        says = "Two and five make this."
        text = "{value:.0f}"
        unit = "count"
        lab = "the_sum"
        bound = "== 7"
        exact = true

        [claim.measured]
        value = 7.0
        low = 7.0
        high = 7.0
        samples = 1
        small = true
        machine = "a desk"
        date = "1843-09-01"
        command = "handbook verify part/one --write"
        """,
    f"{FOLDER}/lab.py": """
        def the_sum(small: bool = True) -> float:
            return 7.0

        def plot() -> None:
            pass
        """,
    f"{FOLDER}/figures.py": """
        def two_bars() -> str:
            bars = '<rect id="a" fill="var(--ink)"/>'
            return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{bars}</svg>'
        """,
    f"{FOLDER}/questions.yaml": """
        - id: why-add
          level: senior
          kind: explain
          prompt: Why add?
          answer: |
            Because of $a$.

            It says [7](claim:the-sum).
          anchor: opening
          criteria:
            - id: first
              yes: Says one.
              weight: 2
              must: true
            - {id: second, yes: Says two.}
            - {id: third, yes: Says three.}
            - {id: fourth, yes: Says four.}
          misconceptions:
            - wrong: Adding subtracts.
              tempts: Signs.
              correction: It adds.
          follow_ups:
            - ask: And then?
              criterion: first
        """,
    f"{FOLDER}/exercises/adding/exercise.toml": """
        title = "Adding"
        level = "foundation"
        minutes = 5
        entry = "add"
        anchor = "opening"
        solution = "CODE.sums:add"
        hints = ["One.", "Two.", "Three."]
        """,
    f"{FOLDER}/exercises/adding/statement.md": "Write `add(a, b)`.",
    f"{FOLDER}/exercises/adding/starter.py": "def add(a, b):\n    raise NotImplementedError\n",
    f"{FOLDER}/exercises/adding/solution.py": "def add(a, b):\n    return a + b\n",
    f"{FOLDER}/exercises/adding/tests.py": (
        "def test_small(submission):\n    got = submission.add(2, 5)\n"
        "    assert got == 7, f'expected 7, got {got}'\n"
    ),
    f"{FOLDER}/exercises/adding/hidden.py": (
        "def test_negative(submission):\n    assert submission.add(2, -5) == -3\n"
    ),
}
MODULE = '''
"""Sums.

Book: part/one
"""

LIMIT = 3


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


class Adder:
    """Adds."""

    def twice(self, a: int) -> int:
        return add(a, a)
'''


@dataclass
class Tiny:
    """The folder that holds book/, the package's folder, and its name."""

    base: Path
    package: str

    @property
    def root(self) -> Path:
        return self.base / "book"

    @property
    def module(self) -> Path:
        return self.base / self.package / "sums.py"

    def file(self, name: str) -> Path:
        return self.base / name

    def text(self, name: str) -> str:
        return self.file(name).read_text(encoding="utf-8")

    def put(self, name: str, text: str) -> None:
        path = self.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n").replace("CODE", self.package), encoding="utf-8")

    def swap(self, name: str, old: str, new: str) -> None:
        """Replace a piece of a file that must be there, so that a test cannot silently change nothing."""
        text = self.text(name)
        old, new = old.replace("CODE", self.package), new.replace("CODE", self.package)
        assert old in text, f"{old!r} is not in {name}"
        self.file(name).write_text(text.replace(old, new), encoding="utf-8")

    def line(self, name: str, piece: str) -> int:
        piece = piece.replace("CODE", self.package)
        return next(i for i, line in enumerate(self.text(name).splitlines(), 1) if piece in line)

    def open(self) -> Book:
        return open_book(self.root, self.package)

    def faults(self, kind: str | None = None) -> list[Fault]:
        return [fault for fault in self.open().faults if kind in (None, fault.kind)]


def build(base: Path, package: str, prepend: Callable[[str], None]) -> Tiny:
    tiny = Tiny(base, package)
    for name, text in FILES.items():
        tiny.put(name, text)
    tiny.put(f"{package}/__init__.py", "")
    tiny.put(f"{package}/sums.py", MODULE)
    prepend(str(base))
    drawing.draw(tiny.open())
    return tiny
