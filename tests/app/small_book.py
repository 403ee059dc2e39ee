"""A small book with one of everything that a page can show, and a small embedder, so that tests of the pages
depend on no chapter's text and no model."""

import hashlib
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"[a-z]+")

FILES = {
    "book.toml": """
        title = "Small"

        [[part]]
        slug = "basics"
        title = "The basics"
        chapters = [
            { slug = "bread", title = "Bread", summary = "Flour, water, time." },
            { slug = "tea", title = "Tea", summary = "Leaves and water." },
        ]

        [[path]]
        id = "breakfast"
        title = "Breakfast"
        steps = [{ title = "First", chapters = ["bread"] }, { title = "Then", chapters = ["tea"] }]
        """,
    "references.bib": """
        @book{hamelman2004,
          author = {Hamelman, Jeffrey},
          title = {Bread},
          publisher = {Wiley},
          year = {2004},
          url = {https://example.org/bread},
        }
        """,
    "basics/bread.md": """
        ---
        title: Bread
        status: written
        summary: Flour, water, time.
        code: [handbook.records]
        ---

        ## Kneading {#kneading}

        {#gluten}
        Kneading builds gluten, a network of proteins that holds gas, says
        [Hamelman 2004](cite:hamelman2004). It takes [10 minutes](claim:kneading-time) by hand, and
        [72 %](claim:water-share) water makes an open crumb. Work grows as $n^2$.

        $$
        E = m c^2 + \\sum_{i=1}^{n} \\frac{x_i}{\\sqrt{d}}
        $$

        ::: definition Gluten
        A network of proteins.
        :::

        ```python code=handbook.records:Usage
        ```

        ### Resting {#resting}

        {#rest}
        Resting lets the dough relax, so that it can be shaped without tearing. See
        [`Usage`](code:handbook.records:Usage), [the lab](lab:), [a question](question:why-knead),
        [an exercise](exercise:adding) and [tea](chapter:tea).

        ## Baking {#baking}

        {#steam}
        Steam in the oven keeps the crust soft while the loaf rises.
        [Hamelman 2004](cite:hamelman2004) measures it.

        | dough | flour in grams | water in grams | salt in grams | yeast in grams | hours of rest | oven |
        |:------|---:|---:|---:|---:|---:|:-----|
        | white | 1000 | 720 | 20 | 4 | 3 | two hundred and forty degrees |

        ::: ask The interviewer asks
        Why steam?
        :::
        """,
    "basics/tea.md": """
        ---
        title: Tea
        status: outline
        summary: Leaves and water.
        ---

        ## Steeping {#steeping}

        Green tea at seventy degrees.
        """,
    "basics/bread/claims.toml": """
        [[claim]]
        id = "kneading-time"
        says = "Minutes of kneading by hand until the dough is smooth."
        text = "{value:.0f} minutes"
        unit = "minutes"
        lab = "kneading_time"
        bound = ">= 5"
        [claim.measured]
        value = 10.0
        low = 9.0
        high = 11.0
        samples = 3
        small = false
        machine = "A baker in Paris, 2 hands, 70 kg"
        date = "2026-01-02"
        command = "handbook verify basics/bread --write"

        [[claim]]
        id = "water-share"
        says = "Water as a share of flour."
        text = "{value:.0f} %"
        unit = "percent"
        lab = "water_share"
        bound = "60..80"
        [claim.measured]
        value = 72.0
        low = 72.0
        high = 72.0
        samples = 1
        small = false
        machine = "A baker in Paris, 2 hands, 70 kg"
        date = "2026-01-02"
        command = "handbook verify basics/bread --write"
        """,
    "basics/bread/lab.py": """
        import marimo

        app = marimo.App()


        @app.function
        def kneading_time(small: bool = True) -> list[float]:
            return [7.0, 8.0, 9.0]


        @app.function
        def water_share(small: bool = True) -> float:
            raise RuntimeError("the scales are broken")


        @app.cell
        def _():
            import marimo as mo

            return (mo,)


        @app.cell
        def _(mo):
            minutes = mo.ui.slider(1, 20, value=10, label="minutes")
            minutes
            return (minutes,)


        @app.cell
        def _(minutes, mo):
            mo.md(f"Kneaded for **{minutes.value}** minutes")
            return


        if __name__ == "__main__":
            app.run()
        """,
    "basics/bread/questions.yaml": """
        - id: why-knead
          level: senior
          kind: explain
          prompt: Why is dough kneaded?
          answer: |
            Kneading builds **gluten**, which holds gas; work grows as $n^2$.
          anchor: gluten
          criteria:
            - {id: network, yes: Says that proteins form a network., weight: 2, must: true}
            - {id: gas, yes: Says that it holds gas.}
            - {id: time, yes: Says how long it takes.}
            - {id: rest, yes: Mentions rest.}
          misconceptions:
            - {wrong: Kneading only warms., tempts: It does get warm., correction: It builds a network.}
          follow_ups:
            - {ask: And without kneading?, criterion: network}
        - id: bake-design
          level: lead
          kind: design
          prompt: Design an oven that keeps its steam.
          answer: Close the vent.
          anchor: steam
          criteria:
            - {id: vent, yes: Closes the vent.}
            - {id: water, yes: Adds water.}
            - {id: heat, yes: Keeps the heat.}
            - {id: open, yes: Opens it at the end.}
          misconceptions:
            - {wrong: Steam browns., tempts: It is hot., correction: It delays the browning.}
          follow_ups:
            - {ask: When is it opened?, criterion: open}
        """,
    "basics/bread/exercises/adding/exercise.toml": """
        title = "Adding"
        level = "foundation"
        minutes = 5
        seconds = 60
        entry = "add"
        anchor = "gluten"
        hints = ["Look at the arguments.", "Use `+`.", "Return `a + b`."]
        """,
    "basics/bread/exercises/adding/statement.md": "Write `add(a, b)`, which returns the sum $a + b$.\n",
    "basics/bread/exercises/adding/starter.py": "def add(a, b):\n    raise NotImplementedError\n",
    "basics/bread/exercises/adding/solution.py": "def add(a, b):\n    return a + b\n",
    "basics/bread/exercises/adding/tests.py": (
        "def test_small(submission):\n    got = submission.add(2, 5)\n"
        "    assert got == 7, f'expected 7, got {got}'\n"
    ),
    "basics/bread/exercises/adding/hidden.py": (
        "def test_negative(submission):\n    got = submission.add(2, -5)\n"
        "    assert got == -3, f'expected -3, got {got}'\n"
    ),
}


def write(root: Path) -> Path:
    """Write the small book into `root` and return it."""
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return root


class WordEmbedder:
    """Texts are near as far as they share words: each word is hashed to one of 512 signed buckets."""

    name = "words"
    dimension = 512

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:  # [N, D]
        rows = np.full((len(texts), self.dimension), 1e-6, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in WORD.findall(text.lower()):
                digest = hashlib.sha256(word.encode()).digest()
                row[int.from_bytes(digest[:4], "big") % self.dimension] += 1 if digest[4] % 2 else -1
            row /= np.linalg.norm(row)
        return rows
