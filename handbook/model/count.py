"""What a decoder costs, computed from its configuration: weights, active weights, FLOPs, bytes.

Arithmetic on a few numbers, so it answers for models that no machine here could hold. `counting` measures the
same on the modules themselves, and tests hold the two equal.

FLOPs are those of matrix products, a multiplication and an addition as two: each weight matrix does two for
every entry and token (Kaplan et al. 2020, arXiv:2001.08361, section 2.1), attention does two for every
channel of every key and value that is read. Left out: norms, softmax, activations, rotation.

Book: architectures/transformer-deep-dive
"""

from dataclasses import dataclass

from handbook.model.cache import cache_bytes
from handbook.model.config import ModelConfig
from handbook.model.variants import held_positions


@dataclass(frozen=True, slots=True)
class Size:
    """Weights of one part.

    matrices: entries that tokens are multiplied with. vectors: norms and biases, which cost no product.
    active: entries of the matrices that one token meets.
    """

    matrices: int
    vectors: int
    active: int

    @property
    def total(self) -> int:
        return self.matrices + self.vectors


def attention_size(config: ModelConfig) -> Size:
    """Query, key, value and output projections of one block, with its head norms."""
    c = config
    query, shared = c.heads * c.head_dim, 2 * c.kv_heads * c.head_dim
    matrices = c.dim * (query + shared) + query * c.dim
    biases = (query + shared) * c.qkv_bias + c.dim * c.out_bias
    return Size(matrices, biases + 2 * c.head_dim * c.head_norm, matrices)


def mlp_size(config: ModelConfig, layer: int) -> Size:
    """The network of block `layer`: gate, up and down."""
    c = config
    matrices = 3 * c.dim * c.hidden_dim
    return Size(matrices, (2 * c.hidden_dim + c.dim) * c.mlp_bias, matrices)


def parameters(config: ModelConfig) -> int:
    """All weights; a tied embedding counts once."""
    c = config
    ends = c.vocab_size * c.dim * (1 if c.tie_embeddings else 2)
    norms = c.dim * (2 * c.layers + 1)
    blocks = sum(attention_size(c).total + mlp_size(c, layer).total for layer in range(c.layers))
    return ends + norms + blocks


def active_parameters(config: ModelConfig) -> int:
    """Weights that one token meets: all but the experts that it doesn't pass. The embedding counts whole, as
    model cards have it."""
    networks = (mlp_size(config, layer) for layer in range(config.layers))
    return parameters(config) - sum(size.matrices - size.active for size in networks)


def attention_flops(config: ModelConfig, queries: int, keys: int) -> int:
    """Scores and weighted values of one block for `queries` x `keys` pairs, masked ones included: a kernel
    that skips what a causal mask hides does about half of it in prefill."""
    return 2 * queries * keys * config.heads * 2 * config.head_dim


def forward_flops(config: ModelConfig, tokens: int, cached: int = 0, logits: int | None = None) -> int:
    """One call with `tokens` new tokens after `cached` ones, one sequence; logits for the last `logits` of
    them, all by default."""
    c = config
    logits = tokens if logits is None else logits
    total = 2 * logits * c.vocab_size * c.dim
    for layer in range(c.layers):
        total += 2 * tokens * (attention_size(c).active + mlp_size(c, layer).active)
        total += attention_flops(c, tokens, held_positions(cached, c.window(layer)) + tokens)
    return total


def prefill_flops(config: ModelConfig, tokens: int) -> float:
    """Per token of a prompt of `tokens`, of which only the last one needs logits."""
    return forward_flops(config, tokens, logits=1) / tokens


def decode_flops(config: ModelConfig, context: int) -> int:
    """One new token after `context` cached ones."""
    return forward_flops(config, 1, context)


def weight_bytes(config: ModelConfig, bits: float = 16) -> int:
    """Bytes of all weights at `bits` each, rounded up."""
    return -int(-parameters(config) * bits // 8)


def kv_bytes(
    config: ModelConfig, tokens: int, batch: int = 1, bytes_per_value: int = 2, sinks: int = 0
) -> int:
    """Bytes of keys and values that `tokens` positions of `batch` sequences leave behind, where each layer
    with a window keeps no more than that, and `sinks` positions from the start."""
    c = config
    held = sum(held_positions(tokens, c.window(layer), sinks) for layer in range(c.layers))
    return cache_bytes(1, c.kv_heads, c.head_dim, held, batch, bytes_per_value)
