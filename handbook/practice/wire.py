"""Plain data by value between two processes that do not trust each other: JSON with tags, and raw buffers.

No pickle, no eval: a decoder makes values of the types listed here, and nothing else. Mutable values are
numbered in the order in which they appear, so that one value in two places stays one value, and so that an
answer can say what became of the arguments (`changes`, `apply`).

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import array
import math
import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from handbook.practice.frames import NotPlain

DEPTH = 100
ITEMS = 4_000_000  # values of one message, beyond those of packed lists
PACKED = 16  # lists of numbers from this length on go as raw bytes
SMALL = 1 << 62
SCALARS = frozenset({type(None), bool, int, str, float})
DICTS: dict[str, type] = {"dict": dict, "Counter": Counter, "OrderedDict": OrderedDict}
FACTORIES: dict[str, type] = {kind.__name__: kind for kind in (int, float, str, bool, list, dict, set, tuple)}
STREAMS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
KINDS = "biufcSUmM"  # of NumPy's dtypes
Raw = list[bytes | memoryview]


class Malformed(ValueError):
    """What came is not what an encoder writes."""


def module(name: str) -> Any:
    return sys.modules.get(name)


class Encoder:
    """One message. other: makes JSON of what is not plain data (raises NotPlain).

    objects: the mutable values seen, in order; `known` are those of the message that this one answers.
    """

    def __init__(self, other: Callable[[Any], Any] | None = None, known: list[Any] | None = None) -> None:
        self.other = other
        self.objects: list[Any] = list(known or ())
        self.numbers = {id(value): i for i, value in enumerate(self.objects)}
        self.open: set[int] = set()
        self.raw: Raw = []
        self.size = 0
        self.count = 0

    def buffer(self, data: bytes | memoryview) -> list[int]:
        """[offset, length] of bytes that go after the JSON."""
        offset, length = self.size, len(data)
        self.raw.append(data)
        self.size += length
        return [offset, length]

    def encode(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        if kind in SCALARS:
            if kind is int and not -SMALL < value < SMALL:
                return {"i": hex(value)}
            return value
        self.count += 1
        if depth > DEPTH:
            raise NotPlain(f"a value nested more than {DEPTH} deep, or one that contains itself")
        if self.count > ITEMS:
            raise NotPlain(f"a value of more than {ITEMS:,} parts")
        if kind is tuple:
            return {"t": self._items(value, depth)}
        if kind in (list, dict, set, deque, bytearray):
            return self._numbered(value, depth)
        return self._rest(value, kind, depth)

    def _items(self, values: Any, depth: int) -> list[Any]:
        return [self.encode(item, depth + 1) for item in values]

    def _numbered(self, value: Any, depth: int) -> Any:
        number = self.numbers.get(id(value))
        if number is not None:
            if number in self.open:
                raise NotPlain("a value that contains itself")
            return {"ref": number}
        number = len(self.objects)
        self.numbers[id(value)] = number
        self.objects.append(value)
        self.open.add(number)
        made = self.content(value, depth)
        self.open.discard(number)
        return made

    def content(self, value: Any, depth: int = 0) -> Any:
        """What a mutable value holds, though it has a number already."""
        if isinstance(value, list):
            return self._list(value, depth)
        if isinstance(value, dict):
            return self._dict(value, depth)
        if isinstance(value, set):
            return {"s": self._items(value, depth)}
        if isinstance(value, deque):
            return {"q": [value.maxlen, self._items(value, depth)]}
        if isinstance(value, bytearray):
            return {"ba": self.buffer(bytes(value))}
        if isinstance(value, random.Random):
            return {"rr": self.encode(value.getstate(), depth + 1)}
        return self._library(value, depth)

    def _list(self, value: list[Any], depth: int) -> Any:
        if len(value) >= PACKED:
            kinds = set(map(type, value))
            if kinds == {float}:
                return {"fl": self.buffer(array.array("d", value).tobytes())}
            if kinds == {int}:
                try:
                    return {"il": self.buffer(array.array("q", value).tobytes())}
                except OverflowError:
                    pass
            elif kinds <= {str, bool, type(None)}:
                return list(value)
        return self._items(value, depth)

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        flat: list[Any] = []
        for key, item in value.items():
            flat += (self.encode(key, depth + 1), self.encode(item, depth + 1))
        if isinstance(value, Counter):
            return {"d": ["Counter", flat]}
        if isinstance(value, OrderedDict):
            return {"d": ["OrderedDict", flat]}
        factory = getattr(value, "default_factory", None) if isinstance(value, defaultdict) else None
        if factory in FACTORIES.values():
            return {"dd": [factory.__name__, flat]}  # type: ignore[union-attr]
        return {"d": ["dict", flat]}

    def _rest(self, value: Any, kind: type, depth: int) -> Any:
        if kind is complex:
            return {"z": [value.real, value.imag]}
        if kind is bytes:
            return {"b": self.buffer(value)}
        if kind is frozenset:
            return {"fs": self._items(value, depth)}
        if kind is range:
            return {"r": [self.encode(x) for x in (value.start, value.stop, value.step)]}
        if kind is slice:
            return {"sl": [self.encode(x, depth + 1) for x in (value.start, value.stop, value.step)]}
        if value is Ellipsis:
            return {"e": 0}
        if value is NotImplemented:
            return {"ni": 0}
        if kind is Fraction:
            return {"fr": [self.encode(value.numerator), self.encode(value.denominator)]}
        if kind is Decimal:
            return {"dec": str(value)}
        if kind is random.Random:
            return self._numbered(value, depth)
        made = self._foreign(value, depth)
        if made is not None:
            return made
        if isinstance(value, (list, dict, set, deque)):
            return self._numbered(value, depth)
        plain: Any
        for plain in (int, float, str):
            if isinstance(value, plain):
                return self.encode(str.__str__(value) if plain is str else plain(value))
        if isinstance(value, tuple) and not hasattr(kind, "_fields"):
            return {"t": self._items(tuple.__iter__(value), depth)}
        if self.other is None:
            raise NotPlain(f"a value of type {kind.__name__}")
        return self.other(value) if not isinstance(value, tuple) else self._named(value, depth)

    def _named(self, value: Any, depth: int) -> Any:
        assert self.other is not None
        return {"n": [self.other(type(value)), self._items(value, depth)]}

    def _foreign(self, value: Any, depth: int) -> Any:
        """NumPy's and torch's values; None for what is neither's."""
        numpy, torch = module("numpy"), module("torch")
        if numpy is not None:
            if isinstance(value, (numpy.ndarray, numpy.random.Generator)):
                return self._numbered(value, depth)
            if isinstance(value, numpy.generic):
                if value.dtype.kind not in KINDS:
                    raise NotPlain(f"a NumPy value of dtype {value.dtype}")
                return {"ns": [value.dtype.str, *self.buffer(value.tobytes())]}
            if isinstance(value, numpy.dtype):
                return {"npd": value.str}
        if torch is not None:
            if isinstance(value, (torch.Tensor, torch.Generator)):
                return self._numbered(value, depth)
            if isinstance(value, torch.dtype):
                return {"td": str(value).removeprefix("torch.")}
            if isinstance(value, torch.device):
                return {"dev": str(value)}
        return None

    def _library(self, value: Any, depth: int) -> Any:
        """The content of an array, a tensor or a generator of random numbers."""
        numpy, torch = module("numpy"), module("torch")
        if numpy is not None and isinstance(value, numpy.ndarray):
            return self._array(value, depth)
        if numpy is not None and isinstance(value, numpy.random.Generator):
            stream = value.bit_generator
            name = type(stream).__name__
            if name not in STREAMS:
                raise NotPlain(f"a generator over {name}")
            return {"ng": [name, _state(self, stream.state, depth)]}
        if isinstance(value, torch.Generator):
            return {"tg": self.buffer(value.get_state().numpy().tobytes())}
        tensor = value.detach()
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise NotPlain(f"a tensor of layout {tensor.layout}")
        tensor = tensor.cpu().resolve_conj().resolve_neg().contiguous()
        data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        dtype = str(value.dtype).removeprefix("torch.")
        return {"tt": [dtype, list(value.shape), bool(value.requires_grad), *self.buffer(data)]}

    def _array(self, value: Any, depth: int) -> Any:
        numpy = module("numpy")
        if value.dtype.kind == "O":
            return {"no": [list(value.shape), self._items(numpy.asarray(value).ravel().tolist(), depth)]}
        if value.dtype.kind not in KINDS:
            raise NotPlain(f"an array of dtype {value.dtype}")
        plain = numpy.asarray(value)
        columns = plain.flags.f_contiguous and not plain.flags.c_contiguous
        data = (plain.T if columns else plain).tobytes()
        flags = int(columns) + 2 * int(plain.flags.writeable)
        return {"nd": [plain.dtype.str, list(plain.shape), flags, *self.buffer(data)]}


def _state(encoder: Encoder, state: Any, depth: int) -> Any:
    """Like any value, but numbered by nobody: the dicts and arrays of a state are made anew at each look."""
    inner = Encoder()
    inner.raw, inner.size = encoder.raw, encoder.size
    made = inner.encode(state, depth + 1)
    encoder.size = inner.size
    return made


class Decoder:
    """One message. other: makes a value of what is not plain data. known: see Encoder."""

    def __init__(
        self,
        raw: memoryview,
        other: Callable[[str, Any, Decoder], Any] | None = None,
        known: list[Any] | None = None,
    ) -> None:
        self.raw, self.other = raw, other
        self.objects: list[Any] = list(known or ())
        self.kept: list[Any] = [None] * len(self.objects)  # what each one held when it came

    def decode(self, made: Any, depth: int = 0) -> Any:
        """Raises Malformed for whatever an encoder would not have written."""
        if not isinstance(made, (list, dict)):
            return made
        if depth > DEPTH + 2:
            raise Malformed("nested too deep")
        if isinstance(made, list):
            return self._list(made, depth)
        if len(made) != 1:
            raise Malformed("a tag of several keys")
        ((tag, body),) = made.items()
        try:
            method = TAGS.get(tag)
            if method is not None:
                return method(self, body, depth)
            if self.other is None:
                raise Malformed(f"an unknown tag {tag[:20]}")
            return self.other(tag, body, self)
        except Malformed:
            raise
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            OverflowError,
            AttributeError,
            RuntimeError,
        ) as e:
            raise Malformed(f"{type(e).__name__} in {tag[:20]}") from None

    def _list(self, made: list[Any], depth: int) -> list[Any]:
        value: list[Any] = []
        number = self._enter(value)
        value += [self.decode(item, depth + 1) if isinstance(item, (list, dict)) else item for item in made]
        self.kept[number] = value[:]
        return value

    def _enter(self, value: Any) -> int:
        self.objects.append(value)
        self.kept.append(None)
        return len(self.objects) - 1

    def items(self, made: Any, depth: int) -> list[Any]:
        if not isinstance(made, list):
            raise Malformed("items that are no list")
        return [self.decode(item, depth + 1) for item in made]

    def bytes(self, offset: Any, length: Any) -> memoryview:
        if type(offset) is not int or type(length) is not int or not 0 <= offset <= offset + length:
            raise Malformed("an offset that is none")
        if offset + length > len(self.raw):
            raise Malformed("an offset beyond the end")
        return self.raw[offset : offset + length]

    def ref(self, number: Any, _depth: int) -> Any:
        if type(number) is not int or not 0 <= number < len(self.objects):
            raise Malformed("a reference to nothing")
        return self.objects[number]

    def packed(self, code: str, body: Any) -> list[Any]:
        values = array.array(code)
        values.frombytes(self.bytes(*body))
        value = values.tolist()
        self.kept[self._enter(value)] = value[:]
        return value

    def dict(self, body: Any, depth: int) -> Any:
        return self._pairs(DICTS[body[0]](), body[1], depth)

    def default(self, body: Any, depth: int) -> Any:
        return self._pairs(defaultdict(FACTORIES[body[0]]), body[1], depth)

    def _pairs(self, value: Any, body: Any, depth: int) -> Any:
        number = self._enter(value)
        flat = self.items(body, depth)
        for key, item in zip(flat[::2], flat[1::2], strict=True):
            dict.__setitem__(value, key, item)
        self.kept[number] = (list(value), list(value.values()))
        return value

    def set(self, body: Any, depth: int) -> Any:
        value: set[Any] = set()
        number = self._enter(value)
        value.update(self.items(body, depth))
        self.kept[number] = frozenset(value)
        return value

    def deque(self, body: Any, depth: int) -> Any:
        value: deque[Any] = deque(maxlen=body[0])
        number = self._enter(value)
        value.extend(self.items(body[1], depth))
        self.kept[number] = list(value)
        return value

    def bytearray(self, body: Any, _depth: int) -> Any:
        value = bytearray(self.bytes(*body))
        self.kept[self._enter(value)] = bytes(value)
        return value

    def array(self, body: Any, _depth: int) -> Any:
        import numpy as np

        name, shape, flags, *where = body
        dtype = np.dtype(str(name))
        if dtype.kind not in KINDS or type(flags) is not int:
            raise Malformed("a dtype that is not sent")
        data = self.bytes(*where)
        if math.prod(_shape(shape)) * dtype.itemsize != len(data):
            raise Malformed("an array of another size")
        if not dtype.itemsize or not len(data):
            value = np.zeros(shape, dtype)
        elif flags & 1:
            value = np.frombuffer(data, dtype).reshape(shape[::-1]).T.copy(order="F")
        else:
            value = np.frombuffer(data, dtype).reshape(shape).copy()
        if not flags & 2:
            value.flags.writeable = False
        self.kept[self._enter(value)] = (dtype, tuple(shape), bytes(data) if flags & 2 else None)
        return value

    def objects_array(self, body: Any, depth: int) -> Any:
        import numpy as np

        value = np.empty(math.prod(_shape(body[0])), dtype=object)
        number = self._enter(value)
        for i, item in enumerate(self.items(body[1], depth)):
            value[i] = item
        self.objects[number] = value = value.reshape(body[0])  # and kept None: it is not written back
        return value

    def scalar(self, body: Any, _depth: int) -> Any:
        import numpy as np

        dtype = np.dtype(str(body[0]))
        if dtype.kind not in KINDS:
            raise Malformed("a dtype that is not sent")
        return (
            np.frombuffer(bytes(self.bytes(*body[1:])), dtype, count=1)[0] if dtype.itemsize else dtype.type()
        )

    def tensor(self, body: Any, _depth: int) -> Any:
        import torch

        name, shape, grad, *where = body
        dtype = _torch_dtype(name)
        data = self.bytes(*where)
        if math.prod(_shape(shape)) * dtype.itemsize != len(data):
            raise Malformed("a tensor of another size")
        value = torch.empty(shape, dtype=dtype)
        if len(data):
            flat = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            value = flat.view(dtype).reshape(shape).clone()
        if grad is True:
            value.requires_grad_()
        self.kept[self._enter(value)] = (dtype, tuple(shape), bytes(data))
        return value

    def stream(self, body: Any, depth: int) -> Any:
        import numpy as np

        if body[0] not in STREAMS:
            raise Malformed("an unknown generator")
        inner = Decoder(self.raw)
        state = inner.decode(body[1], depth)
        if body[0] == "MT19937" and not 0 <= state["state"]["pos"] <= 624:
            raise Malformed("a state that no generator has")
        value = np.random.Generator(getattr(np.random, body[0])(0))
        value.bit_generator.state = state
        self.kept[self._enter(value)] = stream_mark(value)
        return value

    def chance(self, body: Any, depth: int) -> Any:
        value = random.Random()
        number = self._enter(value)
        inner = Decoder(self.raw)
        value.setstate(inner.decode(body, depth))
        self.kept[number] = value.getstate()
        return value

    def torch_stream(self, body: Any, _depth: int) -> Any:
        import torch

        data = bytes(self.bytes(*body))
        value = torch.Generator()
        if len(data) != value.get_state().numel():
            raise Malformed("a state of another size")
        value.set_state(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        self.kept[self._enter(value)] = data
        return value


def stream_mark(generator: Any) -> str:
    """All of a NumPy generator's state, comparable."""

    def plain(state: Any) -> Any:
        if isinstance(state, dict):
            return {key: plain(item) for key, item in state.items()}
        return state.tobytes() if hasattr(state, "tobytes") else state

    return repr(plain(generator.bit_generator.state))


def _shape(shape: Any) -> list[int]:
    if not isinstance(shape, list) or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in shape):
        raise Malformed("a shape that is none")
    return shape


def _torch_dtype(name: Any) -> Any:
    import torch

    dtype = getattr(torch, str(name), None)
    if not isinstance(dtype, torch.dtype):
        raise Malformed("an unknown dtype")
    return dtype


def _device(name: Any) -> Any:
    import torch

    return torch.device(str(name)[:20])


def _numpy_dtype(name: Any) -> Any:
    import numpy as np

    return np.dtype(str(name)[:40])


TAGS: dict[str, Callable[[Decoder, Any, int], Any]] = {
    "t": lambda d, b, n: tuple(d.items(b, n)),
    "s": Decoder.set,
    "fs": lambda d, b, n: frozenset(d.items(b, n)),
    "d": Decoder.dict,
    "dd": Decoder.default,
    "q": Decoder.deque,
    "i": lambda d, b, n: int(b, 16),
    "z": lambda d, b, n: complex(float(b[0]), float(b[1])),
    "b": lambda d, b, n: bytes(d.bytes(*b)),
    "ba": Decoder.bytearray,
    "r": lambda d, b, n: range(*d.items(b, n)),
    "sl": lambda d, b, n: slice(*d.items(b, n)),
    "e": lambda d, b, n: Ellipsis,
    "ni": lambda d, b, n: NotImplemented,
    "fr": lambda d, b, n: Fraction(*d.items(b, n)),
    "dec": lambda d, b, n: Decimal(b),
    "nd": Decoder.array,
    "no": Decoder.objects_array,
    "ns": Decoder.scalar,
    "npd": lambda d, b, n: _numpy_dtype(b),
    "tt": Decoder.tensor,
    "td": lambda d, b, n: _torch_dtype(b),
    "dev": lambda d, b, n: _device(b),
    "ng": Decoder.stream,
    "rr": Decoder.chance,
    "tg": Decoder.torch_stream,
    "fl": lambda d, b, n: d.packed("d", b),
    "il": lambda d, b, n: d.packed("q", b),
    "ref": Decoder.ref,
}
