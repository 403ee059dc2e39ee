"""A reward model: a decoder with one number as its head, trained on pairs by Bradley and Terry's model.

Bradley and Terry 1952 say how likely one side is preferred; Ouyang et al. 2022 (arXiv:2203.02155), equation
1, make a loss of it.

Axes: B pairs, D documents packed in one row.

Book: model-training/preference-alignment
"""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from handbook.errors import CheckpointError
from handbook.model.adapters import read_adapter
from handbook.model.transformer import Transformer
from handbook.train.adapter_files import write_adapter
from handbook.train.forward import Row, hidden
from handbook.train.lora import adapter_of, apply_adapter, lora_layers
from handbook.train.whole import written_whole

FORMAT = "handbook.reward/1"
SETTINGS, WEIGHTS = "reward.json", "reward.safetensors"


def reward_loss(
    chosen: Tensor, rejected: Tensor, margin: Tensor | None = None, centring: float = 0.0
) -> Tensor:
    """-log sigmoid(chosen - rejected - margin) [B], of rewards [B].

    margin [B]: how much better people found the chosen answer (Touvron et al. 2023, arXiv:2307.09288,
    equation 2). centring: weight of (chosen + rejected)^2, which keeps rewards around zero; the loss itself
    only knows differences (Eisenstein et al. 2023, arXiv:2312.09244, equation 2).
    """
    apart = chosen - rejected if margin is None else chosen - rejected - margin
    return -F.logsigmoid(apart) + centring * (chosen + rejected) ** 2


class RewardModel(nn.Module):
    """A decoder whose head is one number: how good the document is, read at its last token.

    The head starts at zero, so that all documents are equally good before the first step.
    """

    def __init__(self, backbone: Transformer) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.config.dim, 1, bias=False, device=backbone.device)
        nn.init.zeros_(self.head.weight)

    def forward(self, packed: Row, checkpointing: bool | None = None) -> Tensor:
        """Rewards of a packed row's documents, [D] in fp32."""
        ends = torch.tensor(packed.bounds[1:], device=self.head.weight.device) - 1
        last = hidden(self.backbone, packed, checkpointing).index_select(0, ends)
        return self.head(last.to(self.head.weight.dtype))[:, 0].float()  # type: ignore[no-any-return]


def save_reward(folder: Path, model: RewardModel, base: str = "") -> None:
    """Write what a reward model adds to its decoder: the head, and beside it the decoder's adapter in peft's
    format; or, where it has none, the weights of the decoder that train. base: what the decoder is called.

    Raises DiskFull.
    """
    tensors = {"head.weight": model.head.weight}
    if adapted := bool(lora_layers(model.backbone)):
        write_adapter(folder, adapter_of(model.backbone, base=base), model.backbone)
    else:
        tensors |= {f"backbone.{n}": p for n, p in model.backbone.named_parameters() if p.requires_grad}
    owned = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with written_whole(folder / WEIGHTS) as file:
        file.write(save(owned, {"format": "pt"}))
    with written_whole(folder / SETTINGS) as file:
        file.write(json.dumps({"format": FORMAT, "base": base, "adapter": adapted}, indent=2).encode())


def load_reward(folder: Path, backbone: Transformer) -> RewardModel:
    """What `save_reward` wrote, on the decoder that it was made of; its weights are changed where the folder
    has others. Raises CheckpointError where it can't be read or doesn't fit, and as `read_adapter`."""
    remedy = "Name the folder of a reward model, and the decoder that it was made of."
    try:
        settings: Any = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        tensors = load((folder / WEIGHTS).read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"The reward model {folder} can't be read: {error}.", remedy) from error
    found = settings.get("format") if isinstance(settings, dict) else settings
    if found != FORMAT or not isinstance(settings.get("adapter"), bool):
        raise CheckpointError(f"{folder / SETTINGS} should be a {FORMAT}, and is {found!r}.", remedy)
    model = RewardModel(backbone)
    own = model.state_dict()
    faults = [
        f"{name} {list(tensor.shape)} has no place"
        + (f", {list(own[name].shape)} does" if name in own else "")
        for name, tensor in tensors.items()
        if name not in own or own[name].shape != tensor.shape
    ]
    if faults or "head.weight" not in tensors:
        shown = "; ".join(faults[:5]) or "head.weight is missing"
        raise CheckpointError(f"The reward model {folder} doesn't fit this decoder: {shown}.", remedy)
    if settings["adapter"]:
        apply_adapter(backbone, read_adapter(folder, backbone))
    model.load_state_dict(tensors, strict=False)
    return model
