"""What balances experts: losses by hand, where their gradients go, and a controller that works."""

import pytest
import torch

from handbook.model.balance import balance_loss, rebalanced, sequence_balance_loss, z_loss
from handbook.model.moe import MoE
from handbook.model.router import Router


def test_the_chapters_example():
    """f = (0.5, 0.25, 0.125, 0.125), P = (0.4, 0.3, 0.15, 0.15): 4 * 0.3125."""
    experts = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3])[:, None]
    probabilities = torch.tensor([0.4, 0.3, 0.15, 0.15]).expand(8, 4)
    torch.testing.assert_close(balance_loss(probabilities, experts), torch.tensor(1.25))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_even_load_gives_k_and_a_collapse_gives_more(k):
    E, N = 4, 12
    even = torch.stack([(torch.arange(k) + n) % E for n in range(N)])
    flat = torch.full((N, E), 1 / E)
    torch.testing.assert_close(balance_loss(flat, even), torch.tensor(float(k)))
    collapsed = torch.tensor([1.0, 0, 0, 0]).expand(N, E)
    got = balance_loss(collapsed, torch.arange(k).expand(N, k))
    torch.testing.assert_close(got, torch.tensor(float(E)))  # f = P = 1 for expert 0


def test_gradient_flows_through_the_probabilities_alone():
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    probabilities = logits.softmax(dim=-1)
    loss = balance_loss(probabilities, probabilities.topk(1, dim=-1).indices)
    by_hand = 2 * (2 / 3 * probabilities[:, 0].mean() + 1 / 3 * probabilities[:, 1].mean())
    torch.testing.assert_close(loss, by_hand)
    gradient = torch.autograd.grad(loss, logits)[0]
    assert (gradient[:, 0] > 0).all()  # descent lowers the busy expert's logit
    assert (gradient[:, 1] < 0).all()


def test_sequences_are_balanced_one_by_one():
    """Each sequence goes to one expert of two: even over the batch, as bad as can be within a sequence."""
    experts = torch.tensor([[0, 0, 0], [1, 1, 1]])[..., None]
    probabilities = torch.nn.functional.one_hot(experts[..., 0], 2).float()
    torch.testing.assert_close(
        balance_loss(probabilities.flatten(0, 1), experts.flatten(0, 1)), torch.tensor(1.0)
    )
    torch.testing.assert_close(sequence_balance_loss(probabilities, experts), torch.tensor(2.0))


def test_sequence_loss_is_one_for_an_even_load():
    experts = torch.stack([(torch.arange(2) + t) % 4 for t in range(8)]).expand(3, 8, 2)
    torch.testing.assert_close(sequence_balance_loss(torch.full((3, 8, 4), 0.25), experts), torch.tensor(1.0))


def test_z_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [3.0, -1e9]])  # ln 2 and 3
    torch.testing.assert_close(z_loss(logits), torch.tensor((0.6931472**2 + 9) / 2))


def test_an_empty_batch_costs_nothing():
    routing = Router(4, 3, 2)(torch.zeros(0, 4))
    assert routing.balance_loss == 0
    assert routing.z_loss == 0


def test_bias_moves_by_the_sign_of_the_error():
    got = rebalanced(torch.zeros(4), torch.tensor([10, 2, 6, 6]), 0.5)
    assert got.tolist() == [-0.5, 0.5, 0.0, 0.0]


def test_a_router_without_a_bias_cannot_rebalance():
    with pytest.raises(ValueError, match="selection_bias=True"):
        Router(4, 3, 2).rebalance(torch.tensor([1, 2, 3]))


def busiest(router: Router, x: torch.Tensor) -> float:
    """Load of the busiest expert over the mean load."""
    load = router(x).load.float()
    return (load.max() / load.mean()).item()


def test_loss_free_balancing_balances_and_leaves_the_scores_alone():
    """A skewed router, nothing trained: the bias alone brings 3.9 times the mean load to 1.1."""
    torch.manual_seed(0)
    router = Router(16, 8, 2, gate="sigmoid", selection_bias=True)
    x = torch.randn(4000, 16) + 1
    router.weight.data += torch.linspace(-0.2, 0.2, 8)[:, None]
    before, scores = busiest(router, x), router(x).scores
    assert before > 2.5
    for _ in range(400):
        router.rebalance(router(x).load, step=5e-3)
    assert busiest(router, x) < 1.15
    assert torch.equal(router(x).scores, scores)


def test_balance_loss_balances_when_trained():
    torch.manual_seed(0)
    layer, x = MoE(16, 8, 8, 2), torch.randn(1000, 16) + 1
    layer.router.weight.data += torch.linspace(-0.2, 0.2, 8)[:, None]
    before = busiest(layer.router, x)
    optimizer = torch.optim.Adam(layer.router.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        layer(x)
        layer.last_routing.balance_loss.backward()
        optimizer.step()
    assert before > 2.5
    assert busiest(layer.router, x) < 1.5
