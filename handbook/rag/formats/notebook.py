"""Jupyter notebooks: prose and code cells in order, with the output that is text (nbformat 4, and 3 before
it).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from handbook.rag.formats.characters import clean
from handbook.rag.formats.draft import Draft, one_line
from handbook.rag.formats.faults import MARKUP, Unreadable, too_large
from handbook.rag.formats.plain import text_of
from handbook.rag.outline import markdown_blocks, title

OUTPUT = 2000  # characters of a cell's output; what is longer is a log


def read(data: bytes, declared: str = "") -> Draft:
    """A notebook. Raises Unreadable for what is none."""
    too_large(data, MARKUP, "A notebook")
    draft = Draft()
    try:
        found = json.loads(text_of(data, draft, declared))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"This is no notebook, or it is cut off: {error}.") from error
    cells = _cells(found)
    cut, pictures, odd = 0, 0, 0
    for cell in cells:
        if not isinstance(cell, Mapping):
            odd += 1
            continue
        text = clean(_joined(cell.get("source", cell.get("input", ""))))
        if cell.get("cell_type") == "code":
            draft.add("code", text)
            for output in _list(cell.get("outputs")):
                said, picture = _output(output)
                pictures += picture
                cut += len(said) > OUTPUT
                draft.add("code", clean(said[:OUTPUT]))
        elif cell.get("cell_type") == "heading":  # nbformat 3
            draft.add("heading", f"# {one_line(text)}", 1)
        else:
            for block in markdown_blocks(text):
                draft.add(block.kind, text[block.start : block.end], block.level)
    notes = (
        (odd, "cells that are none"),
        (pictures, "outputs that are no text (pictures, widgets)"),
        (cut, f"outputs beyond their first {OUTPUT} characters"),
    )
    draft.lost += [f"{count} {what}" for count, what in notes if count]
    draft.finish()
    first = next((block for block in draft.blocks if block.kind == "heading"), None)
    draft.title = one_line(title(draft.text, first)) if first else ""
    kernel = found.get("metadata", {})
    kernel = kernel.get("kernelspec", {}) if isinstance(kernel, Mapping) else {}
    if isinstance(kernel, Mapping) and isinstance(kernel.get("language"), str):
        draft.metadata["code"] = kernel["language"]
    return draft


def _cells(found: Any) -> Sequence[Any]:
    if isinstance(found, Mapping):
        if isinstance(found.get("cells"), list):
            return list(found["cells"])
        sheets = [sheet for sheet in _list(found.get("worksheets")) if isinstance(sheet, Mapping)]
        if sheets:
            return [cell for sheet in sheets for cell in _list(sheet.get("cells"))]
    raise Unreadable("This is JSON, but no notebook: it has no cells.")


def _output(output: Any) -> tuple[str, bool]:
    """An output's text, and whether there is a picture in its place."""
    if not isinstance(output, Mapping):
        return "", False
    data = output.get("data", output)
    if isinstance(data, Mapping) and (plain := data.get("text/plain")) and not _picture(data):
        return _joined(plain), False
    if "ename" in output:
        return f"{output.get('ename')}: {output.get('evalue', '')}", False
    return _joined(output.get("text", "")), isinstance(data, Mapping) and _picture(data)


def _picture(data: Mapping[str, Any]) -> bool:
    return any(str(key).startswith(("image/", "application/vnd", "video/", "audio/")) for key in data)


def _joined(source: Any) -> str:
    return (
        source
        if isinstance(source, str)
        else "".join(part for part in _list(source) if isinstance(part, str))
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
