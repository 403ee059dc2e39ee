import json

import pytest

from handbook.rag.formats.faults import Unreadable
from handbook.rag.formats.notebook import OUTPUT, read

BOOK = {
    "nbformat": 4,
    "metadata": {"kernelspec": {"language": "python"}},
    "cells": [
        {"cell_type": "markdown", "source": ["# Loss\n", "\n", "It falls."]},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"data": {"text/plain": "<Figure>", "image/png": "iVBOR"}},
                {"data": {"text/plain": "y" * (OUTPUT + 5)}},
                {"ename": "ValueError", "evalue": "no", "traceback": ["\x1b[31m..."]},
            ],
        },
        "no cell",
    ],
}


def test_cells_in_order_with_their_text() -> None:
    draft = read(json.dumps(BOOK).encode())
    found = [(block.kind, draft.text[block.start : block.end]) for block in draft.blocks]
    assert found[:4] == [
        ("heading", "# Loss"),
        ("paragraph", "It falls."),
        ("code", "print(1)"),
        ("code", "1"),
    ]
    assert found[-1] == ("code", "ValueError: no")
    assert (draft.title, draft.metadata) == ("Loss", {"code": "python"})


def test_what_is_no_text_is_counted() -> None:
    lost = read(json.dumps(BOOK).encode()).lost
    assert lost == [
        "1 cells that are none",
        "1 outputs that are no text (pictures, widgets)",
        f"1 outputs beyond their first {OUTPUT} characters",
    ]


def test_the_format_before() -> None:
    old = {
        "worksheets": [
            {"cells": [{"cell_type": "heading", "source": "T"}, {"cell_type": "code", "input": "x"}]}
        ]
    }
    draft = read(json.dumps(old).encode())
    assert draft.text == "# T\n\nx"


@pytest.mark.parametrize("data", [b'{"cells": [', b"[" * 100_000, b"[1, 2]", b'{"cells": 3}'])
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read(data)
