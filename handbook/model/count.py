"""What a decoder costs, computed from its configuration: weights, active weights, FLOPs, bytes.

Arithmetic on a few numbers, so it answers for models that no machine here could hold. `counting` measures the
same on the modules themselves, and tests hold the two equal.

FLOPs are those of matrix products, a multiplication and an addition as two: each weight matrix does two for
every entry and token (Kaplan et al. 2020, arXiv:2001.08361, section 2.1), attention does two for every
channel of every key and value that is read. Left out: norms, softmax, activations, rotation.

Book: architectures/transformer-deep-dive
"""

from dataclasses import dataclass

from handbook.model.config import ModelConfig


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
    """All projections of one block's attention, with the norms inside it."""
    c = config
    if c.latent is not None:
        heads, m = c.heads * c.head_dim, c.latent
        queries = m.query_rank * (c.dim + heads) if m.query_rank else c.dim * heads
        matrices = queries + c.dim * (m.rank + m.rope_dim) + _unfolding(c) + c.heads * m.value_dim * c.dim
        return Size(matrices, m.query_rank + m.rank, matrices)
    query, key = c.heads * c.head_dim, c.kv_heads * c.head_dim
    matrices = c.dim * (query + 2 * key) + query * c.dim
    biases = (query + 2 * key) * c.qkv_bias + c.dim * c.out_bias
    norms = (2 * c.head_dim * c.head_norm + (query + key) * c.width_norm) * VECTORS[c.norm]
    return Size(matrices, biases + norms, matrices)


def mlp_size(config: ModelConfig, layer: int) -> Size:
    """The network of block `layer`, or the mixture of experts in its place."""
    c, m = config, config.mixture_in(layer)
    if m is None:
        inward = 2 if c.network in ("swiglu", "geglu") else 1  # gate and up, or up alone
        matrices = (inward + 1) * c.dim * c.hidden_dim
        return Size(matrices, (inward * c.hidden_dim + c.dim) * c.mlp_bias, matrices)
    always = c.dim * (m.experts + m.shared_gate + 3 * m.shared_hidden_dim)
    expert = 3 * c.dim * m.hidden_dim
    return Size(always + m.experts * expert, 0, always + m.k * expert)


def norm_size(config: ModelConfig) -> int:
    """Weights of one norm over the residual stream."""
    return config.dim * VECTORS[config.norm]


VECTORS = {"rms": 1, "rms+1": 1, "layer": 2}  # a LayerNorm has a bias too


def parameters(config: ModelConfig) -> int:
    """All weights; a tied embedding counts once."""
    c = config
    head = 0 if c.tie_embeddings else c.vocab_size * (c.dim + c.head_bias)
    norms = norm_size(c) * (c.layers * NORMS_IN_BLOCK[c.layout] + 1)
    blocks = sum(attention_size(c).total + mlp_size(c, layer).total for layer in range(c.layers))
    return c.vocab_size * c.dim + head + norms + blocks


NORMS_IN_BLOCK = {"pre": 2, "sandwich": 4, "parallel": 1}


def active_parameters(config: ModelConfig) -> int:
    """Weights that one token meets: all but the experts that it doesn't pass. The embedding counts whole, as
    model cards have it."""
    networks = (mlp_size(config, layer) for layer in range(config.layers))
    return parameters(config) - sum(size.matrices - size.active for size in networks)


def attention_flops(config: ModelConfig, queries: int, keys: int) -> int:
    """Scores and weighted values of one block for `queries` x `keys` pairs, masked ones included: a kernel
    that skips what a causal mask hides does about half of it in prefill.

    Latent attention unfolds every key first, or for a single query absorbs the unfolding and attends to
    latents.
    """
    c = config
    if c.latent is None:
        return 2 * queries * keys * c.heads * 2 * c.head_dim
    if queries == 1:
        return 2 * keys * c.heads * (2 * c.latent.rank + c.latent.rope_dim) + 2 * _unfolding(c)
    return 2 * queries * keys * c.heads * (c.head_dim + c.latent.value_dim) + 2 * keys * _unfolding(c)


def _unfolding(config: ModelConfig) -> int:
    """Entries of the matrix that makes all heads' keys and values of a latent; none without latents."""
    c, m = config, config.latent
    return 0 if m is None else m.rank * c.heads * (c.head_dim - m.rope_dim + m.value_dim)


def forward_flops(config: ModelConfig, tokens: int, cached: int = 0, logits: int | None = None) -> int:
    """One call with `tokens` new tokens after `cached` ones, one sequence; logits for the last `logits` of
    them, all by default."""
    c = config
    logits = tokens if logits is None else logits
    total = 2 * logits * c.vocab_size * c.dim
    for layer in range(c.layers):
        total += 2 * tokens * (attention_size(c).active - _unfolding(c) + mlp_size(c, layer).active)
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


def held_positions(tokens: int, window: int = 0, sinks: int = 0) -> int:
    """Positions that a layer has to keep of `tokens`: all of them, or a window's and the sinks."""
    return min(tokens, window + sinks) if window else tokens


def kv_bytes(
    config: ModelConfig, tokens: int, batch: int = 1, bytes_per_value: int = 2, sinks: int = 0
) -> int:
    """Bytes of keys and values, or latents, that `tokens` positions of `batch` sequences leave behind, where
    each layer with a window keeps no more than that, and `sinks` positions from the start."""
    c = config
    held = sum(held_positions(tokens, c.window(layer), sinks) for layer in range(c.layers))
    width = 2 * c.kv_heads * c.head_dim if c.latent is None else c.latent.rank + c.latent.rope_dim
    return width * held * batch * bytes_per_value
