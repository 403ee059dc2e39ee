"""What can be said of a submission before it runs: whether it parses, what it defines, what it imports.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass

from handbook.practice.verdicts import cut

LONGEST = 200_000  # characters of a submission
ALWAYS = frozenset(sys.stdlib_module_names)


@dataclass(frozen=True, slots=True)
class Static:
    """fault: why the submission is not run, "" where it is; line: of the fault."""

    fault: str = ""
    line: int | None = None


def imports(tree: ast.AST) -> list[tuple[str, int]]:
    """(top-level module, line) of each import statement."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name.partition(".")[0], node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(
                (node.module.partition(".")[0] if node.module and not node.level else ".", node.lineno)
            )
    return found


def look(code: str, entry: str, allowed: tuple[str, ...]) -> Static:
    """allowed: the modules beyond the standard library. An import by other means fails where it runs."""
    if len(code) > LONGEST:
        return Static(f"Expected at most {LONGEST:,} characters of code, got {len(code):,}.")
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        source = f": {cut(error.text.strip(), 200)}" if error.text else ""
        where = f"Line {error.lineno}: " if error.lineno else ""
        return Static(f"The submission cannot be loaded. {where}{error.msg}{source}", error.lineno)
    except (ValueError, RecursionError, MemoryError) as error:
        text = str(error) or "it is nested too deep"
        return Static(f"The submission cannot be loaded. {type(error).__name__}: {text}.")
    for module, line in imports(tree):
        if module not in ALWAYS and module not in allowed:
            beyond = f"the standard library{''.join(f', {name}' for name in allowed)}"
            what = "a relative import" if module == "." else module
            return Static(f"Line {line} imports {what}. This exercise allows {beyond}.", line)
    if entry and not defines(tree, entry):
        return Static(f"The submission defines no {entry}.")
    return Static()


def defines(tree: ast.Module, name: str) -> bool:
    """Whether anything in the module may give the name a value; a star import may."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name:
            return True
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.alias) and (node.asname or node.name) in (name, "*"):
            return True
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("exec", "globals")
        ):
            return True
    return False
