"""Server-sent events from a plain iterator, so that a page shows a reply while it is written."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import HEADER, fresh, remember
from handbook.errors import ChatError, HandbookError

Event = tuple[str, dict[str, Any]]
PATIENCE = 120.0  # seconds that a conversation waits for the one before it


def encode(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def alone(shelf: Shelf, events: Iterator[Event]) -> Iterator[Event]:
    """`events`, one conversation at a time. Raises ChatError when the one before takes too long."""
    if not shelf.generating.acquire(timeout=PATIENCE):
        raise ChatError("The model is busy with another conversation.", "Stop that one, or try again later.")
    try:
        yield from events
    finally:
        shelf.generating.release()


def stream(request: Request, shelf: Shelf, events: Iterator[Event]) -> StreamingResponse:
    """Errors travel as an event too, since the answer's status is out by then. The reader may leave at any time."""

    def text() -> Iterator[str]:
        try:
            for name, data in alone(shelf, events):
                yield encode(name, data)
        except HandbookError as error:
            yield encode("error", {"what": error.what, "remedy": error.remedy})
        except Exception as error:
            remedy = "This is a bug; the terminal shows the details."
            yield encode("error", {"what": f"{type(error).__name__}: {error}.", "remedy": remedy})
            raise

    response = StreamingResponse(text(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    response.headers[HEADER] = fresh(request)
    remember(request, response)
    return response
