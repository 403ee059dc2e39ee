"""From a name, a path or a hub id to a model that is ready to run.

    name of the catalogue  smollm2-135m-instruct      the data folder or an installed weight package
    path                   a .gguf file, a .safetensors file, or a folder with config.json
    hub id                 HuggingFaceTB/SmolLM2-360M-Instruct

Everything is checked against the file's header before memory is taken for it, and nothing that can hold code
is opened: pickles (.bin, .pt, .pth) are refused.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from handbook.errors import ModelFileError, ModelUnavailable
from handbook.model.config import ModelConfig
from handbook.model.families import family_of
from handbook.model.rope import interleaved_to_half_split
from handbook.model.template import ChatTemplate
from handbook.model.tokenizer import Tokenizer, read_json
from handbook.model.transformer import Transformer
from handbook.model.weights import names
from handbook.model.weights.dequantize import dequantize
from handbook.model.weights.gguf import GgufTensor, read_gguf
from handbook.model.weights.safetensors import INDEX, SINGLE, SafetensorsWeights
from handbook.model.weights.unfuse import unfuse, without_blocks
from handbook.settings import Settings

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
REFETCH = "Fetch the model again, or choose one of an architecture that is supported."
HUB_FILES = ["*.json", "*.safetensors", "*.jinja"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model with everything that belongs to it. template is None where its files have none."""

    model: Transformer
    tokenizer: Tokenizer
    template: ChatTemplate | None
    config: ModelConfig
    name: str


def load_model(
    name_or_path: str | Path,
    settings: Settings | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Loaded:
    """Find a decoder and load it.

    Raises ModelUnavailable when it isn't here and can't be brought, ModelFileError when its files can't be
    used.
    """
    settings = settings or Settings()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    path = locate(str(name_or_path), settings)
    refuse_pickle(path)
    load = _from_gguf if path.suffix == ".gguf" else _from_folder
    return load(path, Path(name_or_path).name, dtype, device)


def locate(name: str, settings: Settings) -> Path:
    """The file or folder of a model: a catalogue name, an existing path, or a hub id (which downloads)."""
    from handbook.model.weights import catalog

    if name in catalog.CATALOG:
        found = catalog.find(name, settings)
        if found is None:
            raise ModelUnavailable(
                f"The model {name} is not on this machine.", f"Fetch it: handbook models get {name}."
            )
        return found
    path = Path(name).expanduser()
    if path.exists():
        return path
    if path.suffix in (".gguf", ".safetensors", *PICKLES) or name[:1] in ("/", ".", "~"):
        raise ModelFileError(f"There is no model file at {path}.", "Correct the path.")
    if name.count("/") != 1:
        known = ", ".join(catalog.CATALOG)
        raise ModelUnavailable(
            f"{name!r} is no catalogue name ({known}), no path that exists and no hub id (owner/name).",
            "Choose one of those.",
        )
    return _from_hub(name)


def refuse_pickle(path: Path) -> None:
    """Raises ModelFileError for a file, or a folder with nothing but files, that run code when they are
    opened."""
    pickles = [path] if path.suffix in PICKLES else []
    if path.is_dir() and not any((path / name).is_file() for name in (INDEX, SINGLE)):
        pickles = [file for file in sorted(path.iterdir()) if file.suffix in PICKLES]
    if pickles:
        raise ModelFileError(
            f"{pickles[0]} is a pickle: opening it would run whatever code it holds, so it is not opened.",
            "Use the model's .safetensors or .gguf file.",
        )


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(
            f"The model {name} is not on this machine and the hub did not give it: {first_line}",
            "Check the id and the network, or name a model file on this machine.",
        ) from error


def _from_gguf(path: Path, name: str, dtype: torch.dtype, device: str) -> Loaded:
    file = read_gguf(path)
    config = ModelConfig.from_gguf(file.metadata, file.tensors)
    interleaved = file.metadata["general.architecture"] == "llama"

    def tensor(theirs: str) -> Tensor:
        found: GgufTensor = file.tensors[theirs]
        values = torch.from_numpy(dequantize(found.data, found.type, found.shape))
        heads = {"attn_q": config.heads, "attn_k": config.kv_heads}.get(theirs.split(".")[-2])
        return interleaved_to_half_split(values, heads) if interleaved and heads else values

    shapes = {theirs: found.shape for theirs, found in file.tensors.items()}
    model = build(config, names.GGUF, shapes, tensor, dtype, device)
    beside = path.parent / "tokenizer.json"
    tokenizer = Tokenizer.from_folder(path.parent) if beside.is_file() else Tokenizer.from_gguf(file.metadata)
    source = file.metadata.get("tokenizer.chat_template")
    return Loaded(model, tokenizer, _template(source, tokenizer), config, name)


def _from_folder(path: Path, name: str, dtype: torch.dtype, device: str) -> Loaded:
    folder = path if path.is_dir() else path.parent
    files = sorted(folder.glob("*.gguf"))
    if len(files) == 1 and not (folder / "config.json").is_file():
        return _from_gguf(files[0], name, dtype, device)
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise ModelFileError(
            f"{folder} has no config.json.", "A model needs it beside its weights: fetch it."
        )
    model = from_hf(read_json(config_file), path, dtype, device)
    tokenizer = Tokenizer.from_folder(folder)
    return Loaded(model, tokenizer, _template(_template_source(folder), tokenizer), model.config, name)


def from_hf(
    raw: Mapping[str, Any], path: Path, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Transformer:
    """The decoder of a `config.json` with the safetensors weights at `path`, a file or a folder. Raises as
    `ModelConfig.from_hf`, `SafetensorsWeights` and `build`."""
    config, family, weights = ModelConfig.from_hf(raw), family_of(raw), SafetensorsWeights(path)
    shapes, tensor = unfuse(weights.shapes, weights.tensor, family.split, config)
    shapes = without_blocks(shapes, config.layers, raw.get(family.ahead) or 0)
    return build(config, family.table, shapes, tensor, dtype, device)


def build(
    config: ModelConfig,
    table: names.NameTable,
    shapes: Mapping[str, tuple[int, ...]],
    tensor: Callable[[str], Tensor],
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Transformer:
    """A Transformer with the weights of a file: `shapes` is what the file announces, `tensor` reads one of
    them.

    Raises ModelFileError that lists missing, unknown and misshapen tensors, and ModelUnavailable where memory
    is too small, both before any is read.
    """
    if config.layers > len(shapes):  # before a damaged number makes a million blocks
        raise ModelFileError(
            f"The configuration announces {config.layers} layers, the file has {len(shapes)} tensors.",
            REFETCH,
        )
    with torch.device("meta"):
        model = Transformer(config)
    wanted = {ours: tuple(value.shape) for ours, value in model.state_dict().items()}
    _check(wanted, {theirs: table.ours(theirs) for theirs in shapes}, shapes)
    _check_room(sum(map(math.prod, wanted.values())) * dtype.itemsize, device)
    kinds = dict.fromkeys(wanted, dtype) | {ours: torch.float32 for ours, _ in model.named_buffers()}
    state = {ours: tensor(str(table.theirs(ours))).to(device, kinds[ours]) for ours in wanted}
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def _check(
    wanted: Mapping[str, tuple[int, ...]],
    ours: Mapping[str, str | None],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    found = {name: shapes[theirs] for theirs, name in ours.items() if name is not None}
    faults = [f"{name} is missing" for name in wanted if name not in found]
    faults += [
        f"{name} has shape {list(found[name])}, {list(shape)} was expected"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    for theirs, name in ours.items():
        spare = theirs.endswith("rotary_emb.inv_freq") or name == "head.weight"  # computed; tied
        if name not in wanted and not spare:
            faults.append(f"{theirs} has no place in this architecture")
    if faults:
        more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""
        raise ModelFileError(
            f"The weights don't fit the configuration: {'; '.join(faults[:5])}{more}.",
            REFETCH,
        )


def _check_room(needed: int, device: str) -> None:
    free = psutil.virtual_memory().available
    if device == "cpu" and needed > free:
        raise ModelUnavailable(
            f"The model needs {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free.",
            "Choose a smaller model, or close other programs.",
        )


def _template_source(folder: Path) -> object:
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    source = read_json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(source, list):  # several, by name
        by_name = {entry.get("name"): entry.get("template") for entry in source if isinstance(entry, dict)}
        return by_name.get("default")
    return source


def _template(source: object, tokenizer: Tokenizer) -> ChatTemplate | None:
    if source is None:
        return None
    if not isinstance(source, str):
        raise ModelFileError(f"The chat template should be text, got {source!r}.", "Fetch the model again.")
    ids = {"bos_token": tokenizer.bos, "eos_token": tokenizer.eos}
    return ChatTemplate(source, {key: tokenizer.token_text(i) for key, i in ids.items() if i is not None})
