"""Values as short text, and what kind of value one is, without importing NumPy or torch for it.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import sys
from typing import Any

from handbook.practice.verdicts import LONGEST, cut

DIGITS = 6
ITEMS = 40  # of a container that are shown
DEPTH = 6


def _is(value: Any, module: str, name: str) -> bool:
    """Whether it is an instance of module.name; what is not imported has no instances."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def is_array(value: Any) -> bool:
    """A NumPy array (not a NumPy number) or a torch tensor."""
    return _is(value, "numpy", "ndarray") or _is(value, "torch", "Tensor")


def kind_of(value: Any) -> str:
    """array, tensor, bool, int, float, complex, or its type's name. NumPy's numbers count as Python's."""
    if _is(value, "numpy", "ndarray"):
        return "array"
    if _is(value, "torch", "Tensor"):
        return "tensor"
    if _is(value, "numpy", "generic"):
        value = value.item()
    for kind in (bool, int, float, complex, str, bytes):
        if isinstance(value, kind):
            return kind.__name__
    return type(value).__name__


def dtype_of(value: Any) -> str:
    """Name of a dtype, or of the dtype of an array or number: float32, int64, bfloat16."""
    if isinstance(value, str):
        return value
    if isinstance(value, type):
        return value.__name__
    dtype = getattr(value, "dtype", value)
    if _is(dtype, "numpy", "dtype"):
        return str(dtype)
    if _is(dtype, "torch", "dtype"):
        return str(dtype).removeprefix("torch.")
    return kind_of(value)


def array_of(value: Any) -> Any:
    """A NumPy array of the same values: tensors come over, those of bfloat16 as float32."""
    import numpy as np

    if not _is(value, "torch", "Tensor"):
        return np.asarray(value)
    import torch

    value = value.detach().cpu()
    small = value.is_floating_point() and value.dtype not in (torch.float16, torch.float32, torch.float64)
    return (value.float() if small else value).resolve_conj().resolve_neg().numpy()


def described(value: Any, typed: bool = False, most: int = LONGEST) -> str:
    """Short text of a value: arrays as rounded lists, long containers cut. typed: with its type's name."""
    text = cut(_text(value, 0), most)
    if not typed or value is None:
        return text
    if is_array(value):
        return f"{type(value).__name__} of shape {tuple(value.shape)}, {text}"
    return f"{text} ({type(value).__name__})"


def _text(value: Any, depth: int) -> str:
    if depth > DEPTH:
        return "..."
    if is_array(value):
        return _array(value)
    if _is(value, "numpy", "generic"):
        return _text(value.item(), depth)
    if type(value) is float:
        return repr(value)
    if type(value) is int and value.bit_length() > 4000:
        return f"an integer of {value.bit_length()} bits"
    if type(value) in (list, tuple, set, frozenset) and value:
        items = [_text(item, depth + 1) for item in list(value)[:ITEMS]]
        items += ["..."] if len(value) > ITEMS else []
        said = ", ".join(items)
        if type(value) is list:
            return f"[{said}]"
        if type(value) is tuple:
            return f"({said},)" if len(value) == 1 else f"({said})"
        return f"{{{said}}}" if type(value) is set else f"frozenset({{{said}}})"
    if type(value) is dict:
        pairs = [f"{_text(k, depth + 1)}: {_text(v, depth + 1)}" for k, v in list(value.items())[:ITEMS]]
        return "{" + ", ".join(pairs + (["..."] if len(value) > ITEMS else [])) + "}"
    try:
        return repr(value)[: 2 * LONGEST]
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


def _array(value: Any) -> str:
    import numpy as np

    array = array_of(value)
    return np.array2string(
        array, precision=DIGITS, separator=", ", threshold=60, edgeitems=3, max_line_width=100
    )
