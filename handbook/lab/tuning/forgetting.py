"""What training on one thing costs elsewhere: perplexity on Tiny Shakespeare after a short run on
instructions, over that before, with the runs of `handbook.lab.tuning.learning`.
"""

from handbook.lab.tuning.learning import trained


def forgetting_full(small: bool = True) -> float:
    return trained(small, rank=0)[1].forgetting


def forgetting_lora(small: bool = True) -> float:
    """Rank 16 on all linear layers."""
    return trained(small, rank=16)[1].forgetting
