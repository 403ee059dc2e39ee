"""Compiled kernels against plain torch, and how they come to a machine. Skips where nothing compiles."""

import os
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from handbook.engine.fast import CACHES
from handbook.engine.kernels import abi, build
from handbook.engine.kernels.abi import Library
from handbook.engine.kernels.build import NoKernels
from handbook.engine.kernels.pack import Arena, Precision, interleave, pack, panels, pointer, rotate
from handbook.engine.kernels.plain import attend_plain, linear_plain, quantize_rows, unpack
from handbook.engine.kernels.rows import Rows
from handbook.engine.store import rounded
from handbook.model.rope import rope_tables

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8", "int4")


@pytest.fixture(scope="module")
def kernels() -> Library:
    found = build.load()
    if isinstance(found, str):
        pytest.skip(f"no compiled kernels on this machine: {found}")
    return found


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def call(kernels: Library, linear: object, x: Tensor, y: Tensor, threads: int = 2) -> Tensor:
    kernels.linear(pointer(linear.struct), x.data_ptr(), y.data_ptr(), len(x), threads)  # type: ignore[attr-defined]
    return y


# Sums of up to 192 products of normal numbers, in another order: fp32 keeps 1e-5 of the largest. bf16 factors
# are the same on both sides and their products exact in fp32, so it holds there, too. int8 is not close but
# equal. Behind a norm a number may fall on the other side of a rounding: one step of bf16 (2^-8) or of int8
# (1/127 of the row's largest) in a few of many terms.
CLOSE = {"fp32": 1e-5, "bf16": 1e-5, "int8": 0.0, "int4": 1e-5}
NORMED = {"fp32": 1e-5, "bf16": 2e-3, "int8": 2e-2, "int4": 2e-2}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("N", "K"), [(32, 16), (96, 64), (50, 48), (208, 192), (7, 128)])
def test_products(kernels: Library, precision: Precision, N: int, K: int) -> None:
    K += K % 32 if precision == "int4" else 0
    linear = pack(random(N, K), precision)
    for M in (1, 2, 5, 12, 13, 31, 64, 150):
        x = random(M, K, seed=M)
        x[M // 2] *= 50
        got, right = call(kernels, linear, x, torch.full((M, N), 9.0)), linear_plain(linear, x)
        if CLOSE[precision]:
            torch.testing.assert_close(got, right, atol=CLOSE[precision] * float(right.abs().max()), rtol=0)
        else:
            assert torch.equal(got, right)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("after", [abi.STORE, abi.ADD, abi.SILU])
def test_what_stands_around_a_product(kernels: Library, precision: Precision, after: int) -> None:
    N, K = 80, 128
    weight, bias = random(N, K), random(N, seed=1)
    if after == abi.SILU:
        weight, bias = interleave(weight[:40], weight[40:]), interleave(bias[:40], bias[40:])
    linear = pack(weight, precision, bias, random(K, seed=2), 1e-5, after)
    wide = len(weight) // 2 if after == abi.SILU else N
    for M in (1, 6, 33):
        x, y = random(M, K, seed=M), random(M, wide, seed=9)
        right = linear_plain(linear, x, y)
        got = call(kernels, linear, x, y.clone())
        torch.testing.assert_close(got, right, atol=NORMED[precision] * float(right.abs().max()), rtol=0)
        assert not torch.allclose(got, y, atol=0.1)


def test_gate_and_up_with_a_width_that_fills_no_panel(kernels: Library) -> None:
    gate, up, x = random(40, 32), random(40, 32, seed=1), random(3, 32, seed=2)
    linear = pack(interleave(gate, up), "fp32", after=abi.SILU)
    got = call(kernels, linear, x, torch.zeros(3, 48))[:, :40]
    right = torch.nn.functional.silu(x @ gate.T) * (x @ up.T)
    torch.testing.assert_close(got, right, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("N", [7, 96, 640, 1000])
def test_the_likeliest(kernels: Library, precision: Precision, N: int) -> None:
    """The first of the largest outputs, as if all had been stored: also of equal ones, and below 0."""
    weight = random(N // 2 + 1, 64)
    weight = torch.cat((weight, weight))[:N].roll(3, 0)  # everything twice
    for bias in (None, torch.full((N,), -1e4)):
        linear = pack(weight, precision, bias)
        for M in (1, 2, 13, 40):
            x = random(M, 64, seed=M)
            ids = torch.full((M,), -1, dtype=torch.int32)
            kernels.likeliest(pointer(linear.struct), x.data_ptr(), ids.data_ptr(), M, 2)
            stored = call(kernels, linear, x, torch.empty(M, N))
            assert ids.tolist() == [row.index(max(row)) for row in stored.tolist()]


def test_whole_numbers_multiply_exactly(kernels: Library) -> None:
    draw = torch.Generator().manual_seed(4)
    weight = torch.randint(-127, 128, (64, 48), generator=draw).float()  # 48: too narrow to rotate
    x = torch.randint(-127, 128, (20, 48), generator=draw).float()
    weight[:, 0] = x[:, 0] = 127.0  # both scales are 1
    got = call(kernels, pack(weight, "int8"), x, torch.empty(20, 64))
    assert torch.equal(got, x @ weight.T)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_row_is_the_same_in_any_company(kernels: Library, precision: Precision) -> None:
    linear = pack(random(96, 128), precision, norm=random(128, seed=5), eps=1e-5)
    x = random(70, 128, seed=1)
    together = call(kernels, linear, x, torch.empty(70, 96))
    for row in (0, 11, 12, 69):
        alone = call(kernels, linear, x[row : row + 1].contiguous(), torch.empty(1, 96), threads=1)
        assert torch.equal(alone[0], together[row])


def test_the_rotation() -> None:
    x = random(3, 128)
    assert torch.allclose(rotate(rotate(x)), x, atol=1e-6)
    assert torch.allclose(rotate(x).norm(dim=1), x.norm(dim=1))
    peak = torch.zeros(1, 64)
    peak[0, 5] = 8.0
    assert torch.equal(rotate(peak).abs(), torch.ones(1, 64))


def test_packing_is_undone() -> None:
    weight = random(50, 64)
    assert torch.equal(unpack(pack(weight, "fp32")), weight)
    assert torch.equal(unpack(pack(weight, "bf16")), weight.bfloat16().float())
    assert panels(weight, 4).shape == (2, 16, 32, 4)
    whole = torch.randint(0, 16, (50, 2, 32), generator=torch.Generator().manual_seed(3))
    whole[:, :, 4], whole[:, :, 9] = 0, 15
    scale, least = (random(50, 2, 1, seed=s).half() for s in (6, 7))
    small = (whole * scale.abs().float() + least.float()).flatten(1)
    assert torch.equal(unpack(pack(small, "int4")), small)  # a file of Q4_1 loses nothing
    assert torch.equal(unpack(pack(torch.ones(32, 32), "int4")), torch.ones(32, 32))
    near = unpack(pack(weight, "int4"))
    step = (weight.view(50, 2, 32).amax(-1) - weight.view(50, 2, 32).amin(-1)) / 15
    assert bool(((near - weight).view(50, 2, 32).abs().amax(-1) < step * 0.51).all())
    whole, scales = quantize_rows(torch.tensor([[0.0, 0.0], [1.0, -2.0]]))
    assert whole.tolist() == [[0, 0], [64, -127]]
    assert scales.tolist() == [0.0, pytest.approx(2 / 127)]


def test_an_arena_keeps_copies(kernels: Library) -> None:
    arena, x = Arena(kernels, 256), random(5, 3)
    one, two = arena.room((5, 3), torch.float32), arena.room((5, 3), torch.int8)
    one.copy_(x)
    two.fill_(7)
    assert torch.equal(one, x)
    assert two.data_ptr() - one.data_ptr() == 64
    with pytest.raises(ValueError, match="256 bytes is full"):
        arena.room((33,), torch.float32)


@pytest.mark.parametrize("kind", [torch.int8, torch.bfloat16, torch.float32])
def test_kept_rows_lose_nothing(kind: torch.dtype) -> None:
    """The smallest form that gives every number back."""
    table = random(3000, 64)
    if kind == torch.int8:
        whole = (table * 40).round().clamp(-127, 127).view(3000, 2, 32)
        whole[:, :, 5] = 127.0
        table = (whole * random(3000, 2, 1, seed=1).half().abs().float()).flatten(1)
        table[7] = 0.0
    table = table.to(kind).float() if kind == torch.bfloat16 else table
    rows, ids = Rows(table), torch.tensor([0, 7, 2999, 2050, 7])
    assert rows.values.dtype == kind
    out = torch.full((5, 64), 9.0)
    rows.find(ids, out)
    assert torch.equal(out, table[ids])
    assert rows.nbytes == 3000 * {torch.int8: 68, torch.bfloat16: 128, torch.float32: 256}[kind]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
@pytest.mark.parametrize(
    ("D", "heads", "kv_heads", "page"),
    [
        (64, 9, 3, 16),
        (16, 4, 4, 4),
        (32, 5, 1, 8),
        (48, 6, 2, 16),
        (80, 4, 2, 16),
        (96, 3, 1, 4),
        (128, 8, 1, 16),
        (256, 4, 2, 2),
    ],
)
def test_attention_reads_pages_in_place(
    kernels: Library, dtype: torch.dtype, D: int, heads: int, kv_heads: int, page: int
) -> None:
    """Prompts, later pieces, single tokens; lengths around the kernel's chunks of 256 positions."""
    starts, counts = (0, 126, 254, 255, 256, 600, 40, 0), (1, 1, 1, 1, 1, 1, 30, 270)
    ends = [start + count for start, count in zip(starts, counts, strict=True)]
    needed = [-(-end // page) for end in ends]
    order = torch.randperm(sum(needed), generator=torch.Generator().manual_seed(2)).int()
    tables = list(order.split(needed))
    past = [random(sum(needed) * page, kv_heads, D, seed=s) for s in (3, 4)]
    scales = []
    if dtype == torch.int8:
        (keys, scale), (values, other_scale) = (rounded(x) for x in past)
        scales = [scale, other_scale]
    else:
        keys, values = (x.to(dtype) for x in past)
    other, other_scales = (keys.clone(), values.clone()), [x.clone() for x in scales]
    qkv = random(sum(counts), (heads + 2 * kv_heads) * D, seed=5)
    places = [torch.arange(start, end) for start, end in zip(starts, ends, strict=True)]
    slots = [
        (t.long()[torch.arange(end) // page] * page + torch.arange(end) % page)
        for t, end in zip(tables, ends, strict=True)
    ]
    cos, sin = rope_tables(torch.arange(1024), D)
    position = torch.cat(places).int()
    sequence = torch.cat([torch.full((c,), n) for n, c in enumerate(counts)]).int()
    begins = torch.tensor([0, *needed[:-1]]).cumsum(0).int()
    rope = cos[position.long()], sin[position.long()]
    right = attend_plain(qkv, *other, slots, counts, rope, heads, other_scales)
    held = (sequence, position, begins, order, cos, sin)
    sizes = (len(qkv), heads, kv_heads, D, page, CACHES[dtype], 2, D**-0.5)
    step = abi.StepStruct(*sizes, *(t.data_ptr() for t in held))
    got, turned = torch.empty_like(right), qkv.clone()
    assert kernels.attends(D)
    cache = abi.CacheStruct(*(x.data_ptr() for x in (keys, values, *scales)))
    kernels.attend(pointer(step), turned.data_ptr(), pointer(cache), got.data_ptr())
    # Both sides read what was written, and sum in fp32. A key that the rotation leaves next to a rounding's
    # edge may be written one step of bf16 (2^-8) or of int8 away.
    near = {torch.float32: (1e-5, 1e-5), torch.bfloat16: (1e-5, 2**-7), torch.int8: (1, 0)}[dtype]
    torch.testing.assert_close(keys, other[0], atol=near[0], rtol=near[1])
    assert torch.equal(values, other[1])
    for scale, right_scale in zip(scales, other_scales, strict=True):
        torch.testing.assert_close(scale, right_scale, atol=0, rtol=1e-5)
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 2e-3, torch.int8: 5e-3}[dtype]
    torch.testing.assert_close(got, right, atol=tolerance, rtol=tolerance)


def test_sizes_without_a_kernel(kernels: Library) -> None:
    assert not any(kernels.attends(size) for size in (8, 20, 112, 512))


def test_many_threads_and_one_say_the_same(kernels: Library) -> None:
    linear, x = pack(random(640, 256), "fp32"), random(40, 256, seed=1)
    one = call(kernels, linear, x, torch.empty(40, 640), threads=1)
    for threads in (2, 5, 3, 1, 4) * 40:
        assert torch.equal(call(kernels, linear, x, torch.zeros(40, 640), threads), one)


@pytest.fixture
def folder(tmp_path: Path, kernels: Library) -> Path:
    return tmp_path / "kernels"


def test_built_once_and_for_this_user_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.load_from(folder)
    (library,) = folder.iterdir()  # no half-made file is left
    assert folder.stat().st_mode & 0o777 == library.stat().st_mode & 0o777 == 0o700
    before = library.stat().st_ino
    build.load_from(folder)
    assert library.stat().st_ino == before
    compiler = build.find_compiler()
    assert build.fingerprint(b"x", compiler) != build.fingerprint(b"y", compiler)
    library.chmod(0o722)
    with pytest.raises(NoKernels, match="written by another user"):
        build.load_from(folder)
    library.unlink()
    library.symlink_to(os.devnull)
    with pytest.raises(NoKernels, match="written by another user"):
        build.load_from(folder)


def test_libraries_that_nobody_loads_any_more_go(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for name, age in (("old.so", 15), ("new.so", 13), ("half.part", 15), ("notes.txt", 99)):
        (folder / name).write_text("")
        then = time.time() - age * 86_400
        os.utime(folder / name, (then, then))
    build.clear(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["new.so", "notes.txt"]


def test_flags_of_the_environment_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.fingerprint(b"x", "/bin/sh")
    monkeypatch.setenv("CXXFLAGS", "-march=x86-64-v3 -O1")
    assert build.flags()[-2:] == ("-march=x86-64-v3", "-O1")
    assert build.fingerprint(b"x", "/bin/sh") != before


def test_a_folder_that_others_can_enter_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.raises(NoKernels, match="open to other users"):
        build.load_from(folder)
    assert list(folder.iterdir()) == []
    folder.rmdir()
    folder.symlink_to(folder.parent)
    with pytest.raises(NoKernels, match="open to other users"):
        build.load_from(folder)


def test_what_does_not_compile_says_so_in_a_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = folder.parent / "broken.cpp"
    broken.write_text('#error "no such processor"\n')
    monkeypatch.setattr(build, "SOURCE", broken)
    with pytest.raises(NoKernels, match=r"could not compile.*no such processor") as caught:
        build.load_from(folder)
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_without_a_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder.parent))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(NoKernels, match=r"no C\+\+ compiler"):
        build.load_from(folder)
