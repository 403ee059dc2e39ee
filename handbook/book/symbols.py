"""Source by symbol: `module:qualname` -> its text, file and line. By AST; the module is never imported."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import stat
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from handbook.errors import BookError

_DOCSTRING = re.compile(r'\s*(?:#[^\n]*\n\s*)*[rR]?"""(.*?)"""', re.DOTALL)
_BOOK_LINE = re.compile(r"^Book: ([a-z0-9-]+/[a-z0-9-]+)$")


@dataclass(frozen=True, slots=True)
class SourceText:
    """text: dedented, with decorators. line: its first. kind: module, class, function, constant."""

    symbol: str
    text: str
    file: Path
    line: int
    docstring: str
    kind: str


class UnknownSymbol(BookError):
    """A symbol that no file of the package defines."""


def package_folder(package: str) -> Path | None:
    """Folder of a top-level package. Finding the spec of a top-level name imports nothing."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def module_file(module: str) -> Path | None:
    """The .py file of `package.sub.module`, or of the package's __init__."""
    found = _located(module)
    return Path(found[0]) if found else None


def _located(module: str) -> tuple[str, os.stat_result] | None:
    """Path of a module's file, and what the system says of it. The book asks a thousand times: no Paths."""
    top, *rest = module.split(".")
    folder = package_folder(top)
    if folder is None or not all(part.isidentifier() for part in rest):
        return None
    place = "/".join((str(folder), *rest))
    for file in (*([f"{place}.py"] if rest else ()), f"{place}/__init__.py"):
        with contextlib.suppress(OSError):
            found = os.stat(file)  # noqa: PTH116
            if stat.S_ISREG(found.st_mode):
                return file, found
    return None


def modules(package: str = "handbook") -> Iterator[tuple[str, Path]]:
    """Every module of a package with its file, in name order. Names that start with `_` are left out."""
    folder = package_folder(package)
    if folder is None:
        return
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if not any(part.startswith("_") or not part.isidentifier() for part in parts):
            yield ".".join((package, *parts)), file


def chapter_of(file: Path) -> tuple[str, int] | None:
    """What the docstring of a module says on its last line, `Book: part/slug`, and on which line."""
    path = str(file)
    found = os.stat(path)  # noqa: PTH116
    return _chapter_of(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=2048)
def _chapter_of(file: str, mtime: int, size: int) -> tuple[str, int] | None:
    match = _DOCSTRING.match(text := Path(file).read_text(encoding="utf-8", errors="replace"))
    if not match or not (body := match[1].rstrip()):
        return None
    found = _BOOK_LINE.match(body.splitlines()[-1].strip())
    return (found[1], text[: match.start(1)].count("\n") + body.count("\n") + 1) if found else None


@lru_cache(maxsize=512)
def _parse(file: str, mtime: int, size: int) -> tuple[str, ast.Module]:
    data = Path(file).read_bytes()
    try:
        text = data.decode("utf-8")
        return text, ast.parse(text)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SyntaxError("not UTF-8 text", (file, line, None, None)) from error
    except ValueError as error:  # null bytes, before Python 3.12
        raise SyntaxError(str(error), (file, 1, None, None)) from error


def parse(file: Path) -> tuple[str, ast.Module]:
    """Text and tree of a Python file, cached until it changes. SyntaxError also where it is not UTF-8."""
    found = file.stat()
    return _parse(str(file), found.st_mtime_ns, found.st_size)


def _named(node: ast.stmt) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name, "function"
    elif isinstance(node, ast.ClassDef):
        yield node.name, "class"
    elif isinstance(node, ast.Assign):
        yield from ((t.id, "constant") for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, "constant"


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.With | ast.Try):
            yield from _statements(node.body)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def _source(symbol: str, node: ast.stmt, kind: str, text: str, file: Path) -> SourceText:
    first = _first_line(node)
    lines = text.splitlines()[first - 1 : node.end_lineno]
    documented = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    docstring = (ast.get_docstring(node) or "") if documented else ""  # type: ignore[arg-type]
    return SourceText(symbol, textwrap.dedent("\n".join(lines)), file, first, docstring, kind)


def source(symbol: str) -> SourceText:
    """Source of `package.module:name`, `package.module:Class.method`, or of a whole `package.module`.

    Raises UnknownSymbol where there is no such module, it does not parse, or it does not define the name.
    """
    module = symbol.partition(":")[0]
    located = _located(module)
    if located is None:
        raise UnknownSymbol(f"There is no module {module}.", "Correct the name, or write the module.")
    file, found = located
    return _found(symbol, file, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4096)
def _found(symbol: str, file: str, mtime: int, size: int) -> SourceText:
    """`source`, of a module's file, cached until that changes."""
    module, _, qualname = symbol.partition(":")
    try:
        text, tree = _parse(file, mtime, size)
    except SyntaxError as error:
        raise UnknownSymbol(f"{module} does not parse: {error}.", "Correct the module.") from error
    if not qualname:
        return SourceText(symbol, text, Path(file), 1, ast.get_docstring(tree) or "", "module")
    body: list[ast.stmt] = tree.body
    found: tuple[ast.stmt, str] | None = None
    for name in qualname.split("."):
        found = next(
            ((node, kind) for node in _statements(body) for given, kind in _named(node) if given == name),
            None,
        )
        if found is None:
            raise UnknownSymbol(
                f"{module} defines no {qualname}.", f"Names there: {', '.join(names(module)) or '-'}."
            )
        body = found[0].body if isinstance(found[0], ast.ClassDef) else []
    assert found is not None
    return _source(symbol, found[0], found[1], text, Path(file))


def names(module: str) -> tuple[str, ...]:
    """Public top-level names that a module defines (classes, functions, constants), in order of the file."""
    file = module_file(module)
    if file is None:
        return ()
    try:
        _, tree = parse(file)
    except SyntaxError:
        return ()
    given = (name for node in _statements(tree.body) for name, _ in _named(node))
    return tuple(dict.fromkeys(name for name in given if not name.startswith("_")))


def outline(module: str) -> tuple[SourceText, ...]:
    """Each public class, function and method of a module, in order of the file. Raises UnknownSymbol."""
    whole = source(module)
    _, tree = parse(whole.file)
    found = []
    for node in _statements(tree.body):
        for name, kind in _named(node):
            if kind == "constant" or name.startswith("_"):
                continue
            found.append(_source(f"{module}:{name}", node, kind, whole.text, whole.file))
            if isinstance(node, ast.ClassDef):
                for child in node.body:
                    if isinstance(
                        child, ast.FunctionDef | ast.AsyncFunctionDef
                    ) and not child.name.startswith("_"):
                        method = f"{module}:{name}.{child.name}"
                        found.append(_source(method, child, "function", whole.text, whole.file))
    return tuple(found)


def defines(file: Path, name: str) -> bool:
    """Whether a file binds a name at its top level (def, class, assignment, import). Raises SyntaxError."""
    _, tree = parse(file)
    for node in _statements(tree.body):
        if any(given == name for given, _ in _named(node)):
            return True
        if isinstance(node, ast.Import | ast.ImportFrom) and any(
            (a.asname or a.name) == name for a in node.names
        ):
            return True
    return False
