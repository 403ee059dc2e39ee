"""One parameter, three names: ours, the hub checkpoints' and GGUF's, in one table that reads both ways.

`{n}` stands for the number of a block. What is not in the table has no place in the model.
"""

import re

# ours, in hub checkpoints (transformers), in GGUF files (llama.cpp)
DECODER = (
    ("embed", "model.embed_tokens", "token_embd"),
    ("blocks.{n}.attention_norm", "model.layers.{n}.input_layernorm", "blk.{n}.attn_norm"),
    ("blocks.{n}.attention.query", "model.layers.{n}.self_attn.q_proj", "blk.{n}.attn_q"),
    ("blocks.{n}.attention.key", "model.layers.{n}.self_attn.k_proj", "blk.{n}.attn_k"),
    ("blocks.{n}.attention.value", "model.layers.{n}.self_attn.v_proj", "blk.{n}.attn_v"),
    ("blocks.{n}.attention.out", "model.layers.{n}.self_attn.o_proj", "blk.{n}.attn_output"),
    ("blocks.{n}.attention.query_norm", "model.layers.{n}.self_attn.q_norm", "blk.{n}.attn_q_norm"),
    ("blocks.{n}.attention.key_norm", "model.layers.{n}.self_attn.k_norm", "blk.{n}.attn_k_norm"),
    ("blocks.{n}.mlp_norm", "model.layers.{n}.post_attention_layernorm", "blk.{n}.ffn_norm"),
    ("blocks.{n}.mlp.gate", "model.layers.{n}.mlp.gate_proj", "blk.{n}.ffn_gate"),
    ("blocks.{n}.mlp.up", "model.layers.{n}.mlp.up_proj", "blk.{n}.ffn_up"),
    ("blocks.{n}.mlp.down", "model.layers.{n}.mlp.down_proj", "blk.{n}.ffn_down"),
    ("norm", "model.norm", "output_norm"),
    ("head", "lm_head", "output"),
)

# where a mixture of experts replaces the network, its experts stacked in one tensor; most families' names
EXPERTS = (
    ("blocks.{n}.mlp.router", "model.layers.{n}.mlp.gate"),
    ("blocks.{n}.mlp.experts.gate", "model.layers.{n}.mlp.experts.gate_proj.weight"),
    ("blocks.{n}.mlp.experts.up", "model.layers.{n}.mlp.experts.up_proj.weight"),
    ("blocks.{n}.mlp.experts.down", "model.layers.{n}.mlp.experts.down_proj.weight"),
)

KINDS = (".weight", ".bias")
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


class NameTable:
    """A reversible table of names. `.weight` and `.bias` are left off, but for a pair of which only one side
    has it: that pair is of whole names. Raises ValueError where a name stands twice on one side."""

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        whole = [pair for pair in pairs if any(name.endswith(KINDS) for name in pair)]
        spelled = [(f"{a}{kind}", f"{b}{kind}") for a, b in pairs if (a, b) not in whole for kind in KINDS]
        self._theirs = dict(spelled) | dict(whole)
        self._ours = {theirs: ours for ours, theirs in self._theirs.items()}
        if not len(pairs) == len({ours for ours, _ in pairs}) == len({theirs for _, theirs in pairs}):
            raise ValueError("a name stands twice in the table")

    def theirs(self, ours: str) -> str | None:
        """`blocks.3.mlp.up.weight` -> `model.layers.3.mlp.up_proj.weight`; None for a name not in the
        table."""
        return _rename(ours, self._theirs)

    def ours(self, theirs: str) -> str | None:
        """The way back."""
        return _rename(theirs, self._ours)


def _rename(name: str, table: dict[str, str]) -> str | None:
    number = _NUMBER.search(name)
    to = table.get(_NUMBER.sub("{n}", name, count=1))
    return None if to is None else to.replace("{n}", number.group() if number else "")


HF = NameTable(tuple((ours, hub) for ours, hub, _ in DECODER))


def hub_table(rows: tuple[tuple[str, str], ...]) -> NameTable:
    """The hub's names with a family's own rows in place of Llama's."""
    return NameTable(tuple(({ours: hub for ours, hub, _ in DECODER} | dict(rows)).items()))


GGUF = NameTable(tuple((ours, gguf) for ours, _, gguf in DECODER))
