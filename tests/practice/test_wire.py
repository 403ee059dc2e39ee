"""Values over the wire: what goes over comes out the same; what nobody of ours writes is refused."""

import collections
import json
import math
import random
import socket
import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.practice import wire
from handbook.practice.changes import apply, changes
from handbook.practice.checks import equal
from handbook.practice.frames import HEADER, MARK, Channel, Ended, Garbled, NotPlain
from handbook.practice.wire import DEPTH, Decoder, Encoder, Malformed


def sent(value: Any) -> Any:
    """Through JSON and bytes, as over a socket."""
    encoder = Encoder()
    made = json.loads(json.dumps(encoder.encode(value)))
    return Decoder(memoryview(b"".join(bytes(part) for part in encoder.raw))).decode(made)


PLAIN = [
    *(None, True, False, 0, -(2**62), 2**62, -(2**200), 10**5000, 0.1, -0.0, math.inf, 1e-320, 1 - 2j),
    *("", "a\0b\ud800", "\N{GREEK SMALL LETTER PI}", b"\xff\0", bytearray(b"ab"), ..., NotImplemented),
    *(range(3, 9, 2), slice(None, 2**70, -1), Fraction(-1, 3), Decimal("1.50")),
    *([], [[]], (), ((), []), {}, set(), frozenset({(1, "a")}), {1: {"a": {2.5}}, (1, 2): None}),
    *([1] * 20, [1.5] * 20, [True, None, "x"] * 9, [2**63] * 20, [1, 2.0] * 20, [10**5000] * 20),
    collections.deque([1, 2], maxlen=2),
    collections.Counter("aab"),
    collections.OrderedDict(b=1, a=2),
    collections.defaultdict(list, {"a": [1]}),
]


@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_plain_data_comes_out_the_same(value: Any) -> None:
    got = sent(value)
    assert type(got) is type(value)
    equal(got, value)
    if isinstance(value, collections.deque):
        assert got.maxlen == value.maxlen


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
)


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_any_nesting_comes_out_the_same(value: Any) -> None:
    equal(sent(value), value)


ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.arange(10)[::-2],
    np.zeros((0, 3), dtype=np.float16),
    np.array(3.5),
    np.array(["a", "bc"]),
    np.array([b"x"]),
    np.array(["2026-01-01"], dtype="datetime64[D]"),
    np.array([1 + 2j], dtype=np.complex64),
    np.array([[1, None], ["a", [2]]], dtype=object),
    np.array([np.nan, -0.0, np.inf], dtype=">f4"),
]


@pytest.mark.parametrize("value", ARRAYS, ids=lambda value: f"{value.dtype}{value.shape}")
def test_arrays(value: Any) -> None:
    got = sent(value)
    assert (got.dtype, got.shape) == (value.dtype, value.shape)
    assert got.tolist() == value.tolist() or np.isnan(np.asarray(value, dtype=float)).any()
    assert got.tobytes() == value.tobytes() or value.dtype.kind == "O"
    assert got.flags.writeable
    columns = value.flags.f_contiguous and not value.flags.c_contiguous
    assert got.flags.c_contiguous is not columns


def test_read_only_arrays_stay_read_only() -> None:
    value = np.arange(3)
    value.flags.writeable = False
    assert not sent(value).flags.writeable


@pytest.mark.parametrize(
    "name", ["float32", "float64", "float16", "bfloat16", "int8", "int64", "bool", "complex64"]
)
def test_tensors(name: str) -> None:
    dtype = getattr(torch, name)
    for value in (
        torch.tensor([[1, 0], [3, 4]]).to(dtype).T,
        torch.empty(0, 3, dtype=dtype),
        torch.tensor(1).to(dtype),
    ):
        got = sent(value)
        assert (got.dtype, got.shape) == (dtype, value.shape)
        assert torch.equal(got, value)
    assert sent(torch.ones(2, requires_grad=True)).requires_grad
    assert not sent(torch.ones(2)).requires_grad


def test_types_of_libraries() -> None:
    for value in (np.float32(0.1), np.int64(-3), np.bool_(True), np.str_("a")):
        assert type(sent(value)) is type(value)
        assert sent(value) == value
    assert sent(np.dtype("int16")) == np.dtype("int16")
    assert sent(torch.bfloat16) is torch.bfloat16
    assert sent(torch.device("cpu")) == torch.device("cpu")


def test_generators_of_random_numbers_go_on_where_they_were() -> None:
    chance, noise = random.Random(3), torch.Generator().manual_seed(4)
    chance.random()
    torch.rand(3, generator=noise)
    for stream in (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64):
        rng = np.random.Generator(stream(5))
        rng.normal(size=3)
        assert sent(rng).normal() == rng.normal()
    assert sent(chance).random() == chance.random()
    assert torch.equal(torch.rand(3, generator=sent(noise)), torch.rand(3, generator=noise))


def test_lying_subclasses_become_what_they_derive_from() -> None:
    class Sly(float):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = float.__hash__

    assert type(sent(Sly(2.5))) is float
    assert type(sent([Sly(2.5)] * 20)[0]) is float
    assert type(sent(np.arange(2).view(np.matrix))) is np.ndarray if hasattr(np, "matrix") else True


def test_one_value_in_two_places_stays_one() -> None:
    row = [0, 0]
    got = sent([row, row, {"again": row}])
    assert got[0] is got[1] is got[2]["again"]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_what_cannot_be_sent_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(NotPlain, match="contains itself"):
        sent(itself)
    with pytest.raises(NotPlain, match="nested"):
        sent(nested(DEPTH + 1))
    equal(sent(nested(DEPTH - 1)), nested(DEPTH - 1))
    with pytest.raises(NotPlain, match="type object"):
        sent(object())
    with pytest.raises(NotPlain, match="dtype"):
        sent(np.zeros(1, dtype=[("a", "i4")]))
    monkeypatch.setattr(wire, "ITEMS", 10_000)
    pairs: Any = ()
    for _ in range(60):
        pairs = (pairs, pairs)
    with pytest.raises(NotPlain, match="parts"):
        sent(pairs)


MALFORMED = [
    *({"ref": 0}, {"ref": -1}, {"ref": "a"}, {"t": 3}, {"t": [], "s": []}, {}, {"nobody": 1}, {"h": [1, 2]}),
    *({"b": [0, 99]}, {"b": [-1, 1]}, {"b": [0]}, {"b": ["a", 1]}, {"fl": [0, 7]}, {"i": "zz"}, {"i": 3}),
    *({"nd": ["<f8", [2], 2, 0, 8]}, {"nd": ["<f8", [-1], 2, 0, 8]}, {"nd": ["O", [1], 2, 0, 8]}),
    *(
        {"nd": ["nonsense", [1], 2, 0, 8]},
        {"nd": ["<f8", [1] * 99, 2, 0, 8]},
        {"nd": ["<f8", [2**70], 2, 0, 8]},
    ),
    *({"tt": ["float64", [2], False, 0, 8]}, {"tt": ["load", [1], False, 0, 8]}, {"tg": [0, 8]}),
    *({"d": ["dict", [1]]}, {"d": ["dict", [[], 1]]}, {"d": ["type", []]}, {"dd": ["eval", []]}, {"s": [[]]}),
    *(
        {"r": ["a"]},
        {"z": ["a", 1]},
        {"ng": ["Generator", 1]},
        {"ng": ["PCG64", {"d": ["dict", []]}]},
        {"rr": [1]},
    ),
    {"q": ["a", []]},
]


@pytest.mark.parametrize("made", MALFORMED, ids=lambda made: json.dumps(made)[:40])
def test_what_no_encoder_writes_is_refused(made: Any) -> None:
    with pytest.raises(Malformed):
        Decoder(memoryview(b"12345678")).decode(made)


def test_deep_messages_are_refused_before_the_stack_ends() -> None:
    made: Any = []
    for _ in range(500):
        made = [made]
    with pytest.raises(Malformed):
        Decoder(memoryview(b"")).decode(made)


def called(function: Any, *args: Any) -> Any:
    """A call as over the wire: copies go over, and what became of them comes back."""
    there = Encoder()
    made = there.encode(list(args))
    question = Decoder(memoryview(b"".join(map(bytes, there.raw))))
    result = function(*question.decode(made))
    back = Encoder(known=question.objects)
    answer, found = back.encode(result), changes(question, back)
    decoder = Decoder(memoryview(b"".join(map(bytes, back.raw))), known=there.objects)
    value = decoder.decode(answer)
    apply(found, decoder, len(there.objects))
    return value, found


def test_changes_come_back_into_the_same_objects() -> None:
    rng, array, tensor = np.random.default_rng(1), np.zeros((2, 3))[:, ::2], torch.zeros(2)
    values: list[Any] = [
        [3, 1, 2],
        {"a": 1},
        {1, 2},
        collections.deque([1]),
        bytearray(b"a"),
        array,
        tensor,
        rng,
    ]
    twin = np.random.default_rng(1)

    def change(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
        a.sort()
        b["b"] = a
        c.add(3)
        d.append(2)
        e += b"b"
        f[1, 1] = 5.0
        g += 1
        h.random()
        return a

    got, _ = called(change, *values)
    assert got is values[0]
    assert values[0] == [1, 2, 3]
    assert values[1]["b"] is values[0]
    assert (values[2], list(values[3]), bytes(values[4])) == ({1, 2, 3}, [1, 2], b"ab")
    assert array.tolist() == [[0, 0], [0, 5]]
    assert tensor.tolist() == [1, 1]
    twin.random()
    assert rng.random() == twin.random()


def test_what_did_not_change_is_not_sent_back() -> None:
    values = [
        [1, [2]],
        {"a": [3]},
        np.zeros(3),
        torch.zeros(3),
        random.Random(1),
        np.random.default_rng(1),
        {1},
    ]
    _, found = called(lambda *args: None, *values)
    assert found == []


def test_changes_that_no_call_makes_are_refused() -> None:
    known: list[Any] = [[1], np.zeros(2)]
    for found in (
        3,
        [[0]],
        [[2, []]],
        [[0, {"d": ["dict", []]}]],
        [[1, {"nd": ["<i8", [1], 2, 0, 8]}]],
        [[0, []]] * 3,
    ):
        with pytest.raises(Malformed):
            apply(found, Decoder(memoryview(b"12345678"), known=known), 2)
    assert known[0] == [1]


@pytest.fixture
def ends() -> Any:
    one, other = socket.socketpair()
    with one, other:
        yield Channel(one), other


def test_frames_that_are_none(ends: Any) -> None:
    channel, other = ends
    for junk in (
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("<4sII", MARK, 1 << 31, 0),
        HEADER.pack(MARK, 2, 0) + b"{[",
    ):
        other.sendall(junk.ljust(HEADER.size))
        with pytest.raises(Garbled):
            channel.recv()
        channel._buffer.clear()
    deep = b"[" * 100_000
    other.sendall(HEADER.pack(MARK, len(deep), 0) + deep)
    with pytest.raises(Garbled):
        channel.recv()


def test_an_announced_gigabyte_takes_no_memory(ends: Any) -> None:
    channel, other = ends
    other.sendall(HEADER.pack(MARK, 2, 64 << 20) + b"[]abc")
    other.close()
    with pytest.raises(Ended):
        channel.recv()


def test_too_large_a_message_is_not_sent(ends: Any) -> None:
    channel, other = ends
    with pytest.raises(NotPlain, match="MiB"):
        channel.send([], [memoryview(bytearray(65 << 20))])
    channel.send({"a": 1}, [b"xyz"])
    message, raw = Channel(other).recv()
    assert (message, bytes(raw)) == ({"a": 1}, b"xyz")
