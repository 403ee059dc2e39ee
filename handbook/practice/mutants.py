"""Mutants of a program: copies with one small fault each, to test whether its tests would notice.

A test suite that accepts a mutant would accept that fault from a person, so the share that it rejects says
how far a green verdict can be trusted (DeMillo, Lipton and Sayward 1978, "Hints on Test Data Selection"). The
operators are those of Offutt et al. 1996 that stay meaningful in Python (relations, arithmetic, logic,
constants, statements that go missing), and a few that belong to array code: an axis that is forgotten, a
minimum for a maximum, a bound of a slice that is dropped.

Left alone because no test of behaviour could or should see them: annotations, docstrings, texts of errors,
`assert` statements, imports, and what stands under `if __name__ == "__main__"` or `TYPE_CHECKING`.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
TWINS = {
    "min": "max",
    "minimum": "maximum",
    "argmin": "argmax",
    "any": "all",
    "zeros": "ones",
    "zeros_like": "ones_like",
    "floor": "ceil",
    "heappush": "append",
    "popleft": "pop",
    "appendleft": "append",
    "bisect_left": "bisect_right",
    "sum": "max",
    "mean": "sum",
    "cumsum": "cumprod",
    "triu": "tril",
    "sorted": "list",
}
NAMES = TWINS | {
    after: before for before, after in TWINS.items() if after not in ("append", "pop", "list", "sum")
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault. line: of the program. what: `before -> after`, as Python writes it. code: the whole program.

    key: the same for the same change to the same line, wherever the line stands.
    """

    line: int
    what: str
    code: str
    key: str


Change = tuple[ast.AST, Callable[[], str], str]


def _docstring(node: ast.AST) -> ast.AST | None:
    body = getattr(node, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
        value = body[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return body[0]
    return None


def _guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and any(
        isinstance(part, ast.Name) and part.id in ("__name__", "TYPE_CHECKING")
        for part in ast.walk(node.test)
    )


def _reachable(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.AST, str, int | None]]:
    """(node, parent, field, place in a list) of everything that may be changed, top down."""
    hidden = _docstring(tree)
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "type_params", "exc", "cause"):
            continue
        if isinstance(value, list):
            children: list[tuple[ast.AST, int | None]] = [
                (item, place) for place, item in enumerate(value) if isinstance(item, ast.AST)
            ]
        elif isinstance(value, ast.AST):
            children = [(value, None)]
        else:
            continue
        for child, place in children:
            skipped = isinstance(child, ast.Import | ast.ImportFrom | ast.Assert | ast.JoinedStr) or _guard(
                child
            )
            if child is hidden or skipped:
                continue
            yield child, tree, field, place
            yield from _reachable(child)


def _constants(value: object) -> list[bool | int | float]:
    if value is True or value is False:
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1] if value > 1 else [value + 1]
    if isinstance(value, float):
        return [value * 2] if value else [1.0]
    return []


def _expressions(node: ast.AST) -> Iterator[ast.AST]:
    """The same node with one fault, for nodes that stand where an expression stands."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in COMPARISONS.get(type(operator), ()):
                changed = copy.deepcopy(node)
                changed.ops[place] = other()
                yield changed
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        if len(node.values) > 2:
            for place in range(len(node.values)):
                yield ast.BoolOp(node.op, [v for i, v in enumerate(node.values) if i != place])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.Constant):
        for value in _constants(node.value):
            yield ast.Constant(value)
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Call):
        for place in range(len(node.keywords)):
            if node.keywords[place].arg:
                yield ast.Call(node.func, node.args, [k for i, k in enumerate(node.keywords) if i != place])
    elif isinstance(node, ast.Slice):
        for bound in ("lower", "upper", "step"):
            if getattr(node, bound) is not None:
                cut = copy.deepcopy(node)
                setattr(cut, bound, None)
                yield cut
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield ast.Name(NAMES[node.id], ast.Load())
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], ast.Load())


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Another statement in place of this one."""
    if isinstance(node, ast.AugAssign):
        if type(node.op) in ARITHMETIC:
            yield ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
        yield ast.Pass()
    elif isinstance(node, ast.Break):
        yield ast.Continue()
        yield ast.Pass()
    elif isinstance(node, ast.Continue):
        yield ast.Pass()
        yield ast.Break()
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
        yield ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Raise):
        yield ast.Pass()
    elif isinstance(node, ast.If):
        for truth in (True, False):
            changed = copy.deepcopy(node)
            changed.test = ast.Constant(truth)
            yield changed
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript | ast.Attribute):
        yield ast.Pass()  # into an array, a dict, an attribute: the name is there all the same


def _short(node: ast.AST) -> str:
    text = "(nothing)" if isinstance(node, ast.Pass) else ast.unparse(ast.fix_missing_locations(node))
    first = text.splitlines()[0]
    return first if len(first) <= 80 else first[:77] + "..."


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a program, in the order of its lines; none equals another or the program.

    Raises SyntaxError where the source is not Python.
    """
    tree = ast.parse(source)
    lines, original = source.splitlines(), ast.unparse(tree)
    seen, found, times = {original}, [], Counter[str]()
    for node, parent, field, place in list(_reachable(tree)):
        for changed in (*_statements(node), *_expressions(node)):
            line = getattr(node, "lineno", getattr(parent, "lineno", 1))
            _put(parent, field, place, changed)
            code = ast.unparse(ast.fix_missing_locations(tree))
            _put(parent, field, place, node)
            if code in seen:
                continue
            seen.add(code)
            what = f"{_short(node)} -> {_short(changed)}"
            text = f"{lines[line - 1].strip()} | {what}"
            times[text] += 1
            key = hashlib.sha256(f"{text} | {times[text]}".encode()).hexdigest()[:10]
            found.append(Mutant(line, what, code, key))
    return sorted(found, key=lambda mutant: mutant.line)


def _put(parent: ast.AST, field: str, place: int | None, node: ast.AST) -> None:
    if place is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[place] = node
