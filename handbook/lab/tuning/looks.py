"""What the lab's sliders ask on fine-tuning: arithmetic by a model's shape, and lengths that are drawn."""

from dataclasses import dataclass
from random import Random

from handbook.lab.tuning.memory import Targets, adapter_parameters, sizes
from handbook.lab.tuning.packed import LONGEST, padding, unfilled
from handbook.model import count
from handbook.model.config import ModelConfig
from handbook.train.logprobs import CHUNK
from handbook.train.packing import document_mask
from handbook.train.plan import MOMENTS

NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)
BLOCK_BYTES = 34  # that a block keeps per channel and token, in 16 bits
MODULES: dict[str, Targets] = {
    "all linear layers": "all-linear",
    "attention": "attention",
    "query and value": ("query", "value"),
    "the network": "mlp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A run of training. method: "full", "lora" or "qlora". tokens: of a micro-batch. again: checkpointing.
    chunked: logits a chunk at a time. optimizer: "adamw" or "adamw8bit"."""

    method: str = "lora"
    r: int = 16
    targets: Targets = "all-linear"
    tokens: int = 2048
    again: bool = True
    chunked: bool = True
    optimizer: str = "adamw"


def trained(config: ModelConfig, asked: Asked) -> int:
    """Numbers that train."""
    if asked.method == "full":
        return count.parameters(config)
    return adapter_parameters(config, asked.r, asked.targets)


def weight_bytes(config: ModelConfig, method: str) -> float:
    """Of the base: fp32 where it trains, 16 bits where it is frozen, with "qlora" its linear layers in NF4
    but for the head."""
    numbers = count.parameters(config)
    if method == "full":
        return 4 * numbers
    if method == "lora":
        return 2 * numbers
    linear = sum(out * width for path, (out, width) in sizes(config).items() if path != "head")
    return NF4_BITS / 8 * linear + 2 * (numbers - linear)


def memory(config: ModelConfig, asked: Asked) -> dict[str, float]:
    """Bytes, line by line.

    Activations by Korthikanti et al. 2022 (arXiv:2205.05198, equation 1) without attention's matrices: 34 C
    bytes a token and block; with checkpointing 2 C, and one block in full. Logits in fp32, with their
    gradient.
    """
    numbers, full = trained(config, asked), asked.method == "full"
    block = asked.tokens * config.dim
    kept = block * (2 * config.layers + BLOCK_BYTES) if asked.again else BLOCK_BYTES * block * config.layers
    rows = min(CHUNK, asked.tokens) if asked.chunked else asked.tokens
    return {
        "base": weight_bytes(config, asked.method),
        "adapter": 0.0 if full else 4.0 * numbers,
        "gradients": 4.0 * numbers,
        "moments": MOMENTS[asked.optimizer] * numbers,
        "activations": float(kept),
        "logits": 2 * 4.0 * rows * config.vocab_size,
    }


def lengths(median: int, spread: float, documents: int = 512, seed: int = 0) -> list[int]:
    """Drawn from a log-normal; spread: of the logarithm, 0 for all alike. At most what a row takes."""
    random = Random(seed)
    return [max(2, min(LONGEST, round(median * random.lognormvariate(0, spread)))) for _ in range(documents)]


@dataclass(frozen=True, slots=True)
class Waste:
    """Shares of the places with nothing in them: batches padded, batches of documents of like length padded,
    rows packed."""

    padded: float
    sorted: float
    packed: float


def waste(drawn: list[int], batch: int, budget: int = LONGEST) -> Waste:
    order = sorted(drawn)
    rows = [order[at : at + batch] for at in range(0, len(order), batch)]
    alike = 1 - sum(order) / sum(len(row) * row[-1] for row in rows)
    return Waste(padding(drawn, batch, seed=0), alike, unfilled(drawn, budget, seed=0))


def mask_rows(documents: list[int], masked: bool) -> list[list[float]]:
    """Who sees whom in a packed row: 1 for a place that is rightly seen, 0.3 for one of another document,
    which only a row that is not masked has."""
    bounds = [0]
    for length in documents:
        bounds.append(bounds[-1] + length)
    right = document_mask(bounds).tolist()
    leak = 0.0 if masked else 0.3
    return [
        [1.0 if sees else leak if column <= place else 0.0 for column, sees in enumerate(row)]
        for place, row in enumerate(right)
    ]
