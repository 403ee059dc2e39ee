"""Visible tests, one a fault: gradients that add up, the loss, clipping, the epoch's mean, the mode."""

import types

import numpy as np

from handbook.practice.checks import close, inside


def work(submission, sizes, epochs, lr, clip, dropout=0.0, evaluate=False, momentum=0.0):
    """Trains a small net: its losses, parameters before and after, and the last gradients."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Dropout(dropout), torch.nn.Linear(8, 3)
    )
    batches = [(2 * torch.randn(size, 4), torch.randint(3, (size,))) for size in sizes]
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    model.train(not evaluate)
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    torch.manual_seed(1)
    losses = submission.train(model, optimizer, batches, epochs, clip)
    after = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    last = torch.cat([p.grad.flatten() for p in model.parameters()])
    return losses, before.numpy(), after.numpy(), last.numpy()


def plain_train(model, optimizer, batches, epochs, clip):
    """The same in short, written for these tests; its epoch loss by one pass over all examples' losses."""
    import torch

    model.train()
    means = []
    for _ in range(epochs):
        every = []
        for x, y in batches:
            each = torch.nn.functional.cross_entropy(model(x), y, reduction="none")
            optimizer.zero_grad()
            each.mean().backward()
            norm = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
            for p in model.parameters():
                p.grad *= min(1.0, clip / (norm.item() + 1e-6))
            optimizer.step()
            every += each.tolist()
        means.append(sum(every) / len(every))
    return means


def reference(*args):
    return work(types.SimpleNamespace(train=plain_train), *args)


def test_each_step_uses_its_own_gradient(submission):
    """With a learning rate of 0 the gradient left at the end is that of the last batch alone."""
    got = inside(submission, work, [6, 6, 6], 2, 0.0, 1e9)[3]
    close(got, reference([6, 6, 6], 2, 0.0, 1e9)[3], "gradient of the last batch", rtol=1e-4, atol=1e-6)


def test_loss_is_the_cross_entropy_of_the_logits(submission):
    """The first loss of an untrained model, and where one batch can be learned by heart, nearly 0."""
    got = inside(submission, work, [8], 1, 0.0, 1.0)[0]
    close(got, reference([8], 1, 0.0, 1.0)[0], "loss of one batch", rtol=1e-5)
    got = inside(submission, work, [4], 150, 1.0, 1e9)[0][-1]
    assert got < 0.1, f"loss of 4 examples after 150 steps: expected below 0.1, got {got}"


def test_clipping_bounds_the_step(submission):
    """With plain descent and a rate of 1, one step moves the parameters by `clip` at most."""
    for clip in (0.01, 0.1):
        _, before, after, _ = inside(submission, work, [6], 1, 1.0, clip)
        got = float(np.linalg.norm(after - before))
        close(got, clip, f"length of a step of a large gradient, clip {clip}", rtol=1e-3)


def test_epoch_loss_is_a_mean_over_examples(submission):
    """Batches of 8, 8 and 1: the single example counts once, not a third."""
    got = inside(submission, work, [8, 8, 1], 1, 0.0, 1.0)[0]
    close(got, reference([8, 8, 1], 1, 0.0, 1.0)[0], "loss of an epoch of 17 examples", rtol=1e-5)


def measure(submission, training):
    """Four accuracies of a model with much dropout, and the true one."""
    import torch

    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.9), torch.nn.Linear(16, 3))
    batches = [(torch.randn(size, 4), torch.randint(3, (size,))) for size in (30, 30, 5)]
    model.train(training)
    got = [submission.accuracy(model, batches) for _ in range(4)]
    model.eval()
    right = sum(int((model(x).argmax(-1) == y).sum()) for x, y in batches)
    return got, right / 65


def test_accuracy_is_measured_in_evaluation_mode(submission):
    """Dropout of 0.9 changes nothing, and four calls give the same."""
    got, expected = inside(submission, measure, True)
    close(got, [expected] * 4, "accuracy of 65 examples, four times")
