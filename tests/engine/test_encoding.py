"""The encoder's products on compiled kernels, and when they are taken."""

import pytest
import torch
from torch import Tensor, nn

from handbook.engine import encoding
from handbook.engine.encoding import Product, compile_products, on_kernels, quickened
from handbook.engine.kernels import build
from handbook.engine.kernels.abi import Library
from handbook.engine.kernels.pack import Precision
from handbook.errors import HandbookError
from handbook.model.encoder import Encoder, EncoderConfig

CONFIG = EncoderConfig(vocab_size=100, dim=64, layers=2, heads=4, hidden_dim=192, positions=40)
LENGTHS = [9, 9, 5, 1]


@pytest.fixture(scope="module")
def kernels() -> Library:
    found = build.load()
    if isinstance(found, str):
        pytest.skip(f"no compiled kernels on this machine: {found}")
    return found


def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(CONFIG).eval().requires_grad_(False)


def tokens() -> Tensor:
    return torch.randint(0, 100, (sum(LENGTHS),), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999999), ("bf16", 0.9995), ("int8", 0.99)])
def test_vectors_stay_near(kernels: Library, precision: Precision, least: float) -> None:
    changed = encoder()
    assert compile_products(changed, precision, kernels) == 2 * 6  # query, key, value, out, up, down
    assert not [part for part in changed.modules() if isinstance(part, nn.Linear)]
    right, got = encoder().embed_packed(tokens(), LENGTHS), changed.embed_packed(tokens(), LENGTHS)
    assert float((right * got).sum(dim=1).min()) > least
    if precision == "fp32":
        torch.testing.assert_close(got, right, atol=1e-6, rtol=0)
    else:
        assert not torch.equal(got, right)


def test_a_product_takes_any_shape(kernels: Library) -> None:
    layer = nn.Linear(48, 40).requires_grad_(False)
    product = Product(layer, "fp32", kernels)
    for x in (torch.randn(48), torch.randn(2, 3, 48), torch.randn(48, 5).T, torch.randn(0, 48)):
        torch.testing.assert_close(product(x), layer(x), atol=1e-5, rtol=0)
    half = torch.randn(3, 48).bfloat16()
    assert product(half).dtype == torch.float32
    torch.testing.assert_close(product(half), layer(half.float()), atol=1e-5, rtol=0)
    for x in (torch.randn(3, 47), torch.randn(3, 48, device="meta")):
        with pytest.raises(ValueError, match="expected"):
            product(x)


def test_layers_that_the_kernels_cannot_read_stay(kernels: Library) -> None:
    model = nn.Sequential(nn.Linear(20, 32), nn.Linear(32, 20))
    assert compile_products(model, "fp32", kernels) == 1
    assert isinstance(model[0], nn.Linear)
    assert isinstance(model[1], Product)


def test_kernels_are_taken_where_they_are_quicker(kernels: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    for faster, says in ((True, "compiled kernels, fp32"), (False, "torch, fp32")):
        monkeypatch.setattr(encoding, "quicker", lambda *_, faster=faster: faster)
        changed = encoder()
        assert quickened(changed) == says
        assert any(isinstance(part, Product) for part in changed.modules()) is faster


def test_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "load", lambda: "no C++ compiler here")
    assert quickened(encoder()) == "torch, fp32"
    with pytest.raises(
        HandbookError, match="int8 embeddings need compiled kernels, and there are none: no C"
    ):
        on_kernels(encoder(), "int8")


def test_nothing_is_compiled_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "built", lambda: False)
    monkeypatch.setattr(build, "load", lambda: pytest.fail("compiled"))
    assert quickened(encoder(), build_them=False) == "torch, fp32"


def test_the_trial_prefers_what_is_quicker(kernels: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(16, 16)
    slow = [0, 9, 0, 5] * (encoding.TRIES - 1)  # of torch's five seconds; of ours nine, when it was disturbed
    turns = iter([0, 1, 0, 5, *slow])

    class Clock:
        now = 0

        @classmethod
        def perf_counter(cls) -> int:
            cls.now += next(turns)
            return cls.now

    monkeypatch.setattr(encoding, "time", Clock)
    assert encoding.quicker(layer, kernels)
    turns = iter([0, 5, 0, 1] * encoding.TRIES)
    assert not encoding.quicker(layer, kernels)
