"""What training holds, counted: trained numbers and their state, logits, activations, a base of four bits.

Nothing here is timed. Where a model's shape alone decides, the model is SmolLM2-135M by its configuration,
and what is measured is made of blocks of that shape, so that its weights need not be there.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from handbook.lab import kit
from handbook.lab.transformer.subjects import SMOLLM2
from handbook.lab.tuning.sides import LORA, random_model, row, subject
from handbook.model import count
from handbook.model.adapter_names import linears
from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer
from handbook.train.adam8 import AdamW8, state_bytes
from handbook.train.config import TrainConfig
from handbook.train.forward import hidden
from handbook.train.logprobs import token_logprobs, token_logprobs_plain
from handbook.train.loop import begin, gradients
from handbook.train.lora import add_lora
from handbook.train.lora_config import chosen
from handbook.train.precision import prepare
from handbook.train.qlora import add_qlora, held
from handbook.train.sft import Sft

TOKENS = 2048  # of a batch, where the claims speak of one
WORDS = 64  # of a vocabulary, where it does not matter
DEEP = replace(SMOLLM2, vocab_size=WORDS, dim=64, heads=4, kv_heads=2, head_dim=16, hidden_dim=192, layers=12)
Targets = str | tuple[str, ...]


@cache
def sizes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Path -> (out, in) of a decoder's linear layers; no memory is taken for them."""
    with torch.device("meta"):
        return linears(Transformer(config))


def adapter_parameters(config: ModelConfig, r: int, targets: Targets = "all-linear") -> int:
    """Numbers that a LoRA of rank r trains: r (in + out) of each layer. Raises AdapterError for targets that
    mean none."""
    layers = sizes(config)
    return sum(r * sum(layers[path]) for path in chosen(targets, {path: (path,) for path in layers}))


def lora_share(small: bool = True) -> float:
    """Of all numbers of SmolLM2-135M, those that a LoRA of rank 16 on all linear layers trains. By its
    configuration."""
    return adapter_parameters(SMOLLM2, 16) / count.parameters(SMOLLM2)


def full_bytes_per_parameter(small: bool = True) -> float:
    """Weights, gradients and AdamW's state in bytes, over trained numbers, counted on the tensors that the
    loop has just before the first step's gradients are let go. A random decoder in mixed precision."""
    config = TrainConfig(steps=1, rate=1e-5, warmup=0, precision="bf16")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Transformer(replace(DEEP, layers=2))
    prepare(model, config.precision)
    state = begin(model, config)
    gradients(state, config, [row(WORDS, [16, 16])], Sft(checkpointing=False))
    state.optimizer.step()
    held = [tensor for p in model.parameters() for tensor in (p, p.grad) if tensor is not None]
    numbers = sum(p.numel() for p in model.parameters())
    return (sum(tensor.nbytes for tensor in held) + state_bytes(state.optimizer)) / numbers


def logits_megabytes(small: bool = True) -> float:
    """fp32 logits of SmolLM2-135M for 2,048 tokens. By its configuration."""
    return 4 * TOKENS * SMOLLM2.vocab_size / 1e6


def chunked_logits_peak(small: bool = True) -> float:
    """The largest tensor that log-probabilities of 2,048 targets make, forward and back, in chunks of 256
    rows, over the largest with all logits at once. fp32, states of 32 numbers, the head frozen; full: as many
    words as SmolLM2 has, small: a twelfth."""
    words, width = SMOLLM2.vocab_size // (12 if small else 1), 32
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(TOKENS, width, generator=draw)
    weight = torch.randn(words, width, generator=draw) / width**0.5
    targets = torch.randint(words, (TOKENS,), generator=draw)

    def pass_through(logprobs: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[[], None]:
        return lambda: logprobs(states.clone().requires_grad_(), weight, targets).sum().backward()  # type: ignore[no-untyped-call]

    with kit.threads(1):
        return largest_bytes(pass_through(token_logprobs)) / largest_bytes(pass_through(token_logprobs_plain))


def largest_bytes(work: Callable[[], object]) -> int:
    """Bytes of the largest tensor that torch operators make in one call, backward passes within it included.
    Views and results in place are none."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    most = 0

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is untyped
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            nonlocal most
            before = {
                leaf.untyped_storage().data_ptr()
                for leaf in tree_leaves((args, kwargs))
                if isinstance(leaf, Tensor)
            }
            out = func(*args, **(kwargs or {}))
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() not in before:
                    most = max(most, leaf.untyped_storage().nbytes())
            return out

    with Watch():  # type: ignore[no-untyped-call]
        work()
    return most


def checkpointing_memory(small: bool = True) -> float:
    """Bytes of tensors alive at once while a row goes through all blocks and back, with checkpointing over
    without. Blocks train in fp32; weights and their gradients are there before and don't count, and neither
    do the logits.

    Small: a random decoder of 12 narrow layers, 64 tokens. Full: SmolLM2-135M, two documents of 128.
    """
    model = deepcopy(random_model(DEEP) if small else subject(small))
    model.blocks.requires_grad_(True)
    for parameter in model.blocks.parameters():
        parameter.grad = torch.zeros_like(parameter)
    packed = row(WORDS, [32, 32] if small else [128, 128])

    def there_and_back(checkpointing: bool) -> Callable[[], None]:
        def work() -> None:
            states = hidden(model, packed, checkpointing)
            states.backward(torch.ones_like(states))  # type: ignore[no-untyped-call]

        return work

    with kit.threads(1):
        return kit.peak_bytes(there_and_back(True)) / kit.peak_bytes(there_and_back(False))


def qlora_memory(small: bool = True) -> float:
    """Weights and AdamW's state of a QLoRA over those of a LoRA whose base is in bf16: rank 16 on all linear
    layers of SmolLM2-135M, factors and state in fp32. Counted after a step, on blocks of that shape."""
    return trained_bytes(SMOLLM2, "qlora") / trained_bytes(SMOLLM2, "lora")


@cache
def trained_bytes(config: ModelConfig, kind: str) -> int:
    """What a "lora" or "qlora" over a model of this shape holds from step to step, gradients apart: counted
    with one block and with two, each more is another of these; an embedding of few words, and the rest of it
    by arithmetic."""
    assert config.tie_embeddings
    one, two = (_held_by(replace(config, layers=n, vocab_size=WORDS), kind) for n in (1, 2))
    return one + (config.layers - 1) * (two - one) + 2 * (config.vocab_size - WORDS) * config.dim


def _held_by(config: ModelConfig, kind: str) -> int:
    model = deepcopy(random_model(config))
    if kind == "qlora":
        add_qlora(model, LORA)
    else:
        add_lora(model.to(torch.bfloat16), LORA)
    state = begin(model, TrainConfig(steps=1, rate=1e-5, warmup=0))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    state.optimizer.step()
    return held(model, state.optimizer).weights_and_optimizer


def adam8_memory(small: bool = True) -> float:
    """Bytes of 8-bit AdamW's state over those of AdamW in fp32, after a step on all weights of a block of
    SmolLM2-135M's shape."""
    block = random_model(replace(SMOLLM2, layers=1, vocab_size=WORDS)).blocks[0]
    eight, plain = (
        _state_after_a_step(block, make) for make in (AdamW8, lambda p: torch.optim.AdamW(p, fused=True))
    )
    return eight / plain


def _state_after_a_step(block: nn.Module, make: Callable[[list[nn.Parameter]], torch.optim.Optimizer]) -> int:
    own = [nn.Parameter(parameter.detach().clone()) for parameter in block.parameters()]
    optimizer = make(own)
    for parameter in own:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return state_bytes(optimizer)
