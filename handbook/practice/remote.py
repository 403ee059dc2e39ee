"""Calls between two processes: objects stay where they are, and the other side holds handles.

`Peer` is the same at both ends. While it waits for an answer it serves what the other end asks, so calls may
nest. Which of its own objects the other end may use, and how, is the guard's to say (`guards.py`).

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from handbook.practice import classes
from handbook.practice.changes import apply, changes
from handbook.practice.frames import Channel, Ended, Garbled, NotPlain
from handbook.practice.proxies import Bound, Remote, RemoteFunction, RemoteMeta
from handbook.practice.verdicts import cut
from handbook.practice.wire import Decoder, Encoder, Malformed

NESTED = 50  # calls within calls
ROOM = 200  # frames of our own, beyond what recursion a submission may have
DEEPEST = 2**31 - 1
KEPT = 100  # exceptions that may come back as themselves
FAULTS = (
    Malformed,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    StopIteration,
    RecursionError,
    MemoryError,
)
MODULE = 0  # number of the module that a peer gives the other side first


class Guard(Protocol):
    def exported(self, value: Any) -> None:
        """Raises NotPlain for what may not be handed over."""

    def used(self, value: Any, operation: str, name: str) -> None:
        """Raises AttributeError for what may not be asked of it."""

    def told(self, error: BaseException) -> BaseException:
        """What the other side hears of an exception."""


class Peer:
    """One end of a channel. extra: operations beyond those on objects, by name."""

    def __init__(
        self, channel: Channel, guard: Guard, extra: dict[str, Callable[..., Any]] | None = None
    ) -> None:
        self.channel, self.guard, self.extra = channel, guard, extra or {}
        self.lock = threading.RLock()
        self.exports: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.counts: dict[int, int] = {}
        self.next = MODULE
        self.told: set[int] = set()  # classes that the other side knows
        self.classes: dict[int, type] = {}
        self.proxies: weakref.WeakValueDictionary[int, Remote] = weakref.WeakValueDictionary()
        self.dropped: list[tuple[int, int]] = []
        self.errors: dict[int, BaseException] = {}  # raised here while serving: they come back as themselves
        self.failed: list[AssertionError] = []
        self.refused: list[str] = []  # values that the other side could not send
        self.sequence = self.depth = self.raised = 0

    # What goes out

    def export(self, value: Any) -> int:
        number = self.numbers.get(id(value))
        if number is None:
            number = self.next
            self.next += 1
            self.numbers[id(value)], self.exports[number], self.counts[number] = number, value, 0
        self.counts[number] += 1
        return number

    def other(self, value: Any) -> Any:
        """JSON of what is not plain data."""
        if isinstance(value, Remote):
            return {"y": value._hb_id}
        if isinstance(value, Bound):
            return {"ym": [value.owner._hb_id, value.__name__]}
        if isinstance(value, type):
            return self.reference(value)
        if isinstance(value, BaseException):
            return {"ex": self.pack(value, None)}
        self.guard.exported(value)
        if type(value).__name__ in ("function", "builtin_function_or_method", "method"):
            return {"f": [self.export(value), str(getattr(value, "__name__", "function"))[:100]]}
        return {"h": [self.reference(type(value)), self.export(value)]}

    def reference(self, cls: type) -> Any:
        """A class: by the name that both sides know, by its number there or here, or described."""
        if "_handbook_id" in vars(cls) or isinstance(cls, RemoteMeta):
            return {"y": cls._handbook_id}  # type: ignore[attr-defined]
        if name := classes.name_of(cls):
            return {"k": name}
        number = self.export(cls)
        if number in self.told:
            return {"c": number}
        self.guard.exported(cls)
        self.told.add(number)
        return {"c": classes.describe(cls, number, self.reference)}

    def pack(self, error: BaseException, encoder: Encoder | None) -> dict[str, Any]:
        """encoder: of the message, None for an exception that is a value, whose arguments stay here."""
        own = error.__dict__.get("_handbook_own") if hasattr(error, "__dict__") else None
        if own is not None:
            return {"own": own}

        def encode(value: Any) -> Any:
            if encoder is None:
                raise NotPlain("an exception's arguments")
            told = set(self.told)
            try:  # on trial: what fails halfway must leave no numbers behind
                Encoder(self.other).encode(value)
            finally:
                self.told = told
            return encoder.encode(value)

        return classes.pack_error(error, encode, self.reference)

    # What comes in

    def another(self, tag: str, body: Any, decoder: Decoder) -> Any:
        """The value of JSON that `other` of the other side made."""
        if tag == "y":
            return self.exports[body]
        if tag == "ym":
            self.guard.used(self.exports[body[0]], "get", str(body[1]))
            return getattr(self.exports[body[0]], str(body[1]))
        if tag == "k":
            found = classes.known(str(body))
            if found is None:
                raise Malformed("a class that nobody knows")
            return found
        if tag == "c":
            return self.local_class(body)
        if tag == "f":
            return self.proxy(RemoteFunction, body[0], str(body[1]))
        if tag == "h":
            cls = decoder.decode(body[0])
            if not isinstance(cls, RemoteMeta):
                raise Malformed("an object of a class that is none")
            return self.proxy(cls, body[1])
        if tag == "n":
            cls = decoder.decode(body[0])
            if not (isinstance(cls, type) and issubclass(cls, tuple)):
                raise Malformed("a tuple of a class that is none")
            return tuple.__new__(cls, decoder.items(body[1], 0))
        if tag == "ex":
            return self.unpack(body, decoder)
        raise Malformed(f"an unknown tag {tag[:20]}")

    def proxy(self, cls: Any, number: Any, name: str = "") -> Remote:
        if type(number) is not int:
            raise Malformed("a number that is none")
        found = self.proxies.get(number)
        if found is None:
            found = Remote.__new__(cls)
            for slot, value in (("_hb_peer", self), ("_hb_id", number), ("_hb_name", name), ("_hb_count", 0)):
                object.__setattr__(found, slot, value)
            self.proxies[number] = found
        object.__setattr__(found, "_hb_count", found._hb_count + 1)
        return found

    def local_class(self, body: Any) -> type:
        if type(body) is int:
            return self.classes[body]
        number, name = body["id"], str(body["name"])
        if type(number) is not int or number in self.classes or len(self.classes) > 10_000:
            raise Malformed("a class that is there already")
        bases = [Decoder(memoryview(b""), self.another).decode(base) for base in body["bases"]]
        if body["exception"] is not None:
            made = classes.exception_class(name, bases, str(body["exception"]), number)
        elif body["fields"] is not None:
            made = classes.named_tuple(name, classes.texts(body["fields"]), number)
        else:
            made = RemoteMeta.made(
                self, number, name, bases, classes.texts(body["dunders"]), classes.texts(body["methods"])
            )
        self.classes[number] = made
        return made

    def unpack(self, body: Any, decoder: Decoder) -> BaseException:
        if "own" in body:
            return self.errors.get(body["own"]) or RuntimeError("an exception that is long gone")
        cls = classes.known(str(body["known"])) if body.get("known") else None
        if cls is None:
            cls = decoder.decode(body["class"])
        args, state = (decoder.decode(body.get(key)) for key in ("args", "state"))
        if not (isinstance(cls, type) and issubclass(cls, BaseException)):
            raise Malformed("an exception of no known kind")
        error = classes.unpack_error(body, cls, args, state)
        if type(body.get("here")) is int:
            error.__dict__["_handbook_own"] = body["here"]
        return error

    # Asking

    def ask(self, operation: str, target: int, name: str = "", args: Any = (), kw: Any = None) -> Any:
        """The other side's answer; raises what it raised there. Changed arguments are written back.

        A recursion that calls the other side on its way down ends in its own code, not halfway in a message.
        """
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(min(limit + ROOM, DEEPEST))
        try:
            return self._ask(operation, target, name, args, kw)
        finally:
            sys.setrecursionlimit(limit)

    def _ask(self, operation: str, target: int, name: str, args: Any, kw: Any) -> Any:
        with self.lock:
            encoder, told = Encoder(self.other), set(self.told)
            try:
                packed = [encoder.encode(arg) for arg in args]
                named = [[str(key), encoder.encode(value)] for key, value in (kw or {}).items()]
            except BaseException:
                self.told = told
                raise
            self.sequence = sequence = self.sequence + 1
            drops, self.dropped = self.dropped, []
            message = ["q", sequence, operation, target, name, packed, named, drops]
            self.channel.send(message, encoder.raw)
            while True:
                answer, raw = self.channel.recv()
                if not isinstance(answer, list) or len(answer) < 2:
                    raise Garbled("no message of ours")
                if answer[0] == "q":
                    self.serve(answer, raw)
                    continue
                if answer[1] != sequence or len(answer) != 4:
                    raise Garbled("an answer to another question")
                return self._answer(answer, raw, encoder)

    def _answer(self, answer: list[Any], raw: memoryview, encoder: Encoder) -> Any:
        known = encoder.objects
        decoder = Decoder(raw, self.another, known)
        try:
            value: Any = None
            error: BaseException | None = None
            if answer[0] == "r":
                value = decoder.decode(answer[2])
            elif answer[0] == "v":
                error = NotPlain(cut(answer[2]))
                error.__dict__["_handbook"] = (None, "")
                self.refused.append(str(error))
            else:
                error = self.unpack(answer[2], decoder)
            apply(answer[3], decoder, len(known))
        except FAULTS as fault:
            raise Garbled(f"an answer that cannot be read: {fault}") from None
        if error is not None:
            raise error
        return value

    # Answering

    def serve(self, message: list[Any], raw: memoryview) -> None:
        """Do what the other side asks, and send what came of it. Raises Garbled for no question of ours."""
        self.reply(*self.perform(message, raw))

    def reply(self, answer: list[Any], raw: list[Any]) -> None:
        with self.lock:
            try:
                self.channel.send(answer, raw)
            except NotPlain as error:
                self.channel.send(["v", answer[1], str(error), []])

    def perform(self, message: Any, raw: memoryview) -> tuple[list[Any], list[Any]]:
        if not isinstance(message, list) or len(message) != 8 or message[0] != "q":
            raise Garbled("no question of ours")
        _, sequence, operation, target, name, packed, named, drops = message
        decoder = Decoder(raw, self.another)
        try:
            args = decoder.items(packed, 0)
            kw = {str(key): decoder.decode(value) for key, value in named}
            self._drop(drops)
        except FAULTS as fault:
            raise Garbled(f"a question that cannot be read: {fault}") from None
        self.depth += 1
        encoder, told = Encoder(self.other, decoder.objects), set(self.told)
        try:
            if self.depth > NESTED:
                raise RecursionError(f"calls between test and submission nest more than {NESTED} deep")
            value = self._do(operation, target, str(name), args, kw)
            body = ["r", sequence, encoder.encode(value)]
            return [*body, changes(decoder, encoder)], encoder.raw
        except (Ended, Garbled):
            raise
        except NotPlain as error:
            self.told = told
            return ["v", sequence, str(error), []], []
        except BaseException as error:
            self.told = told
            return self._failure(sequence, error, decoder)
        finally:
            self.depth -= 1

    def _failure(self, sequence: Any, error: BaseException, decoder: Decoder) -> tuple[list[Any], list[Any]]:
        encoder = Encoder(self.other, decoder.objects)
        packed = self.pack(self.guard.told(error), encoder)
        if "own" not in packed:
            self.raised += 1
            packed["here"] = self.raised
            self.errors[self.raised] = error
            self.errors.pop(self.raised - KEPT, None)
            if isinstance(error, AssertionError):
                self.failed.append(error)
        told = set(self.told)
        try:
            return ["x", sequence, packed, changes(decoder, encoder)], encoder.raw
        except NotPlain as fault:
            self.told = told
            return ["v", sequence, str(fault), []], []

    def _do(self, operation: Any, target: Any, name: str, args: list[Any], kw: dict[str, Any]) -> Any:
        if operation in self.extra:
            return self.extra[operation](target, name, args, kw)
        value = self.exports[target]
        self.guard.used(value, str(operation), name)
        if operation == "call":
            return value(*args, **kw)
        if operation == "method":
            owner = type(value) if name in classes.DUNDERS else None
            return getattr(owner, name)(value, *args) if owner else getattr(value, name)(*args, **kw)
        if operation == "get":
            return getattr(value, name)
        if operation == "set":
            return setattr(value, name, *args)
        if operation == "del":
            return delattr(value, name)
        raise Garbled("an unknown operation")

    def _drop(self, drops: list[Any]) -> None:
        for number, count in drops:
            self.counts[number] -= count
            if not self.counts[number] and number not in self.told and number != MODULE:
                value = self.exports.pop(number)
                del self.counts[number], self.numbers[id(value)]
