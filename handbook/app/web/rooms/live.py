"""The engine step by step: a scripted load on the real scheduler, your trace, or this app's own engine."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.exceptions import HTTPException

from handbook.app.web.assets import FOREVER
from handbook.app.web.events import encode
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.tokens import fields
from handbook.errors import HandbookError

router = APIRouter()
FRAMES = 48  # in one answer, at most
LOOK = 0.12  # seconds between looks at the engine while somebody follows it
LASTS = 0.8  # seconds of a stream; the browser comes back, and stopping the handbook waits no longer


def _source(request: Request) -> Any:
    """What the address names; None for an own engine that has made no step. Raises HandbookError."""
    from handbook.app.web import traces
    from handbook.engine.scenarios import SCENARIOS

    given = dict(request.query_params)
    if "trace" in given:
        return request.app.state.traces.source(given["trace"])
    if "own" in given:
        recorder = traces.recorder_of(shelf_of(request).chat)
        return None if recorder is None else traces.own(recorder)
    name = given.get("scenario", next(iter(SCENARIOS)))
    if name not in SCENARIOS:
        raise HTTPException(404, f"no scenario {name!r}")
    return traces.scripted(SCENARIOS[name], traces.knobs_of(given, SCENARIOS[name]))


def _number(request: Request, name: str, otherwise: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else otherwise


@router.get("/engine/live")
def page(request: Request) -> Response:
    from handbook.app.web import traces
    from handbook.engine.scenarios import SCENARIOS
    from handbook.engine.scripted import STEP, TOKEN

    source = _source(request)
    given = request.query_params
    kind = "trace" if "trace" in given else "own" if "own" in given else "scenario"
    chosen = SCENARIOS[given.get("scenario", next(iter(SCENARIOS)))] if kind == "scenario" else None
    at = None
    if source is not None:
        at = source.nearest(_number(request, "step", source.last if kind == "own" else source.first))
    shelf = shelf_of(request)
    return show(
        request,
        "live.html",
        {
            "book": shelf.book,
            "kind": kind,
            "scenarios": SCENARIOS,
            "chosen": chosen,
            "knobs": asdict(traces.knobs_of(given, chosen)) if chosen else {},
            "source": source,
            "at": at,
            "follows": traces.recorder_of(shelf.chat) is not None,
            "model": shelf.chat.name,
            "step_ms": STEP * 1e3,
            "token_ms": TOKEN * 1e3,
            "limit": traces.TRACE_LIMIT >> 20,
            "style": f"/engine/live.css?v={_mark()}",
        },
    )


@router.get("/engine/live/frames.json")
def frames(request: Request) -> Response:
    """Steps as HTML, from `from` on, `count` of them."""
    source = _source(request)
    if source is None:
        return JSONResponse({"first": 0, "last": -1, "frames": {}})
    low = source.nearest(_number(request, "from", source.first))
    high = min(source.last, low + max(1, min(FRAMES, _number(request, "count", 1))) - 1)
    drawn = {at: source.drawn(at) for at in range(low, high + 1)}
    return JSONResponse({"first": source.first, "last": source.last, "frames": drawn})


@router.get("/engine/live/follow")
async def follow(request: Request) -> Response:
    """The newest step of this app's engine, as it is made: server-sent events."""
    from handbook.app.web import traces

    recorder = traces.recorder_of(shelf_of(request).chat)
    if recorder is None:
        raise HTTPException(404)
    seen = request.headers.get("last-event-id", "")

    async def text() -> AsyncIterator[str]:
        sent = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 12 else -1
        end = time.monotonic() + LASTS
        yield "retry: 100\n\n"
        while time.monotonic() < end:
            latest = recorder.latest
            if latest is not None and latest.n != sent:
                source = await asyncio.to_thread(traces.own, recorder)
                if source is not None:
                    sent = source.last
                    news = {"first": source.first, "last": sent, "html": source.drawn(sent)}
                    yield f"id: {sent}\n{encode('step', news)}"
            await asyncio.sleep(LOOK)

    return StreamingResponse(text(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.post("/engine/live/open")
def opened(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """A trace file; it stays in memory."""
    text = form.get("file", "")
    if not text.strip():
        raise HandbookError("Expected a trace file, got nothing.", "Choose one.")
    key = request.app.state.traces.open("Your trace", text.encode("utf-8", errors="replace"))
    return RedirectResponse(f"/engine/live?trace={key}", 303)


@router.get("/engine/live.css")
def style() -> Response:
    from handbook.lab.serving.view import style

    return PlainTextResponse(style(), media_type="text/css", headers={"Cache-Control": FOREVER})


def _mark() -> str:
    """Changes when the rules do."""
    from hashlib import sha256

    from handbook.lab.serving.view import style

    return sha256(style().encode()).hexdigest()[:10]
