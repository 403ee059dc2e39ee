"""Adapters side by side: every text in a mixed batch is what the model with its adapter merged says alone."""

import copy
from dataclasses import replace

import pytest
import torch
from test_executor import CONFIGS
from test_fast import FITTING, LLAMA, mixed, model_of, stores

from handbook.engine.adapting import Low, Lows, Sorted, groups_of, lows_of, places
from handbook.engine.cuda import CudaExecutor
from handbook.engine.executor import Executor, TorchExecutor
from handbook.engine.fast import FastExecutor
from handbook.engine.kernels.abi import Library
from handbook.engine.kernels.build import load
from handbook.engine.kernels.pack import Precision
from handbook.engine.store import PageStore
from handbook.engine.twin import TwinExecutor
from handbook.engine.work import Batch
from handbook.errors import AdapterError
from handbook.model.adapters import Adapter, Factors
from handbook.model.transformer import Transformer

ONLY = ("query", "value", "down")


def adapter_of(model: Transformer, seed: int, r: int = 4, only: tuple[str, ...] = ()) -> Adapter:
    """A random one, as large as what it is added to."""
    draw = torch.Generator().manual_seed(seed)
    factors = {}
    for path, linear in places(model).items():
        if not only or path.rpartition(".")[2] in only:
            rows, width = linear.weight.shape
            a, b = torch.randn(r, width, generator=draw), torch.randn(rows, r, generator=draw)
            size = float(linear.weight.detach().std()) / r**0.5
            factors[path] = Factors(a * size**0.5, b * size**0.5, 0.7)
    return Adapter(f"a{seed}", factors)


def merged(model: Transformer, adapter: Adapter | None) -> Transformer:
    """The plain oracle: a copy whose weights have the adapter in them."""
    model = copy.deepcopy(model)
    for path, factors in (adapter.factors if adapter else {}).items():
        linear = model.get_submodule(path)
        linear.weight.data = factors.weight(linear.weight.data)  # type: ignore[union-attr, operator]
    return model


@pytest.fixture(scope="module")
def kernels() -> Library:
    found = load()
    if isinstance(found, str):
        pytest.skip(f"no compiled kernels on this machine: {found}")
    return found


def several(model: Transformer) -> dict[int, Adapter]:
    """All layers, some layers, another rank."""
    return {1: adapter_of(model, 1), 2: adapter_of(model, 2, 7, ONLY), 3: adapter_of(model, 3, 18)}


OF = (2, 0, 1, 2, 3, 1)
"""The adapters of `mixed`'s six works: not in order, and one without."""


def with_adapters(batch: Batch) -> Batch:
    return replace(batch, work=tuple(w._replace(adapter=n) for w, n in zip(batch.work, OF, strict=True)))


def adapt(executor: Executor, model: Transformer) -> Executor:
    for number, adapter in several(model).items():
        executor.adapt(number, lows_of(model, adapter))  # type: ignore[attr-defined]
    return executor


def right(model: Transformer, store: PageStore, batch: Batch) -> torch.Tensor:
    """Each work alone, by the model with its adapter merged."""
    models = {0: model} | {n: merged(model, adapter) for n, adapter in several(model).items()}
    rows = []
    for work in batch.work:
        executor = TorchExecutor(models[work.adapter], store, packed=False)
        rows.append(executor.run(Batch((work._replace(adapter=0),))))
    return torch.cat(rows)


def close(got: torch.Tensor, wanted: torch.Tensor, most: float = 2e-5) -> None:
    """fp32, other orders of sums, in three layers: of the largest logit."""
    torch.testing.assert_close(got, wanted, atol=most * float(wanted.abs().max()), rtol=0)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["llama", "windows", "gemma", "phi", "yarn"])
def test_torch_equals_merged(name: str, packed: bool) -> None:
    model = model_of(CONFIGS[name])
    batch, pages = mixed(61)
    one, two, three = stores(model.config, pages, 3)
    executor = adapt(TorchExecutor(model, one, packed), model)
    batch = with_adapters(batch)
    wanted = right(model, two, batch)
    close(executor.run(batch), wanted)
    cuda = adapt(CudaExecutor(model, three), model)
    close(cuda.run(batch), wanted)
    plain, _ = mixed(61)
    assert torch.equal(executor.run(plain), TorchExecutor(model, two, packed).run(plain))


@pytest.mark.parametrize("case", ["llama", "tied", "biases"])
def test_kernels_equal_merged(kernels: Library, case: str) -> None:
    model = model_of(FITTING[case])
    batch, pages = mixed(61)
    one, two = stores(model.config, pages, 2)
    batch = with_adapters(batch)
    close(adapt(FastExecutor(model, one, kernels, "fp32"), model).run(batch), right(model, two, batch))
    close(one.keys, two.keys)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_company_changes_no_bit(kernels: Library, precision: Precision) -> None:
    model = model_of(replace(LLAMA, hidden_dim=96))
    batch, pages = mixed(61)
    batch = with_adapters(batch)
    one, two = stores(model.config, pages, 2, torch.bfloat16)
    executor = adapt(FastExecutor(model, one, kernels, precision), model)
    together = executor.run(batch)
    other = adapt(FastExecutor(model, two, kernels, precision), model)
    assert torch.equal(together, torch.cat([other.run(Batch((work,))) for work in batch.work]))
    assert torch.equal(one.keys, two.keys)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_twin_in_torch(kernels: Library, dtype: torch.dtype) -> None:
    model = model_of(replace(LLAMA, hidden_dim=128, qkv_bias=True, mlp_bias=True))
    batch, pages = mixed(61)
    batch = with_adapters(batch)
    one, two = stores(model.config, pages, 2, dtype)
    fast, twin = FastExecutor(model, one, kernels, "int8"), TwinExecutor(model, two)
    without = fast.run(batch)
    wanted = adapt(fast, model).run(batch)
    got = adapt(twin, model).run(batch)
    close(got, wanted, 2e-3)  # a rounding on its other side is one of 127 steps in one of many terms
    assert float((wanted - without).abs().max()) > 0.1 * float(wanted.abs().max())


def test_adapters_come_and_go(kernels: Library) -> None:
    model = model_of(LLAMA)
    batch, pages = mixed(61)
    batch = with_adapters(batch)
    for make in (
        lambda store: TorchExecutor(model, store),
        lambda store: FastExecutor(model, store, kernels, "fp32"),
        lambda store: TwinExecutor(model, store),
    ):
        one, two = stores(model.config, pages, 2)
        executor = adapt(make(one), model)  # type: ignore[no-untyped-call]
        full = executor.run(batch)
        for number in (1, 2, 3):
            executor.drop(number)
        plain = make(two).run(Batch(tuple(work._replace(adapter=0) for work in batch.work)))  # type: ignore[no-untyped-call]
        close(executor.run(batch), plain)
        assert not torch.allclose(full, plain)


def test_rows_stand_by_adapter() -> None:
    batch, _ = mixed(61)
    batch = with_adapters(batch)
    now = Sorted.of(batch)
    assert [work.adapter for work in now.batch.work] == [0, 1, 1, 2, 2, 3]
    # of 9, 7, 1, 1, 4, 1 tokens; works 0, 2, 3, 5 want one row, 4 wants four
    assert groups_of(now.batch.work) == [(7, 9, 1), (9, 19, 2), (19, 23, 3)]
    assert now.wanted() == [17, 7, 18, 19, 20, 21, 22, 8]
    again = Sorted.of(now.batch)
    assert again.order is None


def test_what_cannot_be_served() -> None:
    model = model_of(LLAMA)
    good = adapter_of(model, 1)
    path = "blocks.1.attention.query"
    part = good.factors[path]
    nan = part.a.clone()
    nan[0, 0] = float("nan")
    factors = {
        path: replace(part, a=nan),
        "blocks.0.attention.key": part,
        "blocks.0.mlp.gate": replace(good.factors["blocks.0.mlp.gate"], magnitude=torch.ones(80)),
        "head": part,
    }
    with pytest.raises(AdapterError) as raised:
        lows_of(model, replace(good, factors=factors))
    assert raised.value.faults == (
        f"{path} has numbers that are not finite",
        "blocks.0.attention.key is [96, 4] by [4, 64], and [32, 64] here",
        "blocks.0.mlp.gate has a magnitude (DoRA)",
        "head is no linear layer of attention or of a dense network here",
    )
    assert "Merge it" in raised.value.remedy
    experts = model_of(CONFIGS["mixture"])
    assert {path.split(".")[2] for path in places(experts)} == {"attention"}
    assert not places(model_of(CONFIGS["latent"])).keys() & {"blocks.0.attention.query"}


def test_a_wild_adapter_harms_nobody_else(kernels: Library) -> None:
    """Products that overflow stay in their own rows."""
    model = model_of(LLAMA)
    wild: Lows = {
        path: Low(low.a * 1e30, low.b * 1e30) for path, low in lows_of(model, adapter_of(model, 9)).items()
    }
    batch, pages = mixed(61)
    works = [work._replace(adapter=9 if n % 2 else 0) for n, work in enumerate(batch.work)]
    for make in (
        lambda store: TorchExecutor(model, store),
        lambda store: FastExecutor(model, store, kernels, "fp32"),
        lambda store: FastExecutor(model, store, kernels, "int8"),
        lambda store: TwinExecutor(model, store),
    ):
        one, two = stores(model.config, pages, 2)
        executor, calm = make(one), make(two)  # type: ignore[no-untyped-call]
        executor.adapt(9, wild)
        got = executor.run(Batch(tuple(works)))
        wanted = calm.run(batch)
        rows = [n for n, work in enumerate(works) for _ in range(work.drafts + 1 if work.wanted else 0)]
        keep = torch.tensor([works[n].adapter == 0 for n in rows])
        assert bool(keep.any())
        assert not bool(keep.all())
        close(got[keep], wanted[keep])
