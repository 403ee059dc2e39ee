"""What the worker imports and uses once before it forks: a cell finds no file to import later.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

LIBRARIES: tuple[str, ...] = ("numpy", "numpy.random", "torch", "torch.func", "torch.overrides", "asyncio")
LIBRARIES += (
    "torch.utils._python_dispatch",
    "concurrent.futures",
    "decimal",
    "fractions",
    "json",
    "statistics",
)
LIBRARIES += ("sysconfig", "tempfile", "tracemalloc", "typing")


def warm() -> None:
    """Use once what imports or reads more at its first use: an optimizer brings all of torch._dynamo."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    image = torch.ones(1, 1, 4, 4, requires_grad=True)
    layers = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.MaxPool2d(2))
    flat = functional.layer_norm(layers(image).flatten(1), (2,))
    seen = functional.scaled_dot_product_attention(flat[None], flat[None], flat[None])[0]
    torch.autograd.backward(functional.cross_entropy(seen, torch.tensor([1])))
    for kind in (torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD):
        kind(layers.parameters()).step()
    torch.autograd.gradcheck(torch.sin, torch.ones(2, dtype=torch.float64, requires_grad=True))
    torch.manual_seed(0)
