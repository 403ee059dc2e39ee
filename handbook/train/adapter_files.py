"""Saving an adapter as peft does: a folder with `adapter_config.json` and `adapter_model.safetensors`.

`handbook.model.adapters.read_adapter` reads it; so do peft, transformers and vLLM.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from handbook.errors import AdapterError
from handbook.model.adapter_names import Place, places, usual_family
from handbook.model.adapter_settings import FILE, LoRASettings, written_settings
from handbook.model.adapters import WEIGHTS, Adapter, Factors, config_of
from handbook.train.whole import written_whole


def write_adapter(folder: Path | str, adapter: Adapter, model: nn.Module, family: str | None = None) -> None:
    """Write `adapter` with transformers' names of `model`'s layers, each file whole or not at all.

    family: one of `families.FAMILIES`; needed for Phi-3 alone, whose layers are ours in other pieces. Layers
    that it keeps in one are written as one adapter of their ranks together, unless they share their A.

    Raises AdapterError for layers that have no name there, DiskFull where it can't be written.
    """
    folder, config = Path(folder).expanduser(), config_of(model)
    known = places(model, config, family or usual_family(config))
    left, joined = dict(adapter.factors), dict[str, Factors]()
    for theirs, place in known.items():
        found = [left.pop(path, None) for path, _ in place.parts]
        if any(found):
            joined[theirs] = _together(theirs, found, place)
    if left or not joined:
        what = f"no name in transformers for {', '.join(sorted(left)[:5])}" if left else "no layer"
        raise AdapterError(f"The adapter {adapter.name} has {what}.", "Train other layers.")
    tensors: dict[str, Tensor] = {}
    for theirs, f in joined.items():
        stem = f"base_model.model.{theirs}"
        tensors |= {f"{stem}.lora_A.weight": f.a, f"{stem}.lora_B.weight": f.b}
        tensors |= {} if f.magnitude is None else {f"{stem}.lora_magnitude_vector": f.magnitude}
    settings = _settings(adapter, joined)
    owned = {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()}
    with written_whole(folder / WEIGHTS) as file:
        file.write(save(owned, {"format": "pt"}))
    with written_whole(folder / FILE) as file:
        file.write(written_settings(settings, _targets(joined, known), adapter.dropout).encode())


def _settings(adapter: Adapter, joined: Mapping[str, Factors]) -> LoRASettings:
    """The usual rank and alpha, and the exceptions by name."""
    ranks = {name: len(f.a) for name, f in joined.items()}
    roots = {name: rank**0.5 if adapter.rslora else rank for name, rank in ranks.items()}
    alphas = {name: round(f.scale * roots[name], 6) for name, f in joined.items()}
    r, alpha = Counter(ranks.values()).most_common(1)[0][0], Counter(alphas.values()).most_common(1)[0][0]
    dora = {f.magnitude is not None for f in joined.values()}
    if len(dora) > 1:
        raise AdapterError("Some layers of the adapter have magnitudes, others don't.", "Train all alike.")
    return LoRASettings(
        r,
        alpha,
        adapter.rslora,
        dora.pop(),
        adapter.base,
        {name: rank for name, rank in ranks.items() if rank != r},
        {name: a for name, a in alphas.items() if a != alpha},
    )


def _targets(joined: Mapping[str, Factors], known: Mapping[str, Place]) -> list[str]:
    """Last names where these say exactly which layers, whole ones elsewhere."""

    def last(name: str) -> str:
        return name.rpartition(".")[2]

    partly = {last(name) for name in known if name not in joined}
    return sorted({name if last(name) in partly else last(name) for name in joined})


def _together(theirs: str, found: list[Factors | None], place: Place) -> Factors:
    """Several of our layers as one of theirs: B's below each other, each with columns of its own, which read
    its own A. Those that share A and scale stay of their rank."""
    there = [f for f in found if f is not None]
    first = there[0]
    if len(found) == 1:
        return first
    dora = first.magnitude is not None
    if dora and len(there) < len(found):
        raise AdapterError(f"{theirs} needs magnitudes of all its parts.", "Train all or none of them.")
    long = torch.cat([f.magnitude for f in there if f.magnitude is not None]) if dora else None
    same = all(
        f.scale == first.scale and f.a.shape == first.a.shape and bool((f.a == first.a).all()) for f in there
    )
    if same and len(there) == len(found):
        return Factors(first.a, torch.cat([f.b for f in there]), first.scale, long)
    b = first.b.new_zeros(place.rows, sum(len(f.a) for f in there))
    row = column = 0
    for f, (_, rows) in zip(found, place.parts, strict=True):
        if f is not None:
            b[row : row + rows, column : column + len(f.a)] = f.b * (f.scale / first.scale)
            column += len(f.a)
        row += rows
    return Factors(torch.cat([f.a for f in there]), b, first.scale, long)
