"""Which models the packed executors compute: decoders of Llama's form.

Book: inference-ops/llm-serving-optimization
"""

from handbook.model.config import ModelConfig


def unfit(config: ModelConfig) -> list[str]:
    """What a model has that the kernels don't compute; empty where they compute it."""
    c = config
    scaling = None if c.rope_scaling is None else c.rope_scaling.kind
    odd = {
        f"norm {c.norm}": c.norm != "rms",
        f"network {c.network}": c.network != "swiglu",
        f"layout {c.layout}": c.layout != "pre",
        "a mixture of experts": c.mixture is not None,
        "latent attention": c.latent is not None,
        "windows": any(c.windows),
        "capped scores": c.attention_softcap is not None or c.logit_softcap is not None,
        "clipped queries": c.qkv_clip is not None,
        "normalised heads": c.head_norm or c.width_norm,
        "partial rotation": c.rotary_dim not in (None, c.head_dim),
        f"{scaling} positions": scaling in ("dynamic", "longrope"),
        "scaled embeddings": c.scale_embedding,
        "widths that aren't multiples of 16": bool(c.dim % 16 or c.hidden_dim % 16 or c.head_dim % 16),
    }
    return [name for name, has in odd.items() if has]
