"""Server-sent events from a plain iterator, so that a page shows a reply while it is written."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from handbook.app.web.tokens import HEADER, fresh, remember
from handbook.errors import HandbookError

Event = tuple[str, dict[str, Any]]


def encode(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def stream(request: Request, events: Iterator[Event]) -> StreamingResponse:
    """Errors travel as an event too, since the answer's status is out by then."""

    def text() -> Iterator[str]:
        try:
            for name, data in events:
                yield encode(name, data)
        except HandbookError as error:
            yield encode("error", {"what": error.what, "remedy": error.remedy})
        except Exception as error:
            remedy = "This is a bug; the terminal shows the details."
            yield encode("error", {"what": f"{type(error).__name__}: {error}.", "remedy": remedy})
            raise

    response = StreamingResponse(
        text(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )
    response.headers[HEADER] = fresh(request)
    remember(request, response)
    return response
