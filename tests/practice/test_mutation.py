"""Mutants: each one fault, none equal to another, nothing where no test could see it."""

import ast

import pytest

from handbook.practice.mutants import Mutant, mutants

FAULTS = {
    "x = a < b": {"a < b -> a <= b", "a < b -> a >= b"},
    "x = a == b": {"a == b -> a != b"},
    "x = a in b": {"a in b -> a not in b"},
    "x = a + b": {"a + b -> a - b"},
    "x = a // b": {"a // b -> a * b"},
    "x = a and b": {"a and b -> a or b"},
    "x = a and b and c": {
        "a and b and c -> a or b or c",
        "a and b and c -> b and c",
        "a and b and c -> a and c",
        "a and b and c -> a and b",
    },
    "x = not a": {"not a -> a"},
    "x = -a": {"-a -> a"},
    "x = 5": {"5 -> 6", "5 -> 4"},
    "x = 0.5": {"0.5 -> 1.0"},
    "x = True": {"True -> False"},
    "x = a.sum(axis=1)": {"a.sum(axis=1) -> a.sum()", "a.sum -> a.max", "1 -> 2"},
    "x = a[b:c]": {"b:c -> :c", "b:c -> b:"},
    "x = np.argmin(a)": {"np.argmin -> np.argmax"},
    "x = min(a)": {"min -> max"},
    "x = a if b else c": {"a if b else c -> a", "a if b else c -> c"},
    "x += a": {"x += a -> x -= a", "x += a -> (nothing)"},
    "while a:\n    break": {"break -> continue", "break -> (nothing)"},
    "f(a)": {"f(a) -> (nothing)"},
    "x[a] = b": {"x[a] = b -> (nothing)"},
    "if a:\n    b()": {"if a: -> if True:", "if a: -> if False:", "b() -> (nothing)"},
    "def f():\n    return a": {"return a -> return None"},
    "def f():\n    raise ValueError(f'expected {1 + 2}')": {
        "raise ValueError(f'expected {1 + 2}') -> (nothing)"
    },
}


@pytest.mark.parametrize("source", FAULTS)
def test_faults_of_a_line(source: str) -> None:
    assert {mutant.what for mutant in mutants(source)} == FAULTS[source]


UNTOUCHED = [
    '"""Three of 5."""',
    "import os",
    "assert a < 5",
    "x: int",
    "def f(a: list[5]) -> 3:\n    '''Not 7.'''\n    return None",
    "if __name__ == '__main__':\n    f(3)",
    "raise ValueError",
]


@pytest.mark.parametrize("source", UNTOUCHED)
def test_what_no_test_could_see(source: str) -> None:
    expected = {"raise ValueError -> (nothing)"} if source.startswith("raise") else set()
    assert {mutant.what for mutant in mutants(source)} == expected


SOURCE = '''"""A running mean."""
def mean(values, start=0):
    """Not touched: 3 < 4."""
    total, count = start, 0
    for value in values:
        if value is None:
            continue
        total += value
        count += 1
    if count == 0:
        raise ValueError("expected at least 1 value")
    return total / count
'''


def test_each_is_python_and_none_equals_another() -> None:
    made = mutants(SOURCE)
    codes = [mutant.code for mutant in made]
    assert len(set(codes)) == len(codes) > 12
    assert ast.unparse(ast.parse(SOURCE)) not in codes
    assert len({mutant.key for mutant in made}) == len(made)
    for code in codes:
        compile(code, "mutant", "exec")


def test_lines_are_those_of_the_program() -> None:
    lines = SOURCE.replace('"', "'").splitlines()
    for mutant in mutants(SOURCE):
        assert mutant.what.split(" -> ")[0].split(":")[0] in lines[mutant.line - 1], mutant


def test_most_change_what_the_program_does() -> None:
    """Against one test with three cases; the rest of them is what a fuller test would have to find."""

    def holds(mutant: Mutant) -> bool:
        space: dict[str, object] = {}
        exec(mutant.code, space)
        mean = space["mean"]
        assert callable(mean)
        try:
            right = mean([1, None, 5]) == 3 and mean([4], 2) == 6
        except Exception:
            return False
        try:
            mean([])
        except ValueError:
            return right
        except Exception:
            return False
        return False

    assert [mutant.what for mutant in mutants(SOURCE) if holds(mutant)] == []


def test_keys_stay_when_lines_move() -> None:
    before = {mutant.key for mutant in mutants(SOURCE)}
    assert {mutant.key for mutant in mutants("# A comment above.\n\n" + SOURCE)} == before


def test_broken_source_is_refused() -> None:
    with pytest.raises(SyntaxError):
        mutants("def f(:")
