"""Reading safetensors: one file, or several with an index. Nothing in such a file can run code."""

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
from safetensors import safe_open
from torch import Tensor

from handbook.errors import ModelFileError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
REMEDY = "The download was cut off or the file is damaged: remove it and fetch it again."


class SafetensorsWeights:
    """The tensors of a checkpoint. Headers are read and checked at once, a tensor when it is asked for.

    Args:
        path: a `.safetensors` file, or a folder with one or with an index of several.

    Raises ModelFileError for a file that is missing, cut off or not what its index says.
    """

    def __init__(self, path: Path) -> None:
        self._file_of: dict[str, Path] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        wanted = _files(path)
        for file, expected in wanted.items():
            found = _shapes(file)
            if missing := sorted(set(expected or ()) - set(found)):
                raise ModelFileError(f"{file} should hold {missing[0]}, as its index says.", REMEDY)
            self.shapes |= found
            self._file_of |= dict.fromkeys(found, file)

    def tensor(self, name: str) -> Tensor:
        """One tensor, in the type that it is stored in."""
        with safe_open(self._file_of[name], framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor


def _files(path: Path) -> Mapping[Path, list[str] | None]:
    """The files of a checkpoint, with the names that the index promises for each (None without an index)."""
    if path.is_file():
        return {path: None}
    index = path / INDEX
    if not index.is_file():
        return {path / SINGLE: None}
    try:
        table = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = {str(name): str(file) for name, file in table.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{index} is not an index of weight files: {error}.", REMEDY) from error
    for file in sorted(set(names.values())):
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise ModelFileError(
                f"{index} names {file!r}; a safetensors file beside it was expected.", REMEDY
            )
    return {path / file: [n for n, f in names.items() if f == file] for file in sorted(set(names.values()))}


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    if not file.is_file():
        raise ModelFileError(f"{file} is missing.", "Fetch the model again.")
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(f"{file} is not a whole safetensors file: {error}.", REMEDY) from error
