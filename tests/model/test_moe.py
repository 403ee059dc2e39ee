"""The router and its experts: by hand, by definition, and what must hold for any routing."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from handbook.model import moe
from handbook.model import routing as counting
from handbook.model.layers import SwiGLU
from handbook.model.moe import (
    MoE,
    dispatch,
    fusible,
    run_fused,
    run_grouped,
    run_plain,
    split_experts,
    swiglu,
    watch,
)
from handbook.model.router import GATES, Router, Routing, keep_within, within_best_groups

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def by_definition(x: Tensor, routing: Routing, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """A token and a choice at a time, in double precision."""
    x, gate, up, down = (tensor.detach().double() for tensor in (x, gate, up, down))
    out = torch.zeros_like(x)
    for n, chosen in enumerate(routing.experts.tolist()):
        for j, e in enumerate(chosen):
            if routing.kept[n, j]:
                out[n] += routing.weights[n, j].item() * swiglu(x[n], gate[e], up[e], down[e])
    return out.float()


@st.composite
def routers(draw: st.DrawFn) -> Router:
    """Any router, its weights large enough that some experts are never chosen."""
    groups = draw(st.integers(1, 4))
    size = draw(st.integers(1, 4))
    kept = draw(st.integers(1, groups))
    gate = draw(st.sampled_from(sorted(GATES)))
    torch.manual_seed(draw(st.integers(0, 999)))
    router = Router(
        6,
        groups * size,
        draw(st.integers(1, kept * size)),
        gate=gate,
        normalise=draw(st.booleans()),
        scale=draw(st.sampled_from([1.0, 2.5])),
        selection_bias=draw(st.booleans()),
        groups=groups,
        kept_groups=kept,
        group_best=draw(st.integers(1, size)),
        capacity_factor=draw(st.sampled_from([None, 0.1, 0.5, 1.0, 1.25, 100.0])),
    )
    router.weight.data *= draw(st.sampled_from([0.0, 1.0, 30.0]))
    if router.bias is not None:
        router.bias.normal_()
    return router


TOKENS = st.integers(0, 33)


@given(routers(), TOKENS)
@settings(max_examples=200, deadline=None)
def test_any_routing_adds_up(router, N):
    routing = router(torch.randn(N, 6))
    E, k = router.experts, router.k
    assert routing.experts.shape == routing.weights.shape == routing.kept.shape == (N, k)
    assert all(len(set(chosen)) == k for chosen in routing.experts.tolist())
    assert routing.load.tolist() == [(routing.experts == e).sum().item() for e in range(E)]
    assert routing.load.sum() == N * k
    assert routing.taken.sum() + routing.dropped == N * k
    if router.capacity_factor is None:
        assert routing.kept.all()
    else:
        room = counting.capacity(routing.load.numpy(), router.capacity_factor)
        assert routing.taken.tolist() == routing.load.clamp(max=room).tolist()  # full, and no fuller


@given(routers(), TOKENS)
@settings(max_examples=100, deadline=None)
def test_kept_weights_are_those_without_a_capacity(router, N):
    x = torch.randn(N, 6)
    limited = router(x)
    router.capacity_factor = None
    free = router(x)
    assert torch.equal(limited.experts, free.experts)
    assert torch.equal(limited.weights, free.weights * limited.kept)
    assert (free.weights >= 0).all()
    if router.normalise or router.gate == "softmax-after":
        # chosen by bias or group alone, scores may vanish; DeepSeek's 1e-20 then shows in the sum
        visible = free.scores.gather(1, free.experts).sum(dim=-1) > 1e-12
        sums = free.weights.sum(dim=-1)[visible]
        torch.testing.assert_close(sums, torch.full_like(sums, router.scale))
    elif router.gate == "softmax":
        assert (free.weights.sum(dim=-1) <= router.scale * (1 + 1e-6)).all()


@given(routers(), TOKENS, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_grouped_is_plain_is_the_definition(router, N, F):
    x, E = torch.randn(N, 6), router.experts
    weights = torch.randn(E, F, 6), torch.randn(E, F, 6), torch.randn(E, 6, F)
    routing = router(x)
    plain, grouped = run_plain(x, routing, *weights), run_grouped(x, routing, *weights)
    torch.testing.assert_close(grouped, plain, **CLOSE)
    torch.testing.assert_close(
        grouped, by_definition(x, routing, *weights), rtol=1e-5, atol=1e-4
    )  # of size 10


@given(routers(), TOKENS, st.sampled_from([4, 8, 12]))
@settings(max_examples=100, deadline=None)
def test_fused_is_plain(router, N, F):
    x, E = torch.randn(N, 8), router.experts
    weights = torch.randn(E, F, 8), torch.randn(E, F, 8), torch.randn(E, 8, F)
    routing = router(x[:, :6])
    assert fusible(x, weights[0])
    torch.testing.assert_close(
        run_fused(x, routing, *weights), run_plain(x, routing, *weights), rtol=1e-5, atol=1e-4
    )  # of size 10


def test_what_torch_cannot_group_is_split(monkeypatch):
    """Rows must fill 16 bytes, and experts must have the tokens' type."""
    assert not fusible(torch.randn(2, 6), torch.randn(3, 8, 6))
    assert not fusible(torch.randn(2, 8), torch.randn(3, 5, 8))
    assert not fusible(torch.randn(2, 8).bfloat16(), torch.randn(3, 8, 8))
    ran = []
    for name in ("run_fused", "run_grouped"):
        real = getattr(moe, name)
        monkeypatch.setattr(moe, name, lambda *a, real=real, name=name: (ran.append(name), real(*a))[1])
    MoE(8, 8, 3, 2)(torch.randn(2, 8))
    MoE(6, 8, 3, 2)(torch.randn(2, 6))
    assert ran == ["run_fused", "run_grouped"]


@pytest.mark.parametrize("experts", [[[0, 0]] * 9, [[3, 1]] * 9, [[0, 3], [1, 3], [3, 0]], [[2, 1]]])
@pytest.mark.parametrize("keep", ["all", "some", "none"])
def test_grouped_is_plain_with_gradients(experts, keep):
    """Idle experts, one expert for all, one token; also where a token names an expert twice."""
    torch.manual_seed(len(experts))
    N = len(experts)
    kept = {"all": torch.ones, "none": torch.zeros}.get(keep, torch.rand)(N, 2) > 0.4
    results = []
    for run in (run_plain, run_grouped, run_fused):
        generator = torch.Generator().manual_seed(1)
        leaves = [
            torch.randn(*shape, generator=generator).requires_grad_()
            for shape in ((N, 8), (N, 2), (4, 4, 8), (4, 4, 8), (4, 8, 4))
        ]
        x, weights, *matrices = leaves
        routing = Routing(torch.zeros(N, 4), torch.zeros(N, 4), torch.tensor(experts), weights * kept, kept)
        out = run(x, routing, *matrices)
        sum_of = (out * torch.randn(N, 8, generator=generator)).sum()
        gradients = torch.autograd.grad(sum_of, leaves, allow_unused=True) if keep != "none" else ()
        results.append((out, *gradients))
    for plain, grouped, fused in zip(*results, strict=True):
        torch.testing.assert_close(grouped, plain, **CLOSE)
        torch.testing.assert_close(fused, plain, **CLOSE)
    if keep == "none":
        assert results[1][0].abs().max() == results[2][0].abs().max() == 0


def test_worked_example():
    """Logits ln 4, ln 3, ln 2, ln 1: probabilities 0.4, 0.3, 0.2, 0.1; the best two weigh 4/7 and 3/7."""
    x = torch.tensor([[1.0]])
    logits = torch.tensor([4.0, 3.0, 2.0, 1.0]).log()[:, None]
    expected = {
        ("softmax", False): [0.4, 0.3],
        ("softmax", True): [4 / 7, 3 / 7],
        ("softmax-after", False): [4 / 7, 3 / 7],
        ("sigmoid", False): [4 / 5, 3 / 4],  # sigmoid(ln a) = a / (a + 1)
        ("sigmoid", True): [16 / 31, 15 / 31],
    }
    for (gate, normalise), weights in expected.items():
        router = Router(1, 4, 2, gate=gate, normalise=normalise)
        router.weight.data = logits
        routing = router(x)
        assert routing.experts.tolist() == [[0, 1]]
        torch.testing.assert_close(routing.weights, torch.tensor([weights]))
        torch.testing.assert_close(routing.probabilities.sum(), torch.tensor(1.0))


def test_choice_is_that_of_the_counting_module():
    torch.manual_seed(0)
    routing = Router(5, 7, 3, capacity_factor=1.0)(torch.randn(100, 5))
    assert np.array_equal(counting.route(routing.logits.detach().double().numpy(), 3), routing.experts)
    load = counting.expert_load(routing.experts.numpy(), 7)
    assert load.tolist() == routing.load.tolist()
    assert counting.dropped_share(load, 1.0) == pytest.approx(routing.dropped / 300)


def test_bias_steers_the_choice_and_not_the_weights():
    router = Router(1, 3, 1, gate="sigmoid", normalise=False, selection_bias=True)
    router.weight.data = torch.tensor([[2.0], [1.0], [0.0]])
    router.bias.copy_(torch.tensor([0.0, 0.2, 0.0]))
    routing = router(torch.ones(1, 1))
    assert routing.experts.tolist() == [[1]]  # 0.73 + 0.2 beats 0.88
    torch.testing.assert_close(routing.weights, torch.tensor([[1.0]]).sigmoid())


def test_best_groups():
    scores = torch.tensor([[0.9, 0.0, 0.5, 0.6, 0.8, 0.2]])  # three groups of two
    out = -math.inf
    one = within_best_groups(scores, 3, 2, best=1)
    torch.testing.assert_close(one, torch.tensor([[0.9, 0.0, out, out, 0.8, 0.2]]))
    two = within_best_groups(scores, 3, 1, best=2)  # 0.9, 1.1, 1.0
    torch.testing.assert_close(two, torch.tensor([[out, out, 0.5, 0.6, out, out]]))


def test_first_choices_come_before_second_ones():
    """Room for two: the first token's second choice waits for everybody's first."""
    experts = torch.tensor([[1, 0], [0, 1], [0, 1], [0, 1]])
    kept = keep_within(experts, 2, total=2)
    assert kept.tolist() == [[True, False], [True, True], [True, False], [False, False]]


@given(st.integers(1, 20), st.integers(1, 3), st.integers(0, 6), st.integers(0, 99))
def test_room_is_given_one_after_another(N, k, capacity, seed):
    experts = torch.rand(N, 5, generator=torch.Generator().manual_seed(seed)).topk(k, dim=-1).indices
    left = [capacity] * 5
    expected = torch.zeros(N, k, dtype=torch.bool)
    for j in range(k):
        for n in range(N):
            e = experts[n, j]
            expected[n, j] = left[e] > 0
            left[e] -= 1
    assert torch.equal(keep_within(experts, capacity, total=5), expected)


def test_a_dropped_token_gets_nothing():
    """Switch: what finds no room passes by on the residual connection, so the layer adds zero."""
    torch.manual_seed(0)
    layer = MoE(4, 8, 2, 1, capacity_factor=1.0)
    layer.router.weight.data = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]])
    x = torch.ones(4, 4)  # all to expert 0, which takes two
    y, routing = layer.routed(x)
    assert routing.dropped == 2
    assert y[:2].abs().min() > 0
    assert y[2:].abs().max() == 0


@pytest.mark.parametrize("run", [run_plain, run_grouped, run_fused])
def test_what_is_dropped_is_not_computed(run):
    """The second token is infinite, and zero times what an expert makes of it would not be zero."""
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [math.inf] * 4])
    weights = torch.tensor([[1.0], [0.0]])
    routing = Routing(torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([[2], [2]]), weights, weights > 0)
    y = run(x, routing, *(torch.ones(3, 4, 4) for _ in range(3)))
    assert y[0].min() > 0
    assert y[1].tolist() == [0.0] * 4


def test_dispatch_runs_each_chosen_expert_once():
    """Row n holds the number n, so what an expert gets names its tokens."""
    experts = torch.tensor([[2, 0], [0, 2], [2, 3]])
    kept = torch.tensor([[True, True], [True, False], [True, True]])
    routing = Routing(torch.zeros(3, 5), torch.zeros(3, 5), experts, torch.ones(3, 2) * kept, kept)
    calls = []

    def run(expert, rows):
        calls.append((expert, rows.flatten().tolist()))
        return rows

    y = dispatch(torch.tensor([[0.0], [1.0], [2.0]]), routing, run)
    assert calls == [(0, [0.0, 1.0]), (2, [0.0, 2.0]), (3, [2.0])]
    assert y.flatten().tolist() == [0.0, 1.0, 4.0]


def test_capacity_counts_the_factor_as_written():
    assert [counting.room(100, 10, factor) for factor in (1.1, 1.0, 1.25, 0.01)] == [11, 10, 13, 1]


def test_layer_is_the_dense_one_where_one_expert_gets_all():
    torch.manual_seed(0)
    dense, layer = SwiGLU(6, 10), MoE(6, 10, 1, 1)
    for ours, theirs in zip(
        (layer.experts.gate, layer.experts.up, layer.experts.down), dense.parameters(), strict=True
    ):
        ours.data = theirs.data[None]
    for shape in ((6,), (5, 6), (2, 5, 6), (2, 0, 6)):
        x = torch.randn(shape)
        torch.testing.assert_close(layer(x), dense(x), **CLOSE)


def test_fine_grained_experts_are_the_same_network_cut_in_pieces():
    """Twice the experts at half the width, both halves chosen together: nothing changes but the freedom."""
    torch.manual_seed(0)
    hidden_dim, experts, k = split_experts(10, 3, 2, pieces=2)
    assert (hidden_dim, experts, k) == (5, 6, 4)
    coarse = MoE(6, 10, 3, 2, normalise=False)
    fine = MoE(6, hidden_dim, experts, k, normalise=False, scale=2.0)  # a doubled softmax gives halves
    fine.router.weight.data = coarse.router.weight.data.repeat_interleave(2, dim=0)
    fine.experts.gate.data = coarse.experts.gate.data.reshape(6, 5, 6)
    fine.experts.up.data = coarse.experts.up.data.reshape(6, 5, 6)
    fine.experts.down.data = torch.stack(
        [half for down in coarse.experts.down.data for half in down.chunk(2, dim=1)]
    )
    x = torch.randn(20, 6)
    torch.testing.assert_close(fine(x), coarse(x), **CLOSE)
    with pytest.raises(ValueError, match="10 in 3 pieces"):
        split_experts(10, 3, 2, pieces=3)


def test_inference_keeps_nothing():
    torch.manual_seed(0)
    layer, x = MoE(4, 8, 4, 2, selection_bias=True), torch.randn(2, 3, 4)
    layer.eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    first = layer(x)
    assert layer.last_routing is None
    assert torch.equal(layer(x), first)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    layer.train()
    layer(x)
    assert layer.last_routing.load.sum() == 12
    layer.eval()
    assert layer.last_routing is None


def test_watch_sees_every_layer_and_then_no_more():
    torch.manual_seed(0)
    model = torch.nn.Sequential(MoE(4, 8, 4, 2), MoE(4, 8, 6, 1)).eval()
    x = torch.randn(5, 4)
    with watch(model) as seen:
        model(x)
        assert [routing.logits.shape for routing in seen] == [(5, 4), (5, 6)]
    model(x)
    assert len(seen) == 2
    torch.testing.assert_close(seen[0].weights, model[0].routed(x)[1].weights)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_routes_in_fp32(dtype):
    torch.manual_seed(0)
    layer = MoE(8, 16, 4, 2, shared_hidden_dim=8, shared_gate=True).to(dtype)
    x = torch.randn(6, 8, dtype=dtype)
    y, routing = layer.routed(x)
    assert y.dtype == dtype
    assert routing.logits.dtype == routing.weights.dtype == torch.float32
    assert torch.equal(routing.logits, x.float() @ layer.router.weight.float().T)


def test_all_faults_at_once_and_before_memory_is_taken():
    with pytest.raises(ValueError, match="gate must be") as caught:
        MoE(
            10**6,
            0,
            10**6,
            10**7,
            shared_gate=True,
            gate="relu",
            groups=7,
            capacity_factor=math.nan,
        )
    message = str(caught.value)
    for fault in ("k = 10000000 of 1000000", "7 groups", "capacity_factor", "widths", "shared_gate"):
        assert fault in message, fault


@pytest.mark.parametrize(
    ("switches", "fault"),
    [
        ({"k": 0}, "k = 0 of 8"),
        ({"k": 9}, "k = 9 of 8"),
        ({"groups": 3}, "8 experts in 3 groups"),
        ({"groups": 4, "kept_groups": 5}, "between 1 and 4, got 5"),
        ({"groups": 4, "kept_groups": 1, "k": 3}, "1 groups of 2 experts cannot hold k = 3"),
        ({"groups": 4, "group_best": 3}, "size 2, got 3"),
        ({"capacity_factor": 0.0}, "got 0.0"),
        ({"capacity_factor": math.inf}, "got inf"),
    ],
)
def test_numbers_that_cannot_be(switches, fault):
    with pytest.raises(ValueError, match=fault):
        Router(4, **{"experts": 8, "k": 2, **switches})
    with pytest.raises(TypeError, match="top_p"):
        Router(4, 8, 2, top_p=0.9)
