"""What a call did to its arguments: found where it ran, written back where they came from.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import random
from collections import deque
from operator import is_
from typing import Any

from handbook.practice.wire import Decoder, Encoder, Malformed, module, stream_mark


def _same(now: list[Any], kept: list[Any]) -> bool:
    """The same objects in the same order; what each one holds is its own affair."""
    return len(now) == len(kept) and all(map(is_, now, kept))


def _changed(value: Any, kept: Any) -> bool:
    if kept is None:  # read-only, or never written back
        return False
    if isinstance(value, (list, deque)):
        return not _same(list(value), kept)
    if isinstance(value, dict):
        return not (_same(list(value), kept[0]) and _same(list(value.values()), kept[1]))
    if isinstance(value, set):
        return len(value) != len(kept) or any(item not in kept for item in value)
    if isinstance(value, bytearray):
        return bool(value != kept)
    if isinstance(value, random.Random):
        return bool(value.getstate() != kept)
    numpy, torch = module("numpy"), module("torch")
    if numpy is not None and isinstance(value, numpy.ndarray):
        dtype, shape, data = kept
        same = value.dtype == dtype and value.shape == shape
        columns = value.flags.f_contiguous and not value.flags.c_contiguous
        return data is not None and not (same and (value.T if columns else value).tobytes() == data)
    if numpy is not None and isinstance(value, numpy.random.Generator):
        return bool(stream_mark(value) != kept)
    if torch is not None and isinstance(value, torch.Generator):
        return bool(value.get_state().numpy().tobytes() != kept)
    dtype, shape, data = kept
    if value.dtype != dtype or tuple(value.shape) != shape:
        return True
    flat = value.detach().contiguous().reshape(-1)
    return bool(flat.numel() and flat.view(torch.uint8).numpy().tobytes() != data)


def changes(request: Decoder, answer: Encoder) -> list[Any]:
    """[number, what it holds now] of each value of the request that is not as it came."""
    found = []
    for number, (value, kept) in enumerate(zip(request.objects, request.kept, strict=True)):
        if _changed(value, kept):
            answer.objects.append(value)  # the decoder numbers what it makes of this, too
            found.append([number, answer.content(value)])
    return found


def apply(found: Any, answer: Decoder, count: int) -> None:
    """Write changes into the first `count` objects of the answer: those of the request.

    Raises Malformed for a change that no call can have made.
    """
    if not isinstance(found, list) or len(found) > count:
        raise Malformed("changes that are none")
    made = []
    for change in found:
        number, content = change if isinstance(change, list) and len(change) == 2 else (None, None)
        if type(number) is not int or not 0 <= number < count:
            raise Malformed("a change of nothing")
        made.append((answer.objects[number], answer.decode(content)))
    for target, new in made:
        _write(target, new)


def _write(target: Any, new: Any) -> None:
    if isinstance(target, list) and isinstance(new, list):
        target[:] = new
    elif isinstance(target, (dict, set)) and isinstance(new, dict if isinstance(target, dict) else set):
        target.clear()
        target.update(new)
    elif isinstance(target, deque) and isinstance(new, deque):
        target.clear()
        target.extend(new)
    elif isinstance(target, bytearray) and isinstance(new, bytearray):
        target[:] = new
    elif isinstance(target, random.Random) and isinstance(new, random.Random):
        target.setstate(new.getstate())
    else:
        _write_library(target, new)


def _write_library(target: Any, new: Any) -> None:
    numpy, torch = module("numpy"), module("torch")
    if numpy is not None and isinstance(target, numpy.ndarray) and isinstance(new, numpy.ndarray):
        if target.shape != new.shape or target.dtype != new.dtype or not target.flags.writeable:
            raise Malformed(f"an argument of shape {target.shape} whose shape or dtype was changed")
        numpy.copyto(target, new)
    elif numpy is not None and isinstance(target, numpy.random.Generator):
        target.bit_generator.state = new.bit_generator.state
    elif torch is not None and isinstance(target, torch.Generator) and isinstance(new, torch.Generator):
        target.set_state(new.get_state())
    elif torch is not None and isinstance(target, torch.Tensor) and isinstance(new, torch.Tensor):
        if target.shape != new.shape or target.dtype != new.dtype:
            raise Malformed(f"a tensor of shape {tuple(target.shape)} whose shape or dtype was changed")
        with torch.no_grad():
            target.copy_(new.detach())
    else:
        raise Malformed("a change into another type")
