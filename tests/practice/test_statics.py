"""What is said of a submission before it runs."""

import pytest

from handbook.practice.statics import LONGEST, look

GOOD = [
    "import math, numpy as np\nfrom collections import deque\ndef solve(): pass",
    "class solve: pass",
    "solve = lambda x: x",
    "from heapq import heapify as solve",
    "if True:\n    async def solve(): pass",
    "exec('def solve(): pass')",
    "from math import *",
    "try:\n    import torch.nn as nn\nexcept ImportError:\n    pass\nfor solve in (1,): pass",
]


@pytest.mark.parametrize("code", GOOD)
def test_may_run(code: str) -> None:
    assert look(code, "solve", ("numpy", "torch")).fault == ""


BAD = {
    "def solve(:": "The submission cannot be loaded. Line 1: invalid syntax: def solve(:",
    "x = '\0'\ndef solve(): pass": "cannot be loaded. source code string cannot contain null bytes",
    "x = 1\nimport scipy.linalg\ndef solve(): pass": "Line 2 imports scipy. This exercise allows the "
    "standard library, numpy, torch.",
    "def solve():\n    from pandas import x": "Line 2 imports pandas.",
    "from . import x\ndef solve(): pass": "Line 1 imports a relative import.",
    "def other(): return solve": "The submission defines no solve.",
    "def solve(): pass\n#" + "x" * LONGEST: "Expected at most 200,000 characters",
    "x = " + "(" * 50_000: "The submission cannot be loaded.",
    "x = " + "-" * 100_000 + "1": "The submission cannot be loaded.",
    "x = " + "1+" * 90_000 + "1": "The submission cannot be loaded.",
}


@pytest.mark.parametrize("code", BAD, ids=range(len(BAD)))
def test_may_not_run(code: str) -> None:
    assert BAD[code] in look(code, "solve", ("numpy", "torch")).fault


def test_imports_are_those_of_the_exercise() -> None:
    assert "allows the standard library." in look("import numpy\nsolve = 1", "solve", ()).fault
    assert look("import numpy\nsolve = 1", "solve", ("numpy",)).line is None
