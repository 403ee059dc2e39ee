"""The optional keys of exercise.toml, and the commentary."""

import pytest

from handbook.book.nouns import GrowthPlan

from .tiny import Tiny

FOLDER = "book/part/one/exercises/adding"
TOML = f"{FOLDER}/exercise.toml"
GROWTH = 'pattern = "heaps"\nimports = []\nseconds = 3\nmemory = 256\n[growth]\nexpect = "n log n"\n'


def extend(tiny: Tiny, more: str) -> None:
    tiny.put(TOML, tiny.text(TOML) + more)


def test_defaults(tiny: Tiny) -> None:
    exercise = tiny.open().exercises["adding"]
    assert exercise.pattern == exercise.commentary == ""
    assert exercise.imports == ("numpy", "torch")
    assert (exercise.seconds, exercise.memory, exercise.growth) == (10.0, 1024, None)


def test_all_keys(tiny: Tiny) -> None:
    extend(tiny, GROWTH + "sizes = [10, 20, 40, 80]\n")
    tiny.put(
        f"{FOLDER}/hidden.py", tiny.text(f"{FOLDER}/hidden.py") + "def growth_input(n):\n    return n, n\n"
    )
    tiny.put(f"{FOLDER}/commentary.md", "word " * 150)
    exercise = tiny.open().exercises["adding"]
    assert (exercise.pattern, exercise.imports, exercise.commentary) == ("heaps", (), "word " * 150)
    assert (exercise.seconds, exercise.memory) == (3.0, 256)
    assert exercise.growth == GrowthPlan("n log n", (10, 20, 40, 80))


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ('pattern = "piles"\n', "bad-choice"),
        ('imports = ["no module"]\n', "bad-value"),
        ("imports = 3\n", "bad-value"),
        ("seconds = 0\n", "bad-value"),
        ("seconds = 61.0\n", "bad-value"),
        ("memory = 9000\n", "bad-value"),
        ('[growth]\nexpect = "n!"\n', "bad-growth"),
        ('[growth]\nexpect = "n"\nother = 1\n', "bad-growth"),
        ('[growth]\nexpect = "n"\nsizes = [1, 2, 3]\n', "bad-growth"),
        ('[growth]\nexpect = "n"\nsizes = [10, 20, 20, 40]\n', "bad-growth"),
        ('[growth]\nexpect = "n"\nsizes = [10, 20, 40, true]\n', "bad-growth"),
        ('[growth]\nexpect = "n"\n', "bad-growth"),  # nothing in hidden.py makes an input
    ],
)
def test_wrong_value(tiny: Tiny, more: str, kind: str) -> None:
    extend(tiny, more)
    assert [fault.kind for fault in tiny.faults(kind)] == [kind]


@pytest.mark.parametrize("words", [119, 251])
def test_commentary_of_another_length(tiny: Tiny, words: int) -> None:
    tiny.put(f"{FOLDER}/commentary.md", "word " * words)
    (fault,) = tiny.faults("bad-commentary")
    assert f"got {words}" in fault.what
