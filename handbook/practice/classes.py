"""Classes and exceptions of the other process, as classes of this one.

A class of the other side becomes a local class whose instances are handles; `isinstance`, `except` and the
class's name work, and only the special methods that the original has are there. Its bases are classes of the
same kind or an exception that everybody knows, never anything else that the other side names.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import builtins
import linecache
import sys
import types
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from handbook.practice.frames import NotPlain
from handbook.practice.verdicts import cut
from handbook.practice.wire import Malformed

SUBMISSION = "submission.py"
BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
DUNDERS = tuple(
    f"__{name}__"
    for name in (
        "len iter next getitem setitem delitem contains call enter exit bool str repr neg pos abs invert "
        "float int index reversed iadd isub imul itruediv " + BINARY
    ).split()
    + [f"r{name}" for name in BINARY.split()]
)
LIBRARY = {  # exceptions that cross as themselves, beside the built-in ones
    "numpy.linalg": ("LinAlgError",),
    "numpy.exceptions": ("AxisError",),
    "asyncio": ("CancelledError", "InvalidStateError", "QueueEmpty", "QueueFull"),
    "queue": ("Empty", "Full"),
}
PLAIN_TYPES = (
    *("bool", "int", "float", "complex", "str", "bytes", "bytearray", "list", "tuple", "dict"),
    *("set", "frozenset", "range", "slice", "object"),
)
FIELDS = 64


def known(name: str) -> type | None:
    """The class of a name that both sides know: built-in types and exceptions, and those of LIBRARY."""
    module, _, last = name.rpartition(".")
    if module == "builtins":
        found = getattr(builtins, last, None)
        if isinstance(found, type) and (last in PLAIN_TYPES or issubclass(found, BaseException)):
            return found
    elif last in LIBRARY.get(module, ()):
        return getattr(sys.modules.get(module), last, None)
    elif module == "numpy" and "numpy" in sys.modules:
        import numpy as np

        found = getattr(np, last, None)
        number = isinstance(found, type) and issubclass(found, np.generic)
        return found if number or found is np.ndarray else None  # and not memmap, which opens files
    elif name == "torch.Tensor" and "torch" in sys.modules:
        return getattr(sys.modules["torch"], "Tensor", None)
    return None


def name_of(cls: type) -> str | None:
    """The name under which both sides know a class; None for one that only this side has."""
    for module in (cls.__module__, *LIBRARY):
        name = f"{module}.{cls.__name__}"
        if known(name) is cls:
            return name
    return None


def describe(cls: type, number: int, reference: Callable[[type], Any]) -> dict[str, Any]:
    """What the other side needs for a class of its own. reference: how bases are named."""
    failure = issubclass(cls, BaseException)
    own = [base for base in cls.__bases__ if base.__module__ == cls.__module__ and name_of(base) is None]
    base = next((name for c in cls.__mro__ if (name := name_of(c))), None) if failure else None
    methods = set()
    for name in dir(cls):
        if not name.startswith("__"):
            for c in cls.__mro__:
                if name in vars(c):
                    if isinstance(vars(c)[name], METHODS):
                        methods.add(name)
                    break
    return {
        "id": number,
        "name": cls.__name__[:100],
        "bases": [reference(base) for base in own],
        "dunders": [d for d in DUNDERS if getattr(cls, d, None) is not getattr(object, d, None)],
        "methods": sorted(methods),
        "exception": base,
        "fields": list(getattr(cls, "_fields", ())) if issubclass(cls, tuple) else None,
    }


METHODS = (
    types.FunctionType,
    staticmethod,
    classmethod,
    types.MethodDescriptorType,
    types.BuiltinFunctionType,
)


def texts(value: Any, most: int = 10_000) -> list[str]:
    if not isinstance(value, list) or len(value) > most or not all(isinstance(item, str) for item in value):
        raise Malformed("names that are none")
    return value


def named_tuple(name: str, fields: list[str], number: int) -> type:
    """A tuple class with attributes, without the code that `collections.namedtuple` would generate."""
    if len(fields) > FIELDS or not all(f.isidentifier() and not f.startswith("_") for f in fields):
        raise Malformed("fields that are none")
    space: dict[str, Any] = {"_fields": tuple(fields), "_handbook_id": number, "__slots__": ()}
    space |= {field: property(itemgetter(i)) for i, field in enumerate(fields)}

    def show(self: Any) -> str:
        return f"{name}({', '.join(f'{f}={v!r}' for f, v in zip(fields, self, strict=False))})"

    space["__repr__"] = show
    return type(name, (tuple,), space)


def exception_class(name: str, bases: list[type], base: str | None, number: int) -> type:
    """A custom exception as a subclass of the built-in one that is nearest to it."""
    root = known(base or "builtins.Exception")
    if root is None or not issubclass(root, BaseException):
        raise Malformed("an exception of no known kind")
    mine = tuple(b for b in bases if issubclass(b, BaseException))
    parents = mine if any(issubclass(b, root) for b in mine) else (*mine, root)

    def text(self: Any) -> str:
        said = self.__dict__.get("_handbook_text")
        return said if said is not None else root.__str__(self)

    space = {"_handbook_id": number, "__module__": "submission", "__str__": text}
    try:
        return type(name, parents, space)
    except TypeError:
        return type(name, (root,), space)


def place_of(error: BaseException) -> tuple[int | None, str]:
    """(line, source) of the submission's innermost frame in a traceback."""
    if isinstance(error, SyntaxError) and error.filename == SUBMISSION:
        return error.lineno, (error.text or "").strip()
    line: int | None = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == SUBMISSION:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line, linecache.getline(SUBMISSION, line).strip() if line else ""


def pack_error(
    error: BaseException, encode: Callable[[Any], Any], reference: Callable[[type], Any]
) -> dict[str, Any]:
    """An exception as plain data: its class, its arguments and public attributes as far as they are plain."""
    cls = type(error)
    line, source = place_of(error)
    made: dict[str, Any] = {"known": name_of(cls), "line": line, "source": cut(source, 200)}
    if made["known"] is None:
        made["class"] = reference(cls)
    try:
        made["text"] = cut(error)
    except Exception as inner:
        made["text"] = f"(its text raises {type(inner).__name__})"
    for key, value in (("args", error.args), ("state", _public(error))):
        try:
            made[key] = encode(value)
        except (NotPlain, RecursionError):
            made[key] = None
    return made


def _public(error: BaseException) -> dict[str, Any]:
    plain = (type(None), bool, int, float, str, list, tuple, dict, set)
    state = getattr(error, "__dict__", {})
    return {k: v for k, v in state.items() if not k.startswith("_") and isinstance(v, plain)}


def _built(cls: Any, args: Any, text: str) -> BaseException:
    """With these arguments where the class takes them, else with its text alone."""
    if isinstance(args, tuple):
        try:
            error = cls(*args)
        except Exception:
            error = None
        if isinstance(error, BaseException):
            return error
    error = cls.__new__(cls)
    error.args = (text,)
    assert isinstance(error, BaseException)
    return error


def unpack_error(made: dict[str, Any], cls: type, args: Any, state: Any) -> BaseException:
    """An exception of this side that says the same. `_handbook` on it: (line, source) in the submission."""
    text = str(made.get("text", ""))
    error = _built(cls, args, text)
    line = made.get("line")
    error.__dict__["_handbook"] = (line if type(line) is int else None, str(made.get("source", "")))
    if "_handbook_id" in vars(cls):
        error.__dict__["_handbook_text"] = text
    if isinstance(state, dict):
        error.__dict__.update(
            {k: v for k, v in state.items() if isinstance(k, str) and not k.startswith("_")}
        )
    return error
