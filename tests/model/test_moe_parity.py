"""Sparse blocks of transformers with our weights: outputs, gradients, choices and the balancing loss.

Tolerance: everything is fp32 and of size one; the two sides add the k outputs in another order, and the
shared expert's, so they may differ by a few units in the last place (1.2e-7 each): 1e-5 leaves room for sums
over a hundred terms.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

from handbook.model.balance import balance_loss
from handbook.model.moe import MoE

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
C, F, E = 24, 20, 8


@dataclass(frozen=True)
class Family:
    """A sparse block of transformers and the switches that make ours the same."""

    module: str
    prefix: str
    block: str
    config: dict[str, Any]
    k: int
    ours: dict[str, Any] = field(default_factory=dict)

    def theirs(self) -> nn.Module:
        name = self.module
        configs = importlib.import_module(f"transformers.models.{name}.configuration_{name}")
        models = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
        config = getattr(configs, f"{self.prefix}Config")(
            hidden_size=C, num_experts_per_tok=self.k, hidden_act="silu", **self.config
        )
        config._experts_implementation = "eager"
        block = getattr(models, self.block)(config)
        torch.manual_seed(5)
        with torch.no_grad():
            for value in [*block.parameters(), *block.buffers()]:
                value.normal_(std=0.4)
        return block.train()


def qwen(normalise: bool) -> dict[str, Any]:
    return {"num_experts": E, "moe_intermediate_size": F, "norm_topk_prob": normalise}


DEEPSEEK = {
    "n_routed_experts": E,
    "moe_intermediate_size": F,
    "n_shared_experts": 2,
    "num_attention_heads": 4,
}
V2 = {"gate": "softmax", "normalise": False, "shared_hidden_dim": 2 * F}
V3 = {"gate": "sigmoid", "selection_bias": True, "shared_hidden_dim": 2 * F}
FAMILIES = {
    "mixtral": Family(
        "mixtral", "Mixtral", "MixtralSparseMoeBlock", {"num_local_experts": E, "intermediate_size": F}, 2
    ),
    "mixtral, softmax of the chosen": Family(
        "mixtral",
        "Mixtral",
        "MixtralSparseMoeBlock",
        {"num_local_experts": E, "intermediate_size": F},
        3,
        {"gate": "softmax-after"},
    ),
    **{
        f"qwen2, normalised {normalise}": Family(
            "qwen2_moe",
            "Qwen2Moe",
            "Qwen2MoeSparseMoeBlock",
            {**qwen(normalise), "shared_expert_intermediate_size": 36},
            3,
            {"normalise": normalise, "shared_hidden_dim": 36, "shared_gate": True},
        )
        for normalise in (False, True)
    },
    **{
        f"qwen3, normalised {normalise}": Family(
            "qwen3_moe",
            "Qwen3Moe",
            "Qwen3MoeSparseMoeBlock",
            qwen(normalise),
            4,
            {"normalise": normalise},
        )
        for normalise in (False, True)
    },
    **{
        f"olmoe, normalised {normalise}": Family(
            "olmoe",
            "Olmoe",
            "OlmoeSparseMoeBlock",
            {"num_experts": E, "intermediate_size": F, "norm_topk_prob": normalise},
            4,
            {"normalise": normalise},
        )
        for normalise in (False, True)
    },
    "deepseek v2, greedy": Family(
        "deepseek_v2",
        "DeepseekV2",
        "DeepseekV2Moe",
        {**DEEPSEEK, "topk_method": "greedy", "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1},
        3,
        V2,
    ),
    "deepseek v2, groups": Family(
        "deepseek_v2",
        "DeepseekV2",
        "DeepseekV2Moe",
        {
            **DEEPSEEK,
            "topk_method": "group_limited_greedy",
            "routed_scaling_factor": 16.0,
            "n_group": 4,
            "topk_group": 2,
        },
        3,
        {**V2, "scale": 16.0, "groups": 4, "kept_groups": 2},
    ),
    **{
        f"deepseek v3, normalised {normalise}": Family(
            "deepseek_v3",
            "DeepseekV3",
            "DeepseekV3MoE",
            {
                **DEEPSEEK,
                "norm_topk_prob": normalise,
                "routed_scaling_factor": 2.5,
                "n_group": 2,
                "topk_group": 1,
            },
            3,
            {**V3, "normalise": normalise, "scale": 2.5, "groups": 2, "kept_groups": 1, "group_best": 2},
        )
        for normalise in (False, True)
    },
}


def pairs(ours: MoE, theirs: Any, pick: Callable[[Any], Any] = lambda t: t) -> list[tuple[Any, Any]]:
    """(ours, theirs) for every parameter and buffer, or for what `pick` takes of it."""
    gate, up = pick(theirs.experts.gate_up_proj).chunk(2, dim=1)
    found = [
        (pick(ours.router.weight), pick(theirs.gate.weight)),
        (pick(ours.experts.gate), gate),
        (pick(ours.experts.up), up),
        (pick(ours.experts.down), pick(theirs.experts.down_proj)),
    ]
    if ours.router.bias is not None:
        found.append((pick(ours.router.bias), pick(theirs.gate.e_score_correction_bias)))
    if ours.shared is not None:
        shared = theirs.shared_expert if hasattr(theirs, "shared_expert") else theirs.shared_experts
        for mine, other in (("gate", "gate_proj"), ("up", "up_proj"), ("down", "down_proj")):
            found.append((pick(getattr(ours.shared, mine).weight), pick(getattr(shared, other).weight)))
    if ours.shared_gate is not None:
        found.append((pick(ours.shared_gate.weight), pick(theirs.shared_expert_gate.weight)))
    return found


@pytest.fixture(params=FAMILIES)
def both(request: pytest.FixtureRequest) -> tuple[MoE, Any]:
    family = FAMILIES[request.param]
    ours, theirs = MoE(C, F, E, family.k, **family.ours), family.theirs()
    with torch.no_grad():
        for mine, other in pairs(ours, theirs):
            mine.copy_(other)
    copied = sum(other.numel() for _, other in pairs(ours, theirs))
    assert copied == sum(value.numel() for value in theirs.state_dict().values())
    assert copied == sum(value.numel() for value in ours.state_dict().values())
    return ours, theirs


def test_outputs(both):
    ours, theirs = both
    x = torch.randn(3, 11, C, generator=torch.Generator().manual_seed(1))
    expected = theirs(x)
    assert expected.std() > 0.5  # the tolerance is absolute
    torch.testing.assert_close(ours(x), expected, **CLOSE)


def test_choices_and_weights(both):
    ours, theirs = both
    x = torch.randn(40, C, generator=torch.Generator().manual_seed(2))
    logits, weights, experts = theirs.gate(x)
    routing = ours.router(x)
    torch.testing.assert_close(routing.logits, logits, **CLOSE)
    expected = torch.zeros(40, E).scatter(1, experts, weights)
    torch.testing.assert_close(
        torch.zeros(40, E).scatter(1, routing.experts, routing.weights), expected, **CLOSE
    )


def test_gradients(both):
    ours, theirs = both
    x = torch.randn(3, 11, C, generator=torch.Generator().manual_seed(3))
    direction = torch.randn(3, 11, C, generator=torch.Generator().manual_seed(4)) / 10
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    for block, value in zip((ours, theirs), inputs, strict=True):
        (block(value) * direction).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, **CLOSE)
    for mine, other in pairs(ours, theirs, lambda tensor: tensor.grad):
        assert (mine is None) == (other is None)  # None: the selection bias
        if other is not None:
            torch.testing.assert_close(mine, other, **CLOSE)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["mixtral", "qwen2_moe", "olmoe"])
def test_balance_loss(kind, k, layers, masked):
    theirs = importlib.import_module(f"transformers.models.{kind}.modeling_{kind}").load_balancing_loss_func
    torch.manual_seed(6)
    logits = [torch.randn(2 * 9, E).requires_grad_() for _ in range(layers)]
    mask = (torch.arange(9) < torch.tensor([[9], [4]])).long() if masked else None
    expected = theirs(tuple(logits), E, k, mask)
    expected_gradients = torch.autograd.grad(expected, logits)

    probabilities = torch.cat(logits).softmax(dim=-1)
    flat = mask.flatten().bool().repeat(layers) if masked else None
    got = balance_loss(probabilities, probabilities.topk(k, dim=-1).indices, flat)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(torch.autograd.grad(got, logits), expected_gradients, rtol=1e-5, atol=1e-8)


def test_a_routing_knows_its_balance_loss():
    """Through the layer, without a bias or groups: the same choice as in transformers' loss."""
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    torch.manual_seed(7)
    layer = MoE(C, F, E, 2)
    layer(torch.randn(4, 50, C))
    routing = layer.last_routing
    expected = load_balancing_loss_func((routing.logits,), E, 2)
    torch.testing.assert_close(routing.balance_loss, expected, rtol=1e-6, atol=0)
