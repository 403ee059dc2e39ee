"""Hidden tests: whole runs beside a plain loop, momentum, dropout, modes, no graph, small gradients."""

import types

from handbook.practice.checks import close, equal, inside


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


def compare(submission, what, *args):
    got, expected = inside(submission, work, *args), reference(*args)
    close(got[0], expected[0], f"{what}: losses", rtol=1e-4)
    close(got[2], expected[2], f"{what}: parameters", rtol=1e-3, atol=1e-5)


def test_whole_runs(submission):
    """Losses and parameters after several epochs over batches of different lengths."""
    compare(submission, "three epochs", [5, 7, 2], 3, 0.1, 1e9)
    compare(submission, "clipped", [5, 7, 2], 3, 0.5, 0.2)
    compare(submission, "with momentum", [4, 4], 5, 0.1, 0.5, 0.0, False, 0.9)
    compare(submission, "one batch of one", [1], 2, 0.1, 1.0)


def test_trains_in_training_mode(submission):
    """A model that comes in evaluation mode is trained with its dropout all the same."""
    compare(submission, "with dropout", [6, 6], 3, 0.1, 1.0, 0.5, False)
    compare(submission, "with dropout, found in evaluation mode", [6, 6], 3, 0.1, 1.0, 0.5, True)


def test_small_gradients_are_left_alone(submission):
    """A gradient shorter than clip is not made longer."""
    expected = reference([6, 6], 2, 0.05, 1e9)[2]
    close(inside(submission, work, [6, 6], 2, 0.05, 1e4)[2], expected, "parameters, clip 10,000", atol=1e-6)


def test_default_clip(submission):
    """clip is 1.0 where none is given."""
    got = inside(submission, defaults)
    close(got, [1.0], "length of one step of a large gradient", rtol=1e-3)


def defaults(submission):
    """One step of rate 1 by a gradient far above 1."""
    import torch

    torch.manual_seed(0)
    model, x, y = torch.nn.Linear(4, 3), 100 * torch.randn(6, 4), torch.arange(6) % 3
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    submission.train(model, torch.optim.SGD(model.parameters(), lr=1.0), [(x, y)], 1)
    after = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    return [float((after - before).norm())]


def mode(submission, training):
    """The modes of a model and of its dropout after accuracy, whether a graph was built, and calls."""
    import torch

    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.9), torch.nn.Linear(16, 3))
    batches = [(torch.randn(size, 4), torch.randint(3, (size,))) for size in (30, 5)]
    graphs = []
    model.register_forward_hook(lambda model, args, out: graphs.append(out.requires_grad))
    model.train(training)
    submission.accuracy(model, batches)
    return (model.training, model[1].training), any(graphs), len(graphs)


def test_mode_is_given_back(submission):
    """After accuracy a model is in the mode in which it came, its parts too."""
    for training in (True, False):
        got = inside(submission, mode, training)[0]
        equal(tuple(got), (training, training), f"modes after accuracy, found with training = {training}")


def test_accuracy_builds_no_graph(submission):
    """Measuring asks the model once a batch, without gradients."""
    _, graph, calls = inside(submission, mode, True)
    equal((graph, calls), (False, 2), "a graph was built, and calls of the model for two batches")


def test_losses_are_plain_numbers(submission):
    """A float an epoch, no tensor that holds a graph; accuracy is a float too."""
    equal(inside(submission, kinds), (["float", "float"], "float"), "kinds of losses and of the accuracy")


def kinds(submission):
    """Type names of what the two functions return."""
    import torch

    model = torch.nn.Linear(2, 2)
    batches = [(torch.ones(3, 2), torch.tensor([0, 1, 1]))]
    losses = submission.train(model, torch.optim.SGD(model.parameters(), lr=0.1), batches, 2)
    return [type(loss).__name__ for loss in losses], type(submission.accuracy(model, batches)).__name__
