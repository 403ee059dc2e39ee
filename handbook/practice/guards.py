"""What a submission may do with the test's objects: call functions, read and set public attributes, no more.

A function's globals, a generator's frame, a bound method's owner lead to expected values; none is reachable.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import functools
import io
import threading
import types
from collections.abc import Iterator
from typing import Any

from handbook.practice.classes import DUNDERS
from handbook.practice.frames import NotPlain

CALLED = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial)
TOOLS = (
    threading.Event,
    threading.Condition,
    type(threading.Lock()),
    type(threading.RLock()),
    io.StringIO,
    io.BytesIO,
)
STEPS = ("__iter__", "__next__", "__length_hint__")


class Open:
    """The submission's side: the test may use all of it."""

    def exported(self, value: Any) -> None:
        pass

    def used(self, value: Any, operation: str, name: str) -> None:
        pass

    def told(self, error: BaseException) -> BaseException:
        return error


class TestFiles:
    """The test's side. modules: names of the test files, whose classes' objects may be handed over."""

    __test__ = False

    def __init__(self, modules: frozenset[str]) -> None:
        self.modules = modules

    def _own(self, value: Any) -> bool:
        cls = value if isinstance(value, type) else type(value)
        return cls.__module__ in self.modules

    def exported(self, value: Any) -> None:
        """Raises NotPlain for modules, frames, layers of a network and whatever is not the test's own."""
        if isinstance(value, type):
            if self._own(value) or issubclass(value, (Iterator, BaseException)) or value in (*CALLED, *TOOLS):
                return
            kind = f"the class {value.__name__}"
        elif self._own(value) or isinstance(value, (*CALLED, *TOOLS, Iterator)) or _ufunc(value):
            return
        else:
            kind = f"an object of type {type(value).__name__}"
        raise NotPlain(f"{kind}, which stays with the test; make it in a driver (inside)")

    def used(self, value: Any, operation: str, name: str) -> None:
        """Raises AttributeError for what the submission has no business with."""
        if operation == "call" and (self._own(value) or isinstance(value, CALLED) or _ufunc(value)):
            return
        public = not name.startswith("_")
        special = operation == "method" and name in DUNDERS
        if isinstance(value, type):
            allowed = self._own(value) and public and operation == "get"
        elif self._own(value):
            allowed = public or special
        elif isinstance(value, Iterator):
            allowed = operation == "method" and name in STEPS
        else:
            allowed = isinstance(value, TOOLS) and (special or (public and operation in ("method", "get")))
        if allowed:
            return
        raise AttributeError(f"the test does not let {name or 'it'} be used")

    def told(self, error: BaseException) -> BaseException:
        """What the submission hears of an exception: of a failed assertion only that there was one."""
        return AssertionError() if isinstance(error, AssertionError) else error


class Lent(TestFiles):
    """The side of the book's own code, which a snippet calls: what one module defines, no more.

    Not what the module imports: given a class that opens files, `torch.func.functional_call` opens any.
    """

    def used(self, value: Any, operation: str, name: str) -> None:
        """Raises AttributeError for what a snippet has no business with."""
        if isinstance(value, types.ModuleType):
            defined = getattr(vars(value).get(name), "__module__", None) == value.__name__
            if operation == "get" and not name.startswith("_") and defined:
                return
            raise AttributeError(f"the book's solution has no {name}")
        super().used(value, operation, name)

    def told(self, error: BaseException) -> BaseException:
        return error


def _ufunc(value: Any) -> bool:
    return type(value).__name__ == "ufunc" and type(value).__module__ == "numpy"
