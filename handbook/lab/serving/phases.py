"""Two phases by numbers: arithmetic for each byte that a step reads, what a batch makes of it, and what
devices say to each other.
"""

from typing import NamedTuple

from handbook.lab.transformer.subjects import SMOLLM2, published
from handbook.model import count
from handbook.model.config import ModelConfig

CONTEXT = 256


class Device(NamedTuple):
    """FLOPs and bytes per second, at best."""

    flops: float
    bandwidth: float

    @property
    def ridge(self) -> float:
        """FLOPs per byte above which arithmetic, not memory, sets the time."""
        return self.flops / self.bandwidth

    def seconds(self, flops: float, moved: float) -> float:
        """The roof: whichever takes longer, if both overlap."""
        return max(flops / self.flops, moved / self.bandwidth)


DEVICES = {  # dense bf16 and memory, from the makers' data sheets; the laptop's is a round example
    "H100": Device(989e12, 3.35e12),
    "A100": Device(312e12, 2.04e12),
    "L4": Device(121e12, 0.3e12),
    "a laptop's processor": Device(0.5e12, 0.05e12),
}


def decode_bytes(config: ModelConfig, sequences: int, context: int, bits: float = 16) -> int:
    """What a decode step reads: all weights once, and every sequence's keys and values in 16 bits."""
    return count.weight_bytes(config, bits) + count.kv_bytes(config, context, sequences)


def decode_work(config: ModelConfig, sequences: int, context: int) -> int:
    """FLOPs of a decode step, one token for each sequence."""
    return sequences * count.decode_flops(config, context)


def intensity(config: ModelConfig, sequences: int, context: int, bits: float = 16) -> float:
    """FLOPs for each byte that a decode step reads."""
    return decode_work(config, sequences, context) / decode_bytes(config, sequences, context, bits)


def prefill_intensity(config: ModelConfig, tokens: int, bits: float = 16) -> float:
    """FLOPs for each byte that reading a prompt of `tokens` takes: weights read once, keys and values
    written."""
    moved = count.weight_bytes(config, bits) + count.kv_bytes(config, tokens)
    return tokens * count.prefill_flops(config, tokens) / moved


def intensity_1(small: bool = True) -> float:
    return intensity(SMOLLM2, 1, CONTEXT)


def intensity_32(small: bool = True) -> float:
    return intensity(SMOLLM2, 32, CONTEXT)


def intensity_prefill(small: bool = True) -> float:
    return prefill_intensity(SMOLLM2, CONTEXT)


def intensity_limit(small: bool = True) -> float:
    """What the intensity goes to with ever more sequences: that of attention alone and the weights' work,
    over keys and values."""
    return count.decode_flops(SMOLLM2, CONTEXT) / count.kv_bytes(SMOLLM2, CONTEXT)


def reduced_bytes(config: ModelConfig, bytes_per_value: int = 2) -> int:
    """Bytes per token that tensor parallelism sums over all devices: the residual stream's width after
    attention and after the network, in every layer (Shoeybi et al. 2019, arXiv:1909.08053, section 3)."""
    return 2 * config.layers * config.dim * bytes_per_value


def sent_bytes(config: ModelConfig, devices: int, bytes_per_value: int = 2) -> float:
    """Bytes per token that each of `devices` sends in a ring: 2 (n - 1) / n of what is summed."""
    return reduced_bytes(config, bytes_per_value) * 2 * (devices - 1) / devices


def tensor_parallel_bytes(small: bool = True) -> float:
    """The payload, per token; it does not hang on the number of devices."""
    return reduced_bytes(published("llama-3.1-70b"))


def tensor_parallel_sent_bytes(small: bool = True) -> float:
    return sent_bytes(published("llama-3.1-70b"), 8)
