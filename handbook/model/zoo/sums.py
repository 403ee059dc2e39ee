"""How each number of a model comes about: in words, and as arithmetic on the numbers of its configuration.

The arithmetic is a second way to what `handbook.model.count` returns; a test evaluates it and holds both
equal.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from handbook.model import count
from handbook.model.config import Latent, ModelConfig
from handbook.model.zoo.rows import Row
from handbook.model.zoo.shown import billions, flops, grouped, memory

TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Line:
    """says: the factors by name. sum: the same with plain numbers, as Python evaluates it. value: what it
    comes to."""

    title: str
    says: str
    sum: str
    value: float
    show: Callable[[float], str]

    @property
    def shown(self) -> str:
        return self.show(self.value)

    @property
    def words(self) -> str:
        return self.says.replace("*", TIMES)

    @property
    def arithmetic(self) -> str:
        """`sum` as a person reads it."""
        signs = self.sum.replace("*", TIMES).replace(" - ", f" {MINUS} ")
        return re.sub(r"\d{5,}", lambda found: grouped(int(found[0])), signs)


def sums(config: ModelConfig, row: Row) -> list[Line]:
    """The lines of one model; those about experts only where there are some."""
    lines = [_attention(config), *_networks(config), _total(config)]
    if config.mixture is not None:
        lines.append(_active(config))
    lines += _weights(config)
    lines += _cache(config, row)
    if row.decode_flops is not None and row.prefill_flops is not None:
        lines += _flops(config, row)
    return lines


def _attention(c: ModelConfig) -> Line:
    size = count.attention_size(c)
    vectors = f" + {size.vectors}" if size.vectors else ""
    query, key = c.heads * c.head_dim, c.kv_heads * c.head_dim
    if c.latent is None:
        says = "width * (queries + keys + values) + heads' output * width"
        return _count(
            "Attention of a block",
            says + ("; then biases and norms" if vectors else ""),
            f"{c.dim} * ({query} + {key} + {key}) + {query} * {c.dim}{vectors}",
            size.total,
        )
    m = c.latent
    queries = f"{c.dim} * {m.query_rank} + {m.query_rank} * {query}" if m.query_rank else f"{c.dim} * {query}"
    return _count(
        "Attention of a block",
        "queries, down and up where they have a rank; width * (latent + shared turning channels); "
        "latent * heads * (channels that do not turn + values); heads * values * width; then norms",
        f"{queries} + {c.dim} * ({m.rank} + {m.rope_dim}) + {_unfolding(c, m)} + "
        f"{c.heads} * {m.value_dim} * {c.dim}{vectors}",
        size.total,
    )


def _unfolding(c: ModelConfig, m: Latent) -> str:
    return f"{m.rank} * {c.heads} * ({c.head_dim - m.rope_dim} + {m.value_dim})"


def _networks(c: ModelConfig) -> list[Line]:
    lines = []
    dense, sparse = _layers(c)
    if dense:
        size = count.mlp_size(c, dense[0])
        matrices = 3 if c.network in ("swiglu", "geglu") else 2
        names = "gate, up and down" if matrices == 3 else "up and down"
        vectors = f" + {size.vectors}" if size.vectors else ""
        lines.append(
            _count(
                "Network of a dense block",
                f"{names}, each width * hidden width" + ("; then biases" if vectors else ""),
                f"{matrices} * {c.dim} * {c.hidden_dim}{vectors}",
                size.total,
            )
        )
    if sparse and c.mixture is not None:
        m = c.mixture
        shared = f" + 3 * {c.dim} * {m.shared_hidden_dim}" if m.shared_hidden_dim else ""
        gate = f" + {c.dim}" if m.shared_gate else ""
        router = f"{m.experts} * {c.dim}"
        extra = count.mlp_size(c, sparse[0]).vectors
        lines.append(
            _count(
                "Network of a block with experts",
                "experts * gate, up and down; then what every token passes: the router"
                + (", the shared experts" if shared else "")
                + (" and their gate" if gate else ""),
                f"{m.experts} * 3 * {c.dim} * {m.hidden_dim} + {router}{shared}{gate}"
                + (f" + {extra}" if extra else ""),
                count.mlp_size(c, sparse[0]).total,
            )
        )
    return lines


def _layers(c: ModelConfig) -> tuple[list[int], list[int]]:
    """Layers with the plain network, and with experts."""
    dense = [layer for layer in range(c.layers) if c.mixture_in(layer) is None]
    return dense, [layer for layer in range(c.layers) if c.mixture_in(layer) is not None]


def _total(c: ModelConfig) -> Line:
    dense, sparse = _layers(c)
    blocks = [f"{c.layers} * {count.attention_size(c).total}"]
    blocks += [f"{len(some)} * {count.mlp_size(c, some[0]).total}" for some in (dense, sparse) if some]
    norm = count.norm_size(c)
    norms = f"({count.NORMS_IN_BLOCK[c.layout]} * {c.layers} + 1) * {norm}"
    head = "" if c.tie_embeddings else f" + {c.vocab_size} * {c.dim + c.head_bias}"
    return _count(
        "All weights",
        "vocabulary * width, once where the embedding is the head too, else twice; layers * attention; "
        "layers * network; norms of the blocks and the last one",
        f"{c.vocab_size} * {c.dim}{head} + {' + '.join(blocks)} + {norms}",
        count.parameters(c),
    )


def _active(c: ModelConfig) -> Line:
    assert c.mixture is not None
    m = c.mixture
    idle = f"{len(_layers(c)[1])} * ({m.experts} - {m.k}) * 3 * {c.dim} * {m.hidden_dim}"
    return _count(
        "Active weights",
        "all, less layers with experts * (experts - those that a token passes) * gate, up and down. "
        "The embedding counts whole, as most model cards have it",
        f"{count.parameters(c)} - {idle}",
        count.active_parameters(c),
    )


def _weights(c: ModelConfig) -> list[Line]:
    says = "weights * bits / 8; scales and zero points of a quantization come on top"
    return [
        Line(
            f"Weights at {bits} bits",
            says,
            f"{count.parameters(c)} * {bits} / 8",
            count.weight_bytes(c, bits),
            memory,
        )
        for bits in (16, 8, 4)
    ]


def _cache(c: ModelConfig, row: Row) -> list[Line]:
    m = c.latent
    width = f"2 * {c.kv_heads} * {c.head_dim}" if m is None else f"({m.rank} + {m.rope_dim})"
    kept = "keys and values * their heads * head size" if m is None else "(latent + shared turning channels)"
    lines = [
        Line(
            "Cache of a token",
            f"layers * {kept} * 2 bytes",
            f"{c.layers} * {width} * 2",
            row.cache_per_token,
            memory,
        )
    ]
    for tokens in sorted({row.at, 8192, 32768, c.context}):
        if tokens <= c.context:
            held = Counter(min(tokens, c.window(layer) or tokens) for layer in range(c.layers))
            layers = " + ".join(f"{number} * {positions}" for positions, number in sorted(held.items()))
            lines.append(
                Line(
                    f"Cache at {tokens:,} tokens",
                    f"{kept} * 2 bytes * (layers * positions that they keep)",
                    f"{width} * 2 * ({layers})",
                    count.kv_bytes(c, tokens),
                    memory,
                )
            )
    return lines


def _flops(c: ModelConfig, row: Row) -> list[Line]:
    n, m = row.at, c.latent
    unfold = 0 if m is None else m.rank * c.heads * (c.head_dim - m.rope_dim + m.value_dim)
    networks = sum(count.mlp_size(c, layer).active for layer in range(c.layers))
    products = c.layers * (count.attention_size(c).active - unfold) + networks
    keys = sum(count.held_positions(n, c.window(layer)) + 1 for layer in range(c.layers))
    if m is None:
        each, plain = f"2 * {c.heads} * {2 * c.head_dim}", ""
        masked = f"{each} * {c.layers} * {n}"
    else:  # a single query absorbs the unfolding; several unfold every latent
        each, plain = f"2 * {c.heads} * (2 * {m.rank} + {m.rope_dim})", f" + 2 * {c.layers} * {unfold}"
        pair = f"2 * {c.heads} * ({c.head_dim} + {m.value_dim})" if n > 1 else each
        masked = f"{pair} * {c.layers} * {n}{plain}"
    pairs = "2 * heads * 2 * head size * keys, summed over layers"
    if m is not None:
        pairs = (
            "2 * heads * (2 * latent + shared turning channels) * keys, summed over layers; "
            "the unfolding, absorbed, costs itself once"
        )
    unfolded = "" if m is None else "; every latent is unfolded once"
    return [
        Line(
            f"Decode after {n:,} tokens",
            "2 * weights of the products that a token passes, head included; " + pairs,
            f"2 * ({products} + {c.vocab_size} * {c.dim}) + {each} * {keys}{plain}",
            float(row.decode_flops or 0),
            flops,
        ),
        Line(
            f"Prefill of {n:,} tokens, for each",
            "the same products; all queries * all keys, masked ones included; the head for the last token"
            + unfolded,
            f"2 * {products} + {masked} + 2 * {c.vocab_size} * {c.dim} / {n}",
            float(row.prefill_flops or 0),
            flops,
        ),
    ]


def _count(title: str, says: str, sum: str, value: int) -> Line:
    return Line(title, says, sum, value, billions)
