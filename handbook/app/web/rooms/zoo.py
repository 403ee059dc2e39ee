"""The architecture zoo: public models side by side, one with its sums, and any config.json that is pasted."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from handbook.app.web.pages import shelf_of, show
from handbook.app.web.tokens import fields
from handbook.errors import HandbookError, ModelFileError

router = APIRouter()
SHOWN = "overview"
TITLE = "Your config.json"


def tokens_asked(text: str) -> int:
    """The context that FLOPs are counted at. Raises HandbookError."""
    from handbook.model.zoo.rows import CONTEXT, LONGEST

    if not text.strip():
        return CONTEXT
    plain = text.strip().replace(" ", "").replace(",", "")
    if not plain.isascii() or not plain.isdigit() or not 1 <= int(plain[:12]) <= LONGEST:
        raise HandbookError(
            f"Expected a number of tokens from 1 to {LONGEST:,}, got {text[:40]!r}.", "Correct it."
        )
    return int(plain)


@router.get("/zoo")
def page(
    request: Request,
    view: str = SHOWN,
    sort: str = "",
    context: str = "",
    compare: Annotated[list[str] | None, Query()] = None,
) -> Response:
    from handbook.model.zoo import columns
    from handbook.model.zoo.entries import MOST, entries
    from handbook.model.zoo.rows import rows

    asked = [name for each in compare or [] for name in each.split(",") if name]
    if unknown := [name for name in asked if name not in entries()]:
        raise HTTPException(404, f"no model {unknown[0]!r}")
    at = tokens_asked(context)
    chosen = list(dict.fromkeys(asked))
    if len(chosen) == 1:
        return RedirectResponse(f"/zoo/{chosen[0]}", 303)
    if len(chosen) > MOST:
        raise HandbookError(
            f"{MOST} models fit beside each other, got {len(chosen)}.", "Go back and choose fewer."
        )
    if chosen:
        return side_by_side(request, chosen, at)
    view = view if view in columns.VIEWS else SHOWN
    sort = sort if sort.removeprefix("-") in columns.COLUMNS else ""
    listed = rows(at)
    return show(
        request,
        "zoo.html",
        {
            "book": shelf_of(request).book,
            "rows": columns.sort(listed, sort) if sort else listed,
            "columns": [columns.COLUMNS[key] for key in columns.VIEWS[view]],
            "views": list(columns.VIEWS),
            "view": view,
            "sort": sort,
            "at": at,
            "most": MOST,
            "text": "",
            "faults": (),
            "entries": entries(),
            "columns_of": columns.COLUMNS,
        },
    )


def side_by_side(request: Request, names: list[str], at: int) -> Response:
    from handbook.model.zoo.columns import COLUMNS
    from handbook.model.zoo.rows import row_of

    chosen = [row_of(name, at) for name in names]
    texts = {key: [column.text(row) for row in chosen] for key, column in COLUMNS.items()}
    return show(
        request,
        "zoo_compare.html",
        {
            "book": shelf_of(request).book,
            "rows": chosen,
            "columns": COLUMNS,
            "texts": texts,
            "same": {key for key, row in texts.items() if len(set(row)) == 1},
            "at": at,
        },
    )


def numbers(config: Any, row: Any) -> dict[str, Any]:
    """What the page of one model shows."""
    from handbook.model.zoo.columns import COLUMNS
    from handbook.model.zoo.sums import sums

    return {"row": row, "columns": COLUMNS.values(), "sums": sums(config, row), "at": row.at}


@router.get("/zoo/own")
def own() -> Response:
    """Where the form sends to; there is nothing to see without what was sent."""
    return RedirectResponse("/zoo#own", 303)


@router.post("/zoo/own")
def size(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """The numbers of a pasted config.json, or all of its faults. Nothing is stored."""
    from handbook.model.zoo.own import own_row, read
    from handbook.model.zoo.rows import CONTEXT

    text, faults, at, config = form.get("config", ""), [], CONTEXT, None
    try:
        at = tokens_asked(form.get("context", ""))
    except HandbookError as error:
        faults.append(error.what)
    try:
        config = read(text)
    except ModelFileError as error:
        faults += error.faults
    context = {"book": shelf_of(request).book, "text": text, "faults": faults, "at": at, "entry": None}
    if faults or config is None:
        return show(request, "zoo_own.html", context, status=422)
    return show(request, "zoo_model.html", context | numbers(config, own_row(config, text, TITLE, at)))


@router.get("/zoo/{name}")
def model(request: Request, name: str, context: str = "") -> Response:
    from handbook.model.zoo.entries import entries
    from handbook.model.zoo.rows import config_of, row_of

    if name not in entries():
        raise HTTPException(404, f"no model {name!r}")
    row = row_of(name, tokens_asked(context))
    names = list(entries())
    return show(
        request,
        "zoo_model.html",
        {
            "book": shelf_of(request).book,
            "entry": entries()[name],
            "text": "",
            "faults": (),
            "others": [entries()[other] for other in names if other != name],
            **numbers(config_of(name), row),
        },
    )
