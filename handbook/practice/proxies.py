"""What stands here for an object of the other process: an attribute, a call or an operator goes there.

Two of them are equal only if they are the same object there; no order is asked of them, because an answer
that compares itself is its own judge.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from handbook.practice.checks import INSIDE
from handbook.practice.classes import BINARY, DUNDERS
from handbook.practice.frames import NotPlain

if TYPE_CHECKING:
    from handbook.practice.remote import Peer


UNARY = ("__neg__", "__pos__", "__abs__", "__invert__")
OPERATORS = frozenset((*UNARY, *(f"__{side}{name}__" for name in BINARY.split() for side in ("", "r"))))


class Bound:
    """A method of a remote object, which is looked up where it is called."""

    __slots__ = ("__name__", "owner")

    def __init__(self, owner: Remote, name: str) -> None:
        self.owner, self.__name__ = owner, name

    def __call__(self, *args: Any, **kw: Any) -> Any:
        return self.owner._hb_peer.ask("method", self.owner._hb_id, self.__name__, args, kw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bound) and (other.owner, other.__name__) == (self.owner, self.__name__)

    def __hash__(self) -> int:
        return hash((self.owner, self.__name__))


class RemoteMeta(type):
    """Class of the classes of the other process: calling one makes an object there."""

    _handbook_peer: Peer
    _handbook_id: int
    _handbook_methods: frozenset[str]

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> RemoteMeta:
        if "__handbook_remote__" not in space:
            raise TypeError(
                f"{name} cannot derive from a class of the submission here; use a driver (inside)."
            )
        return super().__new__(mcs, name, bases, space)

    @classmethod
    def made(
        cls, peer: Peer, number: int, name: str, bases: list[type], dunders: list[str], methods: list[str]
    ) -> RemoteMeta:
        parents = tuple(base for base in bases if isinstance(base, RemoteMeta)) or (Remote,)
        space: dict[str, Any] = {
            "__handbook_remote__": True,
            "__slots__": (),
            "__module__": "submission",
            "_handbook_peer": peer,
            "_handbook_id": number,
            "_handbook_methods": frozenset(methods),
        }
        space |= {name: _forward(name) for name in dunders if name in DUNDERS}
        try:
            return cls(name, parents, space)
        except TypeError:  # bases in an order that this side's method resolution refuses
            return cls(name, (Remote,), space)

    def __call__(cls, *args: Any, **kw: Any) -> Any:
        return cls._handbook_peer.ask("call", cls._handbook_id, "", args, kw)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") or "_handbook_peer" not in cls.__dict__:
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return cls._handbook_peer.ask("get", cls._handbook_id, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        cls._handbook_peer.ask("set", cls._handbook_id, name, (value,))


class Remote(metaclass=RemoteMeta):
    """An object of the other process."""

    __handbook_remote__ = True
    __slots__ = ("__weakref__", "_hb_count", "_hb_id", "_hb_name", "_hb_peer")
    __array_ufunc__ = None  # NumPy's operators leave it to ours
    _hb_peer: Peer
    _hb_id: int
    _hb_name: str
    _hb_count: int

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name in type(self).__dict__.get("_handbook_methods", ()):
            return Bound(self, name)
        return self._hb_peer.ask("get", self._hb_id, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._hb_peer.ask("set", self._hb_id, name, (value,))

    def __delattr__(self, name: str) -> None:
        self._hb_peer.ask("del", self._hb_id, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and self._hb_id == other._hb_id and self._hb_peer is other._hb_peer

    def __hash__(self) -> int:
        return hash(("handbook", self._hb_id))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of the submission>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise NotPlain("an object of the submission cannot be copied here")

    def __del__(self) -> None:
        peer = getattr(self, "_hb_peer", None)
        if peer is not None:
            peer.dropped.append((self._hb_id, self._hb_count))


def _forward(name: str) -> Callable[..., Any]:
    """A special method that is done over there."""

    def method(self: Remote, *args: Any, **kw: Any) -> Any:
        if name == "__call__":
            return self._hb_peer.ask("call", self._hb_id, "", args, kw)
        if name in OPERATORS:
            _operands(self, args)
        result = self._hb_peer.ask("method", self._hb_id, name, args)
        if name in OPERATORS and not isinstance(result, Remote) and result is not NotImplemented:
            raise TypeError(f"expected a number or an array, got an object of class {type(self).__name__}")
        return RESULTS[name](result) if name in RESULTS else result

    method.__name__ = name
    return method


def _operands(owner: Remote, args: tuple[Any, ...]) -> None:
    """Refuse what would let a result judge itself: `(got - expected).max()` of an object in got's place."""
    for value in args:
        if not isinstance(value, (int, float, complex, Remote)):
            kinds = f"an object of class {type(owner).__name__} beside {type(value).__name__}"
            raise TypeError(f"expected two values of one kind, got {kinds}")


def _length(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"__len__ should return an int, got {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    return value if type(value) is str else f"<{type(value).__name__}>"


RESULTS: dict[str, Callable[[Any], Any]] = {"__len__": _length, "__str__": _text, "__repr__": _text}


class RemoteFunction(Remote):
    """A function of the other process."""

    __handbook_remote__ = True
    __slots__ = ()

    @property
    def __name__(self) -> str:
        return self._hb_name

    def __call__(self, *args: Any, **kw: Any) -> Any:
        return self._hb_peer.ask("call", self._hb_id, "", args, kw)

    def __repr__(self) -> str:
        return f"<function {self._hb_name} of the submission>"


class RemoteModule(Remote):
    """The submitted module. Its functions and classes are asked for once."""

    __handbook_remote__ = True
    __slots__ = ("_hb_cache",)
    _hb_cache: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name in self._hb_cache:
            return self._hb_cache[name]
        if name == "__name__":
            return "submission"
        value = self._hb_peer.ask("get", self._hb_id, name)
        if isinstance(value, (RemoteFunction, type)):
            self._hb_cache[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        self._hb_cache.pop(name, None)
        self._hb_peer.ask("set", self._hb_id, name, (value,))

    def __repr__(self) -> str:
        return "<the submission>"


def module_of(peer: Peer) -> RemoteModule:
    """What stands for the other side's module."""
    module = RemoteModule.__new__(RemoteModule)
    for slot, value in (
        ("_hb_peer", peer),
        ("_hb_id", 0),
        ("_hb_name", ""),
        ("_hb_count", 0),
        ("_hb_cache", {}),
    ):
        object.__setattr__(module, slot, value)
    return module


def source_of(driver: Any) -> str:
    """Source of a driver. Raises NotPlain for what is no plain function of the test file."""
    if not inspect.isfunction(driver) or driver.__name__ == "<lambda>" or driver.__closure__:
        raise NotPlain("a driver is a function of the test file with a name of its own and no closure")
    return textwrap.dedent(inspect.getsource(driver))


def _inside(module: RemoteModule, driver: Any, args: tuple[Any, ...]) -> Any:
    return module._hb_peer.ask("driver", 0, driver.__name__, (source_of(driver), *args))


type.__setattr__(RemoteModule, INSIDE, _inside)
